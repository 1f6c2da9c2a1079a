// Package format writes reports: one file for each format, and a list of all.
//
// Names, reasons and notes come from suite files and plugins. Every format writes them as
// text, whatever they contain; a test checks this for each entry of the list.
package format

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
	"bittern/reports"
)

// Format is a way to write a report. It has either Stream or Folder.
type Format struct {
	Name  string
	About string // a few words for a list
	// Extension is that of the files that an --output without a --format means, such as
	// ".md"; empty where no extension means this format.
	Extension string
	Shaped    bool // it follows a View; otherwise it has everything

	// Stream writes the report as one stream.
	Stream func(io.Writer, *reports.Report, reports.View) error
	// Folder writes the report as several files into an empty folder.
	Folder func(*os.Root, *reports.Report) error
}

// The default formats of a report: on a terminal, and elsewhere.
const (
	Terminal = "terminal"
	Markdown = "markdown"
)

// All lists every format.
func All() []Format {
	return []Format{
		{Name: Markdown, About: "tables for people and for pasting", Extension: ".md", Shaped: true, Stream: writeMarkdown},
		{Name: Terminal, About: "tables fitted to the terminal's width", Shaped: true, Stream: writeTerminal},
		{Name: "html", About: "a page with plots and tables that sort and filter, in one file that opens offline", Extension: ".html", Shaped: true, Stream: writeHTML},
		{Name: "latex", About: "a document with booktabs tables for papers", Extension: ".tex", Shaped: true, Stream: writeLaTeX},
		{Name: "csv", About: "a row for each network on each backend, with every figure", Extension: ".csv", Stream: writeCSV},
		{Name: "json", About: "everything that the run store has of the suite", Extension: ".json", Stream: writeJSON},
		{Name: "benchstat", About: "Go's benchmark format, in which benchstat compares two reports", Stream: writeBenchstat},
		{Name: "bmf", About: "Bencher Metric Format, for bencher run --adapter json", Stream: writeBMF},
		{Name: "every-eval-ever", About: "a file for each experiment in the schema of Every Eval Ever " + everyEvalVersion + ", into a folder", Folder: writeEveryEval},
		{Name: "tensorboard", About: "the training curves as event files, into a folder", Folder: writeTensorBoard},
	}
}

// Names are those of all formats.
func Names() []string {
	var names []string
	for _, f := range All() {
		names = append(names, f.Name)
	}
	return names
}

// Find returns the format with this name. If there is none, the error is a
// [*plugins.Problem].
func Find(name string) (Format, error) {
	for _, f := range All() {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, plugins.Problemf("there is no report format %q%s; use one of %s", name, plugins.DidYouMean(name, Names()), strings.Join(Names(), ", "))
}

// OfFile returns the format that the extension of a file's name stands for. If it stands for
// none, the error is a [*plugins.Problem].
func OfFile(name string) (Format, error) {
	var known []string
	for _, f := range All() {
		if f.Extension == "" {
			continue
		}
		if strings.EqualFold(filepath.Ext(name), f.Extension) {
			return f, nil
		}
		known = append(known, f.Extension)
	}
	return Format{}, plugins.Problemf("the name %s tells no format, as one with %s does; say with --format what to write there", name, strings.Join(known, ", "))
}
