package reports

import (
	"fmt"
	"io"
	"strings"

	"bittern/reports/table"
)

// markdown writes the report as GitHub-flavoured Markdown.
func (r *Report) markdown(w io.Writer, v View) error {
	var b strings.Builder
	var notes docs
	d := r.document(v)
	fmt.Fprintf(&b, "# %s\n", table.Text(d.title))
	for _, paragraph := range d.lead {
		fmt.Fprintf(&b, "\n%s\n", table.Text(paragraph))
	}
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n## %s\n", s.heading)
		for _, sheet := range s.tables {
			if sheet.heading != "" {
				fmt.Fprintf(&b, "\n### %s\n", table.Text(sheet.heading))
			}
			notes.explain(sheet)
			if err := sheet.markdown(&b, &notes); err != nil {
				return err
			}
		}
	}
	if len(d.unfinished) > 0 {
		b.WriteString("\n## Unfinished\n\n")
		for _, text := range d.unfinished {
			fmt.Fprintf(&b, "- %s\n", table.Text(text))
		}
	}
	if len(notes.columns)+len(d.facts) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, text := range append(notes.columns, d.facts...) {
			fmt.Fprintf(&b, "- %s\n", table.Text(text))
		}
	}
	if len(notes.notes) > 0 {
		b.WriteString("\n")
	}
	for i, note := range notes.notes {
		fmt.Fprintf(&b, "[^%d]: %s\n", i+1, table.Text(note))
	}
	if len(d.provenance) > 0 {
		b.WriteString("\n<details>\n<summary>Provenance</summary>\n\n")
		for _, item := range d.provenance {
			fmt.Fprintf(&b, "- %s\n", table.Text(item.text))
			for _, text := range item.below {
				fmt.Fprintf(&b, "  - %s\n", table.Text(text))
			}
		}
		b.WriteString("\n</details>\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s sheet) markdown(b *strings.Builder, notes *docs) error {
	write := func(c cell) string {
		text := table.Text(c.text)
		for _, note := range c.notes {
			text += fmt.Sprintf("[^%d]", notes.number(note))
		}
		return text
	}
	if line := s.common(write, table.Text); line != "" {
		fmt.Fprintf(b, "\n%s\n", line)
	}
	if len(s.columns) == 0 {
		return nil
	}
	b.WriteString("\n")
	t, err := s.table(write, table.Text)
	if err != nil {
		return err
	}
	return t.Write(b)
}

// common is the line above a table that says what all its rows have in common; it is
// empty where that is nothing. write and name write a cell and a header.
func (s sheet) common(write func(cell) string, name func(string) string) string {
	var parts []string
	for _, c := range s.same {
		parts = append(parts, name(c.name)+" "+write(c.value))
	}
	switch {
	case len(parts) == 0:
		return ""
	case len(s.rows) == 1:
		return "Left out: " + strings.Join(parts, "; ") + "."
	}
	return "All rows: " + strings.Join(parts, "; ") + "."
}

// table is the sheet with each cell written.
func (s sheet) table(write func(cell) string, name func(string) string) (*table.Table, error) {
	var headers []string
	var right []int
	for i, c := range s.columns {
		headers = append(headers, name(c.name))
		if c.right {
			right = append(right, i)
		}
	}
	t := table.New(headers...)
	t.AlignRight(right...)
	for i, c := range s.columns {
		t.Rank(c.rank, i)
	}
	for _, row := range s.rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, write(c))
		}
		if err := t.Append(cells...); err != nil {
			return nil, err
		}
	}
	return t, nil
}
