package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"

	"bittern/reports"
)

// writeJSON writes the report as it is.
func writeJSON(w io.Writer, r *reports.Report, _ reports.View) error { return encodeJSON(w, r) }

// encodeJSON writes a value with every character that a terminal would not print as its
// escape \u…, which reads back as the same text.
func encodeJSON(w io.Writer, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var out strings.Builder
	for _, c := range text.String() {
		switch {
		case c == '\n' || strconv.IsPrint(c): // the encoder has escaped a string's own \n
			out.WriteRune(c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, c)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
