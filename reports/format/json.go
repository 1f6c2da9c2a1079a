package format

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"

	"bittern/reports"
)

// Schema is the JSON Schema of the format json. Its $id ends in a number, which goes up when a
// field is removed or changes its meaning, but not when one is added.
//
//go:embed report.schema.json
var Schema string

// schemaID is the $id of [Schema].
const schemaID = "urn:bittern:report:1"

// writeJSON writes the report as it is, and which schema it follows.
func writeJSON(w io.Writer, r *reports.Report, _ reports.View) error {
	return encodeJSON(w, struct {
		Schema string `json:"$schema"`
		*reports.Report
	}{schemaID, r})
}

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
