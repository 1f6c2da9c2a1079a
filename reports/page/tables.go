package page

import (
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"sync"

	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/plot"
)

// New makes the page of a report, its tables as a view asks.
func New(r *reports.Report, view reports.View) (*Page, error) {
	d := r.Document(view)
	filled := page{Title: plugins.Line(d.Title), Lead: plugins.Lines(d.Lead), Unfinished: plugins.Lines(d.Unfinished), Counts: counts(r)}
	var notes reports.Footnotes
	for _, s := range d.Sections {
		filled.addSection(s, &notes)
	}
	for _, fact := range d.Facts {
		filled.Explained = append(filled.Explained, plugins.Line(fact))
	}
	for i, text := range notes {
		filled.Notes = append(filled.Notes, note{i + 1, plugins.Line(text)})
	}
	for _, i := range d.Provenance {
		filled.Provenance = append(filled.Provenance, item{plugins.Line(i.Text), plugins.Lines(i.Below)})
	}
	if err := filled.addFigures(r); err != nil {
		return nil, err
	}
	return &Page{filled, sync.OnceValues(func() (map[string]Part, error) { return filled.parts("results", "notes") })}, nil
}

// counts are what the page begins with.
func counts(r *reports.Report) []count {
	var backends []string
	for _, n := range r.Networks {
		for _, d := range n.Deployments {
			if !slices.Contains(backends, d.Backend) {
				backends = append(backends, d.Backend)
			}
		}
	}
	all := []count{
		{"networks", len(r.Networks)}, {"finished experiments", len(r.Experiments)}, {"backends", len(backends)},
	}
	return slices.DeleteFunc(all, func(c count) bool { return c.Value == 0 })
}

// addSection adds the tables of a section, and the notes that they lead to.
func (p *page) addSection(of reports.Section, notes *reports.Footnotes) {
	s := section{ID: identifier(of.Heading), Heading: of.Heading}
	for i, from := range of.Sheets {
		table := sheet{
			ID: fmt.Sprintf("%s-%d", s.ID, i+1), Heading: plugins.Line(from.Heading), Label: plugins.Line(strings.TrimSuffix(of.Heading+", "+from.Heading, ", ")),
			Common: commonLine(from, notes),
		}
		for _, about := range from.Abouts() {
			if about = plugins.Line(about); !slices.Contains(p.Explained, about) {
				p.Explained = append(p.Explained, about)
			}
		}
		for _, c := range from.Columns {
			table.Columns = append(table.Columns, column{ID: c.ID, Header: plugins.Line(c.Header), About: plugins.Line(c.About), Right: c.Right})
		}
		for i := range from.Rows {
			table.Rows = append(table.Rows, newRow(from, i, notes))
		}
		s.Tables = append(s.Tables, table)
	}
	p.Sections = append(p.Sections, s)
}

// newRow is row i of a table.
func newRow(of reports.Sheet, i int, notes *reports.Footnotes) row {
	var r row
	say := func(column, text string) {
		switch column {
		case "task":
			r.Task = plugins.Line(text)
		case "quantizer":
			r.Quantizer = plugins.Line(text)
		case "backend":
			r.Backend = plugins.Line(text)
		}
	}
	for _, c := range of.Common {
		say(c.ID, c.Cell.Text)
	}
	for j, from := range of.Rows[i] {
		say(of.Columns[j].ID, from.Text)
		c := cell{Text: plugins.Line(from.Text), Class: "text", Notes: numbered(from.Notes, notes)}
		if of.Columns[j].Right {
			c.Class = "number"
		}
		if from.Missing {
			c.Class += " missing"
		}
		if from.Value != nil {
			c.Value = strconv.FormatFloat(*from.Value, 'g', -1, 64)
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

func numbered(texts []string, notes *reports.Footnotes) []note {
	var list []note
	for _, text := range texts {
		list = append(list, note{notes.Number(text), plugins.Line(text)})
	}
	return list
}

// commonLine is what all rows of a table have in common, with links to its notes.
func commonLine(of reports.Sheet, notes *reports.Footnotes) template.HTML {
	text := func(text string) string { return template.HTMLEscapeString(plugins.Line(text)) }
	return template.HTML(of.CommonLine(text, func(c reports.Cell) string {
		html := text(c.Text)
		for _, n := range numbered(c.Notes, notes) {
			html += fmt.Sprintf(`<sup><a href="#note-%d" title="%s">%[1]d</a></sup>`, n.Number, text(n.Text))
		}
		return html
	}))
}

// places says, by kind of plot, which heading its section has. If the report has no such
// section, one is made in front of the section that the field before names. A kind that is
// not listed gets a section of its own at the end.
var places = map[string]struct{ heading, before string }{
	"curves": {"Learning curves", ""},
	"memory": {"Accuracy against memory", "Hardware"},
	"energy": {"Accuracy against energy", "Hardware"},
	"parts":  {"Energy and memory by part", "Learning curves"},
}

// addFigures draws all plots of the report. It says what cannot be drawn, and why.
func (p *page) addFigures(r *reports.Report) error {
	if len(r.Networks) == 0 {
		return nil // the page says so already
	}
	r.ReadTraining()
	for _, kind := range plot.Kinds() {
		place, known := places[kind.Name]
		if !known {
			place.heading = kind.About
		}
		at := p.section(place.heading, place.before)
		figures, missing, err := drawn(r, kind.Name, "")
		if problem, ok := errors.AsType[*plugins.Problem](err); ok {
			p.Sections[at].Missing = append(p.Sections[at].Missing, plugins.Line(problem.Sentence))
			continue
		}
		if err != nil {
			return err
		}
		p.Sections[at].Figures = append(p.Sections[at].Figures, figures...)
		if missing != "" {
			p.Sections[at].Missing = append(p.Sections[at].Missing, missing)
		}
	}
	return nil
}

// section returns the index of the section with this heading. If there is none, it makes one,
// in front of another or at the end.
func (p *page) section(heading, before string) int {
	find := func(heading string) int {
		return slices.IndexFunc(p.Sections, func(s section) bool { return s.Heading == heading })
	}
	at := find(heading)
	if at >= 0 {
		return at
	}
	if at = find(before); at < 0 {
		at = len(p.Sections)
	}
	p.Sections = slices.Insert(p.Sections, at, section{ID: identifier(heading), Heading: heading})
	return at
}

// drawn returns the figures of a kind, and which are missing and why ([plot.Draw]). Their ids
// begin with prefix, as ids must be unique in the page.
func drawn(r *reports.Report, kind, prefix string) (figures []figure, missing string, err error) {
	drawings, missing, err := plot.Draw(r, kind)
	if err != nil {
		return nil, "", err
	}
	for _, d := range drawings {
		d.ID = prefix + d.ID
		var svg strings.Builder
		if err := d.Inline(&svg); err != nil {
			return nil, "", fmt.Errorf("draw %s: %w", d.Title, err)
		}
		figures = append(figures, figure{ID: "figure-" + d.ID, Title: d.Title, Caption: d.Caption, SVG: template.HTML(svg.String())})
	}
	return figures, missing, nil
}

// identifier is a heading as an id.
func identifier(heading string) string {
	return strings.ReplaceAll(strings.ToLower(heading), " ", "-")
}
