// Package terminal writes messages that scroll. On a terminal it shows a few status lines below
// them, which change.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// refresh is how often status lines are drawn again: often enough that they look alive and that
// a new size of the terminal has an effect soon.
const refresh = 200 * time.Millisecond

// Writer writes messages to a terminal or a file. On a terminal it keeps status lines below
// them. Several goroutines may use it.
//
// The cursor is at the beginning of the first status line. If a terminal becomes narrower and
// wraps its lines anew, the cursor moves with that line. So what is erased before the next
// drawing is always all status lines and nothing else.
type Writer struct {
	out  io.Writer
	size func() (columns, rows int)

	mu      sync.Mutex
	status  func(columns int) []string // nil if none is shown
	drawn   string                     // the status lines on the terminal; empty if there are none
	columns int                        // of the terminal when they were drawn
	midLine bool                       // the last message has not ended its line
}

// New returns a writer to out. It shows status lines if out is a terminal whose cursor can be
// moved, which is so unless the variable TERM is "dumb".
func New(out io.Writer) *Writer {
	w := &Writer{out: out, size: func() (int, int) { return 0, 0 }}
	if file, ok := out.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		w.size = func() (int, int) { return Size(file) }
	}
	return w
}

// Size returns the current size of a terminal in characters, or zeros if the file is not a
// terminal.
func Size(file *os.File) (columns, rows int) {
	columns, rows, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}

// Interactive reports whether status lines can be shown.
func (w *Writer) Interactive() bool {
	columns, _ := w.size()
	return columns > 0
}

// Write writes a message above the status lines.
func (w *Writer) Write(message []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.erase(); err != nil {
		return 0, err
	}
	n, err := w.out.Write(message)
	if n > 0 {
		w.midLine = message[n-1] != '\n'
	}
	if err == nil {
		w.draw()
	}
	return n, err
}

// Show shows status lines until stop is called. Only one set of them can be shown at a time.
// lines returns them for a terminal with this many columns; longer lines are cut. It is called
// from several goroutines, but never by two at once, and must not write to w.
//
// If w is not interactive, nothing is shown.
func (w *Writer) Show(lines func(columns int) []string) (stop func()) {
	if !w.Interactive() {
		return func() {}
	}
	w.mu.Lock()
	w.status = lines
	w.draw()
	w.mu.Unlock()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(refresh)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				w.mu.Lock()
				w.draw()
				w.mu.Unlock()
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(end)
		<-ended
		w.mu.Lock()
		defer w.mu.Unlock()
		w.status = nil
		_ = w.erase() // fails only if the terminal is gone, and then nobody is there to be told
	})
}

const (
	eraseBelow = "\r\x1b[J"
	cursorUp   = "\x1b[%dA"
)

// erase removes the status lines from the terminal.
func (w *Writer) erase() error {
	if w.drawn == "" {
		return nil
	}
	w.drawn = ""
	_, err := io.WriteString(w.out, eraseBelow)
	return err
}

// draw draws the status lines.
func (w *Writer) draw() {
	if w.status == nil || w.midLine {
		return
	}
	columns, rows := w.size()
	if columns <= 0 {
		return
	}
	// The last column stays free, because some terminals move to the next line after it.
	room := max(1, columns-1)
	lines := w.status(room)
	// Lines that scroll off the top could not be erased.
	if most := max(1, rows-1); rows > 0 && len(lines) > most {
		hidden := len(lines) - most + 1
		lines = append(lines[:most-1:most-1], fmt.Sprintf("… and %d more", hidden))
	}
	for i, line := range lines {
		lines[i] = truncate(line, room)
	}
	text := strings.Join(lines, "\r\n")
	if text == w.drawn && columns == w.columns {
		return
	}
	w.drawn, w.columns = text, columns
	if len(lines) > 1 {
		text += fmt.Sprintf(cursorUp, len(lines)-1)
	}
	_, _ = io.WriteString(w.out, eraseBelow+text+"\r") // as in Show
}
