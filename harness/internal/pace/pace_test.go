package pace

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// pieces notes how much is written at a time.
type pieces struct {
	bytes.Buffer
	largest int
}

func (p *pieces) Write(content []byte) (int, error) {
	p.largest = max(p.largest, len(content))
	return p.Buffer.Write(content)
}

func content() []byte { return bytes.Repeat([]byte("0123456789"), 20_000) }

// Whatever is written or read comes out whole, in pieces, with pauses and without.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	hurried := Slow()
	hurried.Hurry()
	hurried.Hurry()
	for name, p := range map[string]*Pace{"slow": Slow(), "hurried": hurried, "none": nil} {
		var out pieces
		if n, err := p.Writer(&out).Write(content()); err != nil || n != len(content()) || !bytes.Equal(out.Bytes(), content()) {
			t.Errorf("%s: wrote %d bytes, %v", name, n, err)
		}
		if p != nil && out.largest > piece {
			t.Errorf("%s: wrote %d bytes at a time, want at most %d", name, out.largest, piece)
		}
		if got, err := io.ReadAll(p.Reader(bytes.NewReader(content()))); err != nil || !bytes.Equal(got, content()) {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
	}
}

func TestErrorsArePassedOn(t *testing.T) {
	t.Parallel()
	fault := errors.New("fault")
	if n, err := Slow().Writer(failing{fault}).Write(content()); n != 3 || !errors.Is(err, fault) {
		t.Errorf("a writer that fails: %d, %v, want 3 bytes and %v", n, err, fault)
	}
	if _, err := io.ReadAll(Slow().Reader(iotest.ErrReader(fault))); !errors.Is(err, fault) {
		t.Errorf("a reader that fails: %v, want %v", err, fault)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 3, f.err }
