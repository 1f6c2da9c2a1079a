package reports

import (
	"encoding/json"
	"io"
	"strings"

	"bittern/plugins"
)

// Format is how a report is written.
type Format string

// The formats of a report.
const (
	Markdown Format = "markdown"
	JSON     Format = "json"
	CSV      Format = "csv"
)

// Formats lists every format.
var Formats = []Format{Markdown, JSON, CSV}

// Write writes the report in a format; an unknown one is a Problem.
func (r *Report) Write(w io.Writer, format Format) error {
	switch format {
	case Markdown:
		return r.markdown(w)
	case JSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case CSV:
		return r.csv(w)
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return plugins.Problemf("there is no report format %q%s; use one of %s", format, plugins.DidYouMean(string(format), names), strings.Join(names, ", "))
}
