// Package pace has work go on beside a training without slowing it: in small pieces, with pauses
// that are far longer than the pieces.
package pace

import (
	"io"
	"sync"
	"time"
)

const (
	// piece is how many bytes are worked on at a time: some tenths of a millisecond of work, which
	// is more than it costs to wake a thread for it.
	piece = 256 << 10

	// pauses is how many times as long as a piece the pause after it is. A training step that
	// has all processors waits for the piece on one of them: for a two-hundredth of its time.
	pauses = 200

	// longest bounds a pause, so that the pauses of 2 MB take a second at most. A network is
	// given half a piece at a time.
	longest = 60 * time.Millisecond
)

// Pace is how fast one work goes on. A nil Pace makes no pauses. It is safe for concurrent use.
type Pace struct {
	once  sync.Once
	hurry chan struct{}
}

// Slow makes a pace with pauses.
func Slow() *Pace { return &Pace{hurry: make(chan struct{})} }

// Hurry ends the pauses: somebody waits for the work.
func (p *Pace) Hurry() {
	if p != nil {
		p.once.Do(func() { close(p.hurry) })
	}
}

// rest makes the pause after a piece of work that took so long.
func (p *Pace) rest(took time.Duration) {
	select {
	case <-p.hurry:
	case <-time.After(min(pauses*took, longest)):
	}
}

// Writer writes to w in pieces.
func (p *Pace) Writer(w io.Writer) io.Writer {
	if p == nil {
		return w
	}
	return writer{p, w}
}

type writer struct {
	pace *Pace
	to   io.Writer
}

func (w writer) Write(content []byte) (written int, err error) {
	for len(content) > 0 && err == nil {
		part := content[:min(piece, len(content))]
		began, n := time.Now(), 0
		n, err = w.to.Write(part)
		written, content = written+n, content[len(part):]
		if err == nil {
			w.pace.rest(time.Since(began))
		}
	}
	return written, err
}

// Reader reads from r in pieces. The pause before a piece is for the time since the one before
// it was read: what is done with a piece is work too.
func (p *Pace) Reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return &reader{pace: p, from: r}
}

type reader struct {
	pace  *Pace
	from  io.Reader
	began time.Time // with the piece before
}

func (r *reader) Read(into []byte) (int, error) {
	if !r.began.IsZero() {
		r.pace.rest(time.Since(r.began))
	}
	r.began = time.Now()
	return r.from.Read(into[:min(piece, len(into))])
}
