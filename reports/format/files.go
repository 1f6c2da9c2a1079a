package format

import (
	"strings"
	"unicode/utf8"
)

// fileNameBytes is how long the name of a file made of a label can be; 255 is what
// file systems allow.
const fileNameBytes = 100

// fileName is a text as the name of a file or folder, on every system and in a URL:
// letters and digits of ASCII, "-", "_" and dots inside, with "_" for anything else.
func fileName(text string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c < utf8.RuneSelf && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'):
			return c
		}
		return '_'
	}, text)
	name = strings.Trim(name[:min(len(name), fileNameBytes)], ".")
	if name == "" {
		return "_"
	}
	return name
}
