package format

import (
	"io"

	"bittern/reports"
	"bittern/reports/page"
)

// writeHTML writes one file that opens in a browser without anything else.
func writeHTML(w io.Writer, r *reports.Report, view reports.View) error {
	made, err := page.New(r, view)
	if err != nil {
		return err
	}
	return made.Write(w)
}
