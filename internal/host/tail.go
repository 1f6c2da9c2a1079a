package host

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"bittern/plugins"
)

// How much of a plugin's stderr is kept: a Go panic with the innermost calls of
// one goroutine, and of a line that is longer than any of those, such as a
// progress bar that never ends its own, the end.
const (
	tailLines = 40
	tailLine  = 1000 // bytes, which plugins.Line shows in full
)

// tail keeps the last lines of what is written to it. They are read as
// [plugins.Line] shows them: none can write to the terminal what is no text.
type tail struct {
	mu    sync.Mutex
	lines []string
	line  []byte // the one that has not ended yet
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			t.extend(p)
			return n, nil
		}
		t.extend(p[:end])
		t.push(string(t.line))
		t.line, p = t.line[:0], p[end+1:]
	}
}

// extend goes on with the line that has not ended.
func (t *tail) extend(p []byte) {
	t.line = append(t.line, p[max(0, len(p)-tailLine):]...)
	if excess := len(t.line) - tailLine; excess > 0 {
		t.line = append(t.line[:0], t.line[excess:]...)
	}
}

func (t *tail) push(line string) {
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := make([]string, 0, len(t.lines)+1)
	for _, line := range append(slices.Clone(t.lines), string(t.line)) {
		lines = append(lines, plugins.Line(overwritten(line)))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// overwritten is what a terminal shows of a line that returns to its beginning,
// such as a progress bar.
func overwritten(line string) string {
	line = strings.TrimRight(line, "\r")
	return line[strings.LastIndexByte(line, '\r')+1:]
}
