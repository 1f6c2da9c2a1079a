package host

import (
	"fmt"
	"strings"
	"testing"
)

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	lines := newTail()
	for i := range 100 {
		fmt.Fprintf(lines, "line %d\nand ", i)
	}
	if got := strings.Split(lines.String(), "\n"); len(got) != tailLines+1 || got[0] != "and line 60" || got[tailLines] != "and" {
		t.Errorf("got %d lines from %q to %q, want the last %d and the one that has not ended", len(got), got[0], got[len(got)-1], tailLines)
	}

	// A line that never ends takes no more memory than a long one.
	bar := newTail()
	for i := range 10_000 {
		fmt.Fprintf(bar, "\r%d of 10000", i)
	}
	if got := bar.String(); got != "9999 of 10000" || cap(bar.line) > 4*tailLine {
		t.Errorf("kept %.40q in %d bytes, want the last of the bar in a few", got, cap(bar.line))
	}
	fmt.Fprintf(bar, "%s\nnext", strings.Repeat("x", 3*tailLine))
	if got := bar.String(); len(got) != tailLine+len("\nnext") {
		t.Errorf("kept %d bytes of a long line and another, want %d", len(got), tailLine+len("\nnext"))
	}
}

func TestTailEscapes(t *testing.T) {
	t.Parallel()
	lines := newTail()
	fmt.Fprintf(lines, "\n\x1b[31mred\x1b[0m\r\n\tindented\nbad \xff")
	if got, want := lines.String(), "\\x1b[31mred\\x1b[0m\nindented\nbad \\xff"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinesOfSeveralStreamsStayWhole(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	a, b := &stream{to: &log}, &stream{to: &log}
	long := strings.Repeat("x", maxWaiting+1)
	for _, write := range []struct {
		to   *stream
		text string
	}{{a, "one"}, {b, "two\nth"}, {a, "\n"}, {b, "ree\n"}, {a, long}, {a, "\nfo"}} {
		fmt.Fprint(write.to, write.text)
	}
	a.flush()
	b.flush()
	if got, want := log.String(), "two\none\nthree\n"+long+"\nfo"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
