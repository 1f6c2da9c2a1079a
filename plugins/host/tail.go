package host

import (
	"bytes"
	"strings"
	"sync"
)

// tailLines is how much of a plugin's stderr is kept: a Go panic with the
// innermost calls of one goroutine.
const tailLines = 40

// tail keeps the last lines of what is written to it.
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
			t.line = append(t.line, p...)
			return n, nil
		}
		t.push(string(append(t.line, p[:end]...)))
		t.line, p = nil, p[end+1:]
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
	text := strings.Join(t.lines, "\n")
	if len(t.line) > 0 {
		text += "\n" + string(t.line)
	}
	return strings.TrimSpace(text)
}
