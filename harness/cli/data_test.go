package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/harness/dataset"
)

// TestDataGet downloads a published data set from a server that breaks off once. Then it checks
// and lists the data set.
func TestDataGet(t *testing.T) {
	t.Parallel()
	packed, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "warpeace", "warpeace_input.txt.gz"))
	if err != nil {
		t.Skip("skipped fetching a published data set: ../shared/data is not there")
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	book, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.URL.Path
		if r.Header.Get("Range") != "" {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(book))
			return
		}
		w.Header().Set("Content-Length", "3258246")
		if _, err := w.Write(book[:1_000_000]); err == nil {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	data := t.TempDir()
	placed := filepath.Join(data, "warpeace", "warpeace_input.txt")
	get := []string{"data", "get", "warpeace", "--data", data, "--from", server.URL}
	stdout, stderr, code := run(t, nil, get...)
	if code != 0 || stdout != "placed "+placed+"\n" || !strings.Contains(stderr, "fetching warpeace_input.txt, 3258246 bytes") {
		t.Fatalf("exit code %d, saying %q and %q", code, stdout, stderr)
	}
	if content, err := os.ReadFile(placed); err != nil || !bytes.Equal(content, book) {
		t.Errorf("%v; %d bytes were placed, want the %d of the book", err, len(content), len(book))
	}
	if path := <-requests; path != "/warpeace_input.txt" || len(requests) != 1 {
		t.Errorf("asked for %s and %d times more, want /warpeace_input.txt and once", path, len(requests))
	}
	stdout, stderr, code = run(t, nil, get...)
	if code != 0 || !strings.Contains(stdout, "already, whole and checked") || stderr != "" {
		t.Errorf("again: exit code %d, saying %q and %q", code, stdout, stderr)
	}
	stdout, stderr, code = run(t, nil, "data", "verify", "--data", data, "--format", "json")
	var all []dataset.Verified
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != 0 || stderr != "" {
		t.Fatalf("verify: %v, exit code %d, saying %q", err, code, stderr)
	}
	for _, v := range all {
		if want := v.Name == "warpeace"; (v.State == dataset.Right) != want {
			t.Errorf("verified as %+v", v)
		}
	}
}
