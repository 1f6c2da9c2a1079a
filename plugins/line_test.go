package plugins_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"bittern/plugins"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "",
		"give it 100 % of α = 0.5 \"µm\"": "give it 100 % of α = 0.5 \"µm\"",
		"\n one \n":                       "one",
		"one\ntwo\r\n\tthree":             `one\ntwo\r\n\tthree`,
		"\x1b[31mred\x1b[0m\a":            `\x1b[31mred\x1b[0m\a`,
		"bad \xff\xc3 utf-8":              `bad \xff\xc3 utf-8`,
		"c1 \u009b31m bidi \u202eevil":    `c1 \u009b31m bidi \u202eevil`,
		"line\u2028separator\u0000 null":  `line\u2028separator\x00 null`,
		"\ufffd a genuine one":            "\ufffd a genuine one",
	} {
		if got := plugins.Line(text); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
	for _, piece := range []string{"x", "α", "\x1b", "\U0001f600", "\xff"} {
		long := strings.Repeat(piece, 1<<20/len(piece))
		got := plugins.Line(long)
		if len(got) > 1030 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\n") || !strings.HasSuffix(got, " more bytes)") {
			t.Errorf("Line of a mebibyte of %q = %d bytes ending in %q, want one bounded line that says how much is left out", piece, len(got), got[max(0, len(got)-40):])
		}
	}
	exact := strings.Repeat("x", 1000)
	if got := plugins.Line(exact); got != exact {
		t.Errorf("Line of 1,000 bytes = %d bytes, want them all", len(got))
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	if got := plugins.Lines(nil); got != nil {
		t.Errorf("Lines(nil) = %q, want nil", got)
	}
	if got := plugins.Lines([]string{"a\nb", "c"}); len(got) != 2 || got[0] != `a\nb` || got[1] != "c" {
		t.Errorf("Lines = %q, want each escaped", got)
	}
}
