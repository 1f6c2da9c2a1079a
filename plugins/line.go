package plugins

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lineBytes is where [Line] cuts: some ten lines of a terminal.
const lineBytes = 1000

// Line makes one line of at most about 1,000 bytes of a text that a plugin wrote, to be shown
// to a user. Characters that move the cursor, colour the terminal or change the direction of
// writing, and bytes that are not UTF-8, are written as in a Go string (\n, \x1b, \u202e).
// Spaces around the text are dropped. Of a longer text the end is left out, and the line says
// how many bytes that is.
func Line(text string) string {
	text = strings.TrimSpace(text)
	var line strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		shown := text[i : i+size]
		if r == utf8.RuneError && size == 1 || !strconv.IsPrint(r) {
			quoted := strconv.Quote(shown)
			shown = quoted[1 : len(quoted)-1]
		}
		if line.Len()+len(shown) > lineBytes {
			fmt.Fprintf(&line, " … (%d more bytes)", len(text)-i)
			break
		}
		line.WriteString(shown)
		i += size
	}
	return line.String()
}

// Lines is [Line] of each text.
func Lines(texts []string) []string {
	if texts == nil {
		return nil
	}
	lines := make([]string, len(texts))
	for i, text := range texts {
		lines[i] = Line(text)
	}
	return lines
}
