package cluster

import (
	"bytes"
	"strings"
	"testing"
)

// What a server sends is taken up to a size only.
func TestWhatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte(" "), maxMessage+1)
	_, err := readMessage(large)
	wantProblem(t, err, "a job at the server has 8388609 bytes, more than the 8388608 that are taken")
	_, err = readRecord("one", large)
	wantProblem(t, err, "what the server knows of experiment one has 8388609 bytes, more than the 8388608 that are taken")
	wantProblem(t, (&replay{folder: t.TempDir()}).add(large), "a message of metrics at the server has 8388609 bytes, more than the 8388608 that are taken")

	c := connect(t, startTestServer(t).URL())
	f, err := c.upload(t.Context(), "one", []byte("content"), nil)
	must(t, err)
	for _, size := range []uint64{maxFile + 1, f.Size - 1} { // more than is ever taken, and more than the record says
		f.Size = size
		if content, err := c.download(t.Context(), f); err == nil || !strings.Contains(err.Error(), "bytes") || content != nil {
			t.Errorf("download of a file said to have %d bytes = %q, %v, want an error", size, content, err)
		}
	}
}
