package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bittern/harness/metric"
	"bittern/plugins"
)

// View says which tables are written and how. The zero value shows every table
// whole but for the columns that say nothing: those that are empty or have the same in
// all rows, which stand above the table instead.
type View struct {
	Columns []string // of these names alone, in this order
	Sort    string   // by the column of this name; with "-" in front the largest first
	GroupBy string   // one of Groups: a table for each
	Parts   bool     // with tables of energy and memory by part
	Wide    bool     // all columns, whatever they say and however wide the terminal is
	Width   int      // of the terminal in characters; 0 is no bound
	Color   bool
}

// Groups are what tables can be grouped by.
var Groups = []string{"task", "quantizer", "backend"}

// groupOf is the group that a line is in; ok is false where it has none.
func groupOf(l line, by string) (name string, ok bool) {
	switch by {
	case "task":
		return l.Task, true
	case "quantizer":
		return l.Quantizer, true
	case "backend":
		if l.machine != nil {
			return l.machine.Backend, true
		}
	}
	return "", false
}

// Columns lists the names of all columns that a View can name.
func Columns() []string {
	var names []string
	for _, k := range kinds() {
		for _, c := range k.columns(nil, "") {
			names = once(names, []string{c.id})
		}
	}
	return names
}

// Check refuses names that do not exist.
func (v View) Check() error {
	known := Columns()
	named := slices.Clone(v.Columns)
	if v.Sort != "" {
		named = append(named, strings.TrimPrefix(v.Sort, "-"))
	}
	for _, name := range named {
		if !slices.Contains(known, name) {
			return plugins.Problemf("there is no column %q%s; there are %s", name, plugins.DidYouMean(name, known), strings.Join(known, ", "))
		}
	}
	if v.GroupBy != "" && !slices.Contains(Groups, v.GroupBy) {
		return plugins.Problemf("tables cannot be grouped by %q%s; they can by %s", v.GroupBy, plugins.DidYouMean(v.GroupBy, Groups), strings.Join(Groups, ", "))
	}
	return nil
}

// document is a report as people read it, in plain text.
type document struct {
	title      string
	lead       []string // paragraphs
	sections   []section
	unfinished []string
	facts      []string // notes that no cell leads to
	provenance []item
}

type section struct {
	heading string
	tables  []sheet
}

// sheet is one table. What all rows have in common is in same.
type sheet struct {
	heading string
	columns []column
	rows    [][]cell
	same    []common
	all     []column // before some were left out
}

type common struct {
	column
	value cell
}

// item is one of a list, with a list below it.
type item struct {
	text  string
	below []string
}

func (r *Report) document(v View) document {
	d := document{title: r.Suite, lead: r.lead(), provenance: r.provenance()}
	for _, k := range kinds() {
		if k.hidden != nil && k.hidden(v) {
			continue
		}
		if tables := k.sheets(k.lines(r), v); len(tables) > 0 {
			d.sections = append(d.sections, section{k.heading, tables})
		}
	}
	for _, u := range r.Unfinished {
		d.unfinished = append(d.unfinished, u.String())
	}
	var metrics []string
	for _, n := range r.Networks {
		metrics = once(metrics, []string{n.Metric})
	}
	for _, name := range metrics {
		if m := metric.Metric(name); slices.Contains(metric.All, m) {
			d.facts = append(d.facts, fmt.Sprintf("%s: %s", m, m.Doc()))
		}
	}
	for _, e := range r.Experiments {
		if e.Unread != "" {
			d.facts = append(d.facts, fmt.Sprintf("the validations of experiment %s cannot be read: %s", e.ID, e.Unread))
		}
	}
	return d
}

// lead is what a reader must know before the tables.
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
	for _, p := range r.Provenance {
		if what := p.remarks(); what != "" {
			lead = once(lead, []string{"Data " + p.Data + what + "."})
		}
	}
	return lead
}

// sheets are the tables of a kind: one for each metric, since a BPC and a perplexity
// share no column, and for each group.
func (k kind) sheets(lines []line, v View) []sheet {
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
	var sheets []sheet
	for _, p := range parts {
		var heading []string
		if groups || v.GroupBy != "" && p.group != "" {
			heading = append(heading, p.group)
		}
		if metrics {
			heading = append(heading, p.metric)
		}
		if s := newSheet(k.columns(members[p], p.metric), members[p], v); len(s.columns) > 0 {
			s.heading = strings.Join(heading, ", ")
			sheets = append(sheets, s)
		}
	}
	return sheets
}

// newSheet makes a table of the columns that the view asks for; it has none where they
// are those that only say of what a row is.
func newSheet(columns []column, lines []line, v View) sheet {
	lines = slices.Clone(lines)
	if at := find(columns, strings.TrimPrefix(v.Sort, "-")); at >= 0 {
		sortBy(lines, columns[at], strings.HasPrefix(v.Sort, "-"))
	}
	if len(v.Columns) > 0 {
		columns = chosen(columns, v.Columns)
	}
	s := sheet{columns: columns, all: columns}
	for _, l := range lines {
		var row []cell
		for _, c := range columns {
			row = append(row, c.cell(l))
		}
		s.rows = append(s.rows, row)
	}
	if !v.Wide && len(v.Columns) == 0 {
		s.leaveOut()
	}
	return s
}

// find is the index of the column with this name, or −1.
func find(columns []column, id string) int {
	return slices.IndexFunc(columns, func(c column) bool { return c.id == id })
}

// chosen are the columns of these names, none where all only say of what a row is.
func chosen(columns []column, ids []string) []column {
	var picked []column
	says := false
	for _, id := range ids {
		if at := find(columns, id); at >= 0 {
			picked = append(picked, columns[at])
			says = says || find(identity(), id) < 0
		}
	}
	if !says {
		return nil
	}
	return picked
}

// sortBy sorts by numbers where the column has them, else by text. What is missing
// comes last in both directions.
func sortBy(lines []line, c column, descending bool) {
	slices.SortStableFunc(lines, func(a, b line) int {
		x, y := c.cell(a), c.cell(b)
		switch {
		case x.missing && y.missing:
			return 0
		case x.missing:
			return 1
		case y.missing:
			return -1
		}
		order := cmp.Compare(x.text, y.text)
		if x.value != nil && y.value != nil {
			order = cmp.Compare(*x.value, *y.value)
		}
		if descending {
			return -order
		}
		return order
	})
}

// leaveOut takes away the columns that have the same in all rows, and keeps what that
// is. Of a single row it takes those that are empty.
func (s *sheet) leaveOut() {
	for i := 0; i < len(s.columns); i++ {
		first := s.rows[0][i]
		same := !slices.ContainsFunc(s.rows, func(row []cell) bool {
			return row[i].text != first.text || !slices.Equal(row[i].notes, first.notes)
		})
		if s.columns[i].always || !same || len(s.rows) == 1 && !first.missing {
			continue
		}
		s.same = append(s.same, common{s.columns[i], first})
		s.drop(i)
		i--
	}
}

// drop takes column i away.
func (s *sheet) drop(i int) {
	s.columns = slices.Delete(slices.Clone(s.columns), i, i+1)
	for j := range s.rows {
		s.rows[j] = slices.Delete(slices.Clone(s.rows[j]), i, i+1)
	}
}

// docs gathers what the columns of the written tables mean, each once, and how
// footnotes are numbered.
type docs struct {
	columns []string
	notes   []string
}

// number is that of a footnote, in the order of their first use.
func (d *docs) number(note string) int {
	d.notes = once(d.notes, []string{note})
	return slices.Index(d.notes, note) + 1
}

// explain notes what the columns of a table mean that are in it or said above it.
func (d *docs) explain(s sheet) {
	shown := slices.Clone(s.columns)
	for _, c := range s.same {
		shown = append(shown, c.column)
	}
	for _, c := range s.all {
		if c.doc != "" && find(shown, c.id) >= 0 {
			d.columns = once(d.columns, []string{c.name + ": " + c.doc})
		}
	}
}
