package reports

import (
	"slices"
	"strings"

	"bittern/plugins"
)

// View says which tables are written and how. The zero value shows every table without the
// columns that say nothing: those that are empty, and those that are the same in all rows,
// which are named above the table instead.
type View struct {
	Columns []string // of these names alone, in this order
	Sort    string   // by the column of this name; with "-" in front the largest first
	GroupBy string   // one of Groups: a table for each
	Parts   bool     // with tables of energy and memory by part
	// Hardware leaves out the tables that are not of networks on backends.
	Hardware bool
	Wide     bool // all columns, whatever they say and however wide the terminal is
	Width    int  // of the terminal in characters; 0 is no bound
	Color    bool
}

// Groups are what tables can be grouped by.
var Groups = []string{"task", "quantizer", "backend"}

// groupOf returns the group of a line; ok is false if it has none.
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
			names = once(names, []string{c.ID})
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
