package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bittern/harness/metric"
)

// Document is a report as people read it. All its text is plain, as suites and plugins
// wrote it: each format escapes the characters that have a meaning in it, and turns a text
// into one line with [plugins.Line].
type Document struct {
	Title      string
	Lead       []string // paragraphs that a reader must know before the tables
	Sections   []Section
	Unfinished []string
	Facts      []string // notes that belong to no cell
	Provenance []Item
}

// Section holds the tables of one kind, such as Results. It has several tables if they are
// grouped, or if tasks have different metrics.
type Section struct {
	Heading string
	Sheets  []Sheet
}

// Sheet is one table.
type Sheet struct {
	Heading string // empty if the section has only this table
	Columns []Column
	Rows    [][]Cell // each has a cell for each column
	Common  []Common // columns left out because all rows have the same; for a single row, because it has nothing
}

// Column describes a column of a table.
type Column struct {
	ID     string // for flags; in the tables of parts it is the part's name
	Header string // with the unit
	About  string // what the column says, for the notes; empty if the header is enough
	Right  bool   // aligned right
	// Rank says how soon the column is left out if there is no room for all: the highest
	// rank goes first, and rank 0 stays.
	Rank int

	always bool // shown even if all rows have the same figure
	cell   func(line) Cell
}

// Cell is a figure, as it is shown, or a name.
type Cell struct {
	Text string
	// Value is the number that the cell sorts by, in the unit in which it is stored
	// (bytes, joules, seconds). It is nil for names, which sort by their text, and for
	// missing figures.
	Value   *float64
	Notes   []string // footnotes, see [Footnotes]
	Missing bool     // sorts last in both directions
}

// Common is a column that is left out because every row has the same cell in it.
type Common struct {
	Column
	Cell Cell
}

// Item is an entry of a list, with a list below it.
type Item struct {
	Text  string
	Below []string
}

// Footnotes are the notes of cells, each once, in the order of their first use.
type Footnotes []string

// Number returns the number of a note, counted from 1. It adds a note that is new.
func (f *Footnotes) Number(note string) int {
	*f = once(*f, []string{note})
	return slices.Index(*f, note) + 1
}

// Abouts explains each column that the table shows, and each that it leaves out, as in "Δ: deployable score less that of full precision".
func (s Sheet) Abouts() []string {
	var abouts []string
	add := func(c Column) {
		if c.About != "" {
			abouts = append(abouts, c.Header+": "+c.About)
		}
	}
	for _, c := range s.Columns {
		add(c)
	}
	for _, c := range s.Common {
		add(c.Column)
	}
	return abouts
}

// CommonLine returns the line above the table that names what all rows have in common. It is
// empty if that is nothing. header and cell write a header and a cell.
func (s Sheet) CommonLine(header func(string) string, cell func(Cell) string) string {
	var parts []string
	for _, c := range s.Common {
		parts = append(parts, header(c.Header)+" "+cell(c.Cell))
	}
	switch {
	case len(parts) == 0:
		return ""
	case len(s.Rows) == 1:
		return "Left out: " + strings.Join(parts, "; ") + "."
	}
	return "All rows: " + strings.Join(parts, "; ") + "."
}

// Without returns the table without column i.
func (s Sheet) Without(i int) Sheet {
	s.Columns = slices.Delete(slices.Clone(s.Columns), i, i+1)
	s.Rows = slices.Clone(s.Rows)
	for j, row := range s.Rows {
		s.Rows[j] = slices.Delete(slices.Clone(row), i, i+1)
	}
	return s
}

// Document lays the report out as a view asks.
func (r *Report) Document(v View) Document {
	d := Document{Title: r.Suite, Lead: r.lead(), Provenance: r.provenance()}
	for _, k := range kinds() {
		if k.hidden != nil && k.hidden(v) || v.Hardware && !k.machines {
			continue
		}
		if tables := k.sheets(k.lines(r), v); len(tables) > 0 {
			d.Sections = append(d.Sections, Section{k.heading, tables})
		}
	}
	for _, u := range r.Unfinished {
		d.Unfinished = append(d.Unfinished, u.String())
	}
	var metrics []string
	for _, n := range r.Networks {
		metrics = once(metrics, []string{n.Metric})
	}
	for _, name := range metrics {
		if m := metric.Metric(name); slices.Contains(metric.All, m) {
			d.Facts = append(d.Facts, fmt.Sprintf("%s: %s", m, m.Doc()))
		}
	}
	for _, e := range r.Experiments {
		if e.Unread != "" {
			d.Facts = append(d.Facts, fmt.Sprintf("the validations of experiment %s cannot be read: %s", e.ID, e.Unread))
		}
	}
	return d
}

// lead returns the paragraphs that a reader must know before the tables.
func (r *Report) lead() []string {
	var lead []string
	switch asked := slices.ContainsFunc(r.Experiments, func(e Experiment) bool { return len(e.Backends) > 0 }); {
	case len(r.Experiments) == 0:
		lead = append(lead, fmt.Sprintf("No experiment of the suite %s is finished.", r.Suite))
	case asked && len(machineLines(r)) == 0:
		lead = append(lead, fmt.Sprintf("No deployment of the suite %s is finished.", r.Suite))
	case !asked:
		lead = append(lead, "The suite asks for no backend: no machine has computed the packed networks, and there are no costs.")
	}
	if len(r.Experiments) > 0 && !slices.ContainsFunc(r.Experiments, func(e Experiment) bool { return e.Steps > 0 || e.FrozenModel != nil }) {
		lead = append(lead, "No network is trained: costs are of networks with their starting weights, and there are no scores.")
	}
	for _, p := range r.Provenance {
		if what := p.remarks(); what != "" {
			lead = once(lead, []string{"Data " + p.Data + what + "."})
		}
	}
	return lead
}

// sheets returns the tables of a kind: one for each group and metric, as a BPC and a
// perplexity cannot share a column.
func (k kind) sheets(lines []line, v View) []Sheet {
	type part struct{ metric, group string }
	var parts []part
	members := make(map[part][]line)
	for _, l := range lines {
		group, _ := groupOf(l, v.GroupBy)
		p := part{l.Metric, group}
		parts = once(parts, []part{p})
		members[p] = append(members[p], l)
	}
	// The groups stand together, in the order of their first rows.
	slices.SortStableFunc(parts, func(a, b part) int {
		first := func(p part) int { return slices.IndexFunc(parts, func(q part) bool { return q.group == p.group }) }
		return cmp.Compare(first(a), first(b))
	})
	several := func(of func(part) string) bool {
		return slices.ContainsFunc(parts, func(p part) bool { return of(p) != of(parts[0]) })
	}
	metrics, groups := several(func(p part) string { return p.metric }), several(func(p part) string { return p.group })
	var sheets []Sheet
	for _, p := range parts {
		var heading []string
		if groups || v.GroupBy != "" && p.group != "" {
			heading = append(heading, p.group)
		}
		if metrics {
			heading = append(heading, p.metric)
		}
		if s := newSheet(k.columns(members[p], p.metric), members[p], v); len(s.Columns) > 0 {
			s.Heading = strings.Join(heading, ", ")
			sheets = append(sheets, s)
		}
	}
	return sheets
}

// newSheet makes a table of the columns that the view asks for. It has no columns if those
// would only name the rows' networks.
func newSheet(columns []Column, lines []line, v View) Sheet {
	lines = slices.Clone(lines)
	if at := find(columns, strings.TrimPrefix(v.Sort, "-")); at >= 0 {
		sortBy(lines, columns[at], strings.HasPrefix(v.Sort, "-"))
	}
	if len(v.Columns) > 0 {
		columns = chosen(columns, v.Columns)
	}
	s := Sheet{Columns: columns}
	for _, l := range lines {
		var row []Cell
		for _, c := range columns {
			row = append(row, c.cell(l))
		}
		s.Rows = append(s.Rows, row)
	}
	if !v.Wide && len(v.Columns) == 0 {
		s = s.leaveOut()
	}
	return s
}

// find returns the index of the column with this name, or −1.
func find(columns []Column, id string) int {
	return slices.IndexFunc(columns, func(c Column) bool { return c.ID == id })
}

// chosen returns the columns with these names, or none if they would only name the rows'
// networks and backends.
func chosen(columns []Column, ids []string) []Column {
	var picked []Column
	says := false
	for _, id := range ids {
		if at := find(columns, id); at >= 0 {
			picked = append(picked, columns[at])
			says = says || !identifies(id)
		}
	}
	if !says {
		return nil
	}
	return picked
}

// sortBy sorts by numbers if the column has them, otherwise by text. Missing figures come last
// in both directions.
func sortBy(lines []line, c Column, descending bool) {
	slices.SortStableFunc(lines, func(a, b line) int {
		x, y := c.cell(a), c.cell(b)
		switch {
		case x.Missing && y.Missing:
			return 0
		case x.Missing:
			return 1
		case y.Missing:
			return -1
		}
		order := cmp.Compare(x.Text, y.Text)
		if x.Value != nil && y.Value != nil {
			order = cmp.Compare(*x.Value, *y.Value)
		}
		if descending {
			return -order
		}
		return order
	})
}

// leaveOut removes the columns in which all rows have the same, and notes what that is. In a
// table of a single row it removes the empty columns.
func (s Sheet) leaveOut() Sheet {
	for i := 0; i < len(s.Columns); i++ {
		first := s.Rows[0][i]
		same := !slices.ContainsFunc(s.Rows, func(row []Cell) bool {
			return row[i].Text != first.Text || !slices.Equal(row[i].Notes, first.Notes)
		})
		if s.Columns[i].always && (!first.Missing || len(s.Rows) == 1) || !same || len(s.Rows) == 1 && !first.Missing {
			continue
		}
		s.Common = append(s.Common, Common{s.Columns[i], first})
		s = s.Without(i)
		i--
	}
	return s
}
