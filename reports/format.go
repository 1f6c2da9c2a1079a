package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"

	"bittern/plugins"
)

// Format is how a report is written.
type Format string

// The formats of a report.
const (
	Markdown Format = "markdown"
	Terminal Format = "terminal" // plain text, fitted to the width of a View
	JSON     Format = "json"
	CSV      Format = "csv"
)

// Formats lists every format.
var Formats = []Format{Markdown, Terminal, JSON, CSV}

// Write writes the report in a format. An unknown one is a Problem, and so is a view
// that names what does not exist. JSON and CSV have everything, and no view.
func (r *Report) Write(w io.Writer, format Format, view View) error {
	if err := view.Check(); err != nil {
		return err
	}
	switch format {
	case Markdown:
		return r.markdown(w, view)
	case Terminal:
		return r.terminal(w, view)
	case JSON:
		return r.json(w)
	case CSV:
		return r.csv(w)
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return plugins.Problemf("there is no report format %q%s; use one of %s", format, plugins.DidYouMean(string(format), names), strings.Join(names, ", "))
}

// json writes the report with every character that a terminal would not print as its
// escape \u…, which reads back as the same text.
func (r *Report) json(w io.Writer) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
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
