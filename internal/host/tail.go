package host

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"

	"bittern/plugins"
)

// How much is kept of what a plugin prints. It is enough for a Go panic with the innermost calls
// of one goroutine. Of a longer line, such as a progress bar that never ends its line, the end
// is kept.
const (
	tailLines = 40
	tailLine  = 1000 // bytes, which plugins.Line shows whole
)

// Lines returns a writer that calls each with every line, when it ends, as [plugins.Line] shows
// it: so a plugin cannot send control characters to the terminal.
func Lines(each func(line string)) io.Writer { return &lines{each: each} }

type lines struct {
	mu   sync.Mutex
	each func(line string)
	line []byte // the line that has not ended yet
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			l.extend(p)
			return n, nil
		}
		l.extend(p[:end])
		l.each(shown(l.line))
		l.line, p = l.line[:0], p[end+1:]
	}
}

// extend appends to the line that has not ended.
func (l *lines) extend(p []byte) {
	l.line = append(l.line, p[max(0, len(p)-tailLine):]...)
	if excess := len(l.line) - tailLine; excess > 0 {
		l.line = append(l.line[:0], l.line[excess:]...)
	}
}

// stream writes what comes from one output as whole lines, one write each, so that lines of
// several streams stay apart. It keeps a line that has not ended. If that becomes longer than
// maxWaiting, it writes the line in pieces.
type stream struct {
	mu      sync.Mutex
	to      io.Writer
	waiting []byte
}

const maxWaiting = 64 << 10 // bytes

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, p...)
	if end := bytes.LastIndexByte(s.waiting, '\n') + 1; end > 0 {
		s.pass(end)
	}
	if len(s.waiting) > maxWaiting {
		s.pass(len(s.waiting))
	}
	return len(p), nil
}

// flush writes what is kept of an unfinished line.
func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass(len(s.waiting))
}

func (s *stream) pass(n int) {
	if n > 0 {
		_, _ = s.to.Write(s.waiting[:n]) // the log reports its own errors
		s.waiting = append(s.waiting[:0], s.waiting[n:]...)
	}
}

// tail keeps the last lines that are written to it.
type tail struct {
	lines
	kept []string
}

func newTail() *tail {
	t := &tail{}
	t.each = t.push
	return t
}

func (t *tail) push(line string) {
	if len(t.kept) == tailLines {
		t.kept = append(t.kept[:0], t.kept[1:]...)
	}
	t.kept = append(t.kept, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Trim(strings.Join(append(slices.Clone(t.kept), shown(t.line)), "\n"), "\n")
}

// shown returns what a terminal shows of a line with carriage returns, such as a progress bar.
func shown(line []byte) string {
	line = bytes.TrimRight(line, "\r")
	return plugins.Line(string(line[bytes.LastIndexByte(line, '\r')+1:]))
}
