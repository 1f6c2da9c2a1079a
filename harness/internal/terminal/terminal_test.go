package terminal

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/hinshun/vt10x"
)

// screen is a pseudo-terminal, and what a user sees on it.
type screen struct {
	*os.File // the program's side
	t        *testing.T
	master   *os.File
	vt       vt10x.Terminal
	raw      bytes.Buffer
}

func newScreen(t *testing.T, columns, rows int) *screen {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("skipped what a terminal shows: there is no pseudo-terminal (%v)", err)
	}
	s := &screen{File: tty, t: t, master: master, vt: vt10x.New(vt10x.WithSize(columns, rows))}
	t.Cleanup(func() { _, _ = tty.Close(), master.Close() })
	s.resize(columns, rows)
	return s
}

func (s *screen) resize(columns, rows int) {
	s.t.Helper()
	if err := pty.Setsize(s.master, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}); err != nil {
		s.t.Fatal(err)
	}
	s.vt.Resize(columns, rows)
}

// seen returns the lines on the screen, without empty ones at the end.
func (s *screen) seen() []string {
	s.t.Helper()
	const end = "\x00END\x00"
	if _, err := s.WriteString(end); err != nil { // the terminal has received all that came before
		s.t.Fatal(err)
	}
	var text []byte
	for buffer := make([]byte, 4096); !bytes.HasSuffix(text, []byte(end)); {
		n, err := s.master.Read(buffer)
		if err != nil {
			s.t.Fatal(err)
		}
		text = append(text, buffer[:n]...)
	}
	text = bytes.TrimSuffix(text, []byte(end))
	s.raw.Write(text)
	if _, err := s.vt.Write(text); err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(s.vt.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func (s *screen) want(lines ...string) {
	s.t.Helper()
	if diff := cmp.Diff(lines, s.seen()); diff != "" {
		s.t.Errorf("the screen (-want +got):\n%s", diff)
	}
}

// still returns a writer that draws status lines only when the test calls draw.
func still(out *screen, lines func(int) []string) *Writer {
	w := New(out.File)
	w.status = lines
	return w
}

func TestStatusLinesStayBelowMessagesAtEveryWidth(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for _, columns := range []int{20, 40, 80, 200} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			s := newScreen(t, columns, 10)
			step := 0
			w := still(s, func(room int) []string {
				step++
				return []string{
					fmt.Sprintf("%d %s", step, strings.Repeat("=", 300)), // far too long
					Fit(room, Part{Text: fmt.Sprintf("step %d of 9", step)}, Part{Text: "loss 1.000 bits", Rank: 1}),
				}
			})
			bar := func(step int) string { return fmt.Sprintf("%d %s…", step, strings.Repeat("=", columns-4)) }
			second := func(step int) string {
				if columns < 30 {
					return fmt.Sprintf("step %d of 9", step)
				}
				return fmt.Sprintf("step %d of 9  loss 1.000 bits", step)
			}
			w.draw()
			s.want(bar(1), second(1))
			w.draw()
			s.want(bar(2), second(2))
			fmt.Fprintln(w, "a warning")
			s.want("a warning", bar(3), second(3))
			fmt.Fprintln(w, "another")
			w.draw()
			s.want("a warning", "another", bar(5), second(5))
			w.status = nil
			if err := w.erase(); err != nil {
				t.Fatal(err)
			}
			s.want("a warning", "another")
			if regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(s.raw.String()) {
				t.Errorf("there are colours in %q", s.raw.String())
			}
		})
	}
}

// TestStatusLinesOnAFullScreen checks that messages scroll and status lines stay at the end.
func TestStatusLinesOnAFullScreen(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := newScreen(t, 40, 5)
	w := still(s, func(int) []string { return []string{"one", "two", "three"} })
	for i := range 20 {
		fmt.Fprintf(w, "message %d\n", i)
	}
	s.want("message 18", "message 19", "one", "two", "three")
}

// TestMoreLinesThanTheScreenHas checks that only as many lines are drawn as fit, because lines
// that scroll off the top cannot be erased.
func TestMoreLinesThanTheScreenHas(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := newScreen(t, 40, 5)
	n := 0
	w := still(s, func(int) (lines []string) {
		n++
		for i := range 9 {
			lines = append(lines, fmt.Sprintf("line %d.%d", n, i))
		}
		return lines
	})
	w.draw()
	w.draw()
	s.want("line 2.0", "line 2.1", "line 2.2", "… and 6 more")
}

func TestTheWidthIsMeasuredAgain(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := newScreen(t, 80, 6)
	w := still(s, func(room int) []string { return []string{strings.Repeat("a", room), strings.Repeat("b", room)} })
	w.draw()
	s.want(strings.Repeat("a", 79), strings.Repeat("b", 79))
	s.resize(30, 6)
	w.draw()
	s.want(strings.Repeat("a", 29), strings.Repeat("b", 29))
	s.resize(60, 6)
	w.draw()
	s.want(strings.Repeat("a", 59), strings.Repeat("b", 59))
}

// TestAMessageInPieces checks that no status lines come between the pieces of a line.
func TestAMessageInPieces(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := newScreen(t, 40, 6)
	w := still(s, func(int) []string { return []string{"status"} })
	w.draw()
	fmt.Fprint(w, "half ")
	w.draw()
	fmt.Fprint(w, "and half\n")
	s.want("half and half", "status")
}

// TestShowAndStop checks that status lines are drawn again by themselves, and that nothing of
// them is left.
func TestShowAndStop(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := newScreen(t, 40, 6)
	w := New(s.File)
	var calls atomic.Int64
	drawn := make(chan struct{})
	stop := w.Show(func(int) []string {
		if calls.Add(1) == 3 {
			close(drawn)
		}
		return []string{fmt.Sprint("drawing ", min(calls.Load(), 3))}
	})
	select {
	case <-drawn:
	case <-time.After(time.Minute):
		t.Fatal("the status lines were not drawn three times in a minute")
	}
	stop()
	stop()
	fmt.Fprintln(w, "the end")
	s.want("the end")
}

func TestWhatIsNoTerminalHasNoStatusLines(t *testing.T) {
	lines := func(int) []string { return []string{"status"} }
	t.Run("buffer", func(t *testing.T) {
		var out bytes.Buffer
		w := New(&out)
		stop := w.Show(lines)
		fmt.Fprintln(w, "message")
		stop()
		if got := out.String(); got != "message\n" || w.Interactive() {
			t.Errorf("wrote %q, interactive %t; want the message alone", got, w.Interactive())
		}
	})
	t.Run("dumb", func(t *testing.T) {
		t.Setenv("TERM", "dumb")
		s := newScreen(t, 40, 6)
		w := New(s.File)
		stop := w.Show(lines)
		fmt.Fprintln(w, "message")
		stop()
		s.want("message")
		if strings.Contains(s.raw.String(), "\x1b") {
			t.Errorf("wrote %q to a dumb terminal, want plain text", s.raw.String())
		}
	})
}

func TestFit(t *testing.T) {
	t.Parallel()
	name := Part{Text: "日本語 model, seed 1", Least: 10}
	for columns, want := range map[int]string{
		60: "日本語 model, seed 1  step 1  loss 2",
		32: "… model, seed 1  step 1  loss 2",
		20: "…l, seed 1  step 1",
		14: "…eed 1  step 1",
		9:  "…eed 1  …",
		1:  "…",
	} {
		got := Fit(columns, name, Part{}, Part{Text: "step 1"}, Part{Text: "loss 2", Rank: 1})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in %d columns (-want +got):\n%s", columns, diff)
		}
	}
}
