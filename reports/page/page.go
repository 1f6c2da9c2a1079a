// Package page writes a report as an HTML page: one file that opens offline, with plots and
// with tables that sort and filter, and nothing loaded from elsewhere. A [Page] shows what is
// finished. A [Live] page shows a run that is under way; a server sends it and then updates it
// part by part.
//
// Its script and its style sheet are script.js and style.css beside this file, and the
// page's Content-Security-Policy lets nothing else run. The page can be read without the
// script, which only sorts, filters and updates.
//
// Names, reasons and notes come from suite files and plugins. They come out as text,
// whatever is in them, by html/template; only the plots, which escape them too, are put
// into the page as they are.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strings"
)

//go:embed page.html
var layout string

//go:embed style.css
var style string

//go:embed script.js
var script string

//go:embed mark.svg
var mark string

var templates = template.Must(template.New("").Parse(layout))

// Page is a report that is ready to be written.
type Page struct {
	filled page
	// constant are the parts of a live page that are of this report alone, which are
	// long: they are made once, and only for live pages.
	constant func() (map[string]Part, error)
}

// Part is a part of a page as HTML. Its hash tells it from others.
type Part struct {
	Hash string `json:"hash"`
	HTML string `json:"html,omitempty"`
}

// Write writes the page: the same bytes for the same report.
func (p *Page) Write(w io.Writer) error { return p.filled.write(w, "page") }

// page is what the templates are filled with.
type page struct {
	Title    string
	Lead     []string
	Counts   []count
	Suites   []suiteLink
	Sections []section

	Unfinished []string
	Explained  []string // what columns mean, and other notes that no cell leads to
	Notes      []note
	Provenance []item

	Live     bool
	Progress *progress
}

type count struct {
	Name  string
	Value int
}

type suiteLink struct {
	Name  string
	Shown bool
}

type section struct {
	ID, Heading string
	Tables      []sheet
	Figures     []figure
	Missing     []string // why there is no figure
}

type sheet struct {
	ID, Heading, Label string
	Common             template.HTML // what all rows have in common
	Columns            []column
	Rows               []row
}

type column struct {
	ID, Header, About string
	Right             bool
}

// row is a row of a table, with the names that the filters use; Backend may be empty.
type row struct {
	Task, Quantizer, Backend string
	Cells                    []cell
}

type cell struct {
	Text, Class string
	Value       string // the number to sort by; empty where the text is
	Notes       []note
}

type note struct {
	Number int
	Text   string
}

type figure struct {
	ID, Title, Caption string
	SVG                template.HTML
}

type item struct {
	Text  string
	Below []string
}

// The parts of a page that are constant, and that the templates ask for.

func (page) Style() template.CSS { return template.CSS(style) }
func (page) Script() template.JS { return template.JS(script) }
func (page) Mark() template.HTML { return template.HTML(mark) }

// Icon is the mark as an address, so that no browser asks for /favicon.ico.
func (page) Icon() template.URL {
	return template.URL("data:image/svg+xml," + url.PathEscape(mark))
}

// Policy is the Content-Security-Policy: the page's own script and style sheet run, by
// their hashes, and nothing is loaded. A live page may ask the server that sent it.
func (p page) Policy() string {
	policy := fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'", hash(script), hash(style))
	if p.Live {
		policy += "; connect-src 'self'"
	}
	return policy
}

func hash(text string) string {
	digest := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
}

// Contents are the sections that the page begins with links to.
func (p page) Contents() []section {
	contents := p.Sections
	for _, more := range []struct {
		there       bool
		id, heading string
	}{
		{len(p.Unfinished) > 0, "unfinished", "Not finished"},
		{len(p.Explained)+len(p.Notes) > 0, "notes", "Notes"},
		{len(p.Provenance) > 0, "provenance", "Provenance"},
	} {
		if more.there {
			contents = append(contents[:len(contents):len(contents)], section{ID: more.id, Heading: more.heading})
		}
	}
	return contents
}

// part fills a template that is a part of the page.
func (p page) part(name string) (Part, error) {
	var text strings.Builder
	err := p.write(&text, name)
	digest := sha256.Sum256([]byte(text.String()))
	return Part{base64.RawURLEncoding.EncodeToString(digest[:]), text.String()}, err
}

// parts fills several templates.
func (p page) parts(names ...string) (map[string]Part, error) {
	filled := make(map[string]Part)
	var errs []error
	for _, name := range names {
		part, err := p.part(name)
		filled[name], errs = part, append(errs, err)
	}
	return filled, errors.Join(errs...)
}

// write fills a template.
func (p page) write(w io.Writer, name string) error {
	var out bytes.Buffer // a page is whole or not written at all
	if err := templates.ExecuteTemplate(&out, name, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err := w.Write(out.Bytes())
	return err
}
