package format

import (
	"fmt"
	"io"
	"strings"

	"bittern/reports"
	"bittern/reports/table"
)

// writeMarkdown writes the report as GitHub-flavoured Markdown.
func writeMarkdown(w io.Writer, r *reports.Report, v reports.View) error {
	var b strings.Builder
	var abouts []string
	var footnotes reports.Footnotes
	d := r.Document(v)
	fmt.Fprintf(&b, "# %s\n", table.Text(d.Title))
	for _, paragraph := range d.Lead {
		fmt.Fprintf(&b, "\n%s\n", table.Text(paragraph))
	}
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n## %s\n", s.Heading)
		for _, sheet := range s.Sheets {
			if sheet.Heading != "" {
				fmt.Fprintf(&b, "\n### %s\n", table.Text(sheet.Heading))
			}
			abouts = append(abouts, sheet.Abouts()...)
			if err := markdownTable(&b, sheet, &footnotes); err != nil {
				return err
			}
		}
	}
	if len(d.Unfinished) > 0 {
		b.WriteString("\n## Unfinished\n\n")
		for _, text := range d.Unfinished {
			fmt.Fprintf(&b, "- %s\n", table.Text(text))
		}
	}
	if notes := once(append(abouts, d.Facts...)); len(notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, text := range notes {
			fmt.Fprintf(&b, "- %s\n", table.Text(text))
		}
	}
	if len(footnotes) > 0 {
		b.WriteString("\n")
	}
	for i, note := range footnotes {
		fmt.Fprintf(&b, "[^%d]: %s\n", i+1, table.Text(note))
	}
	if len(d.Provenance) > 0 {
		b.WriteString("\n<details>\n<summary>Provenance</summary>\n\n")
		for _, item := range d.Provenance {
			fmt.Fprintf(&b, "- %s\n", table.Text(item.Text))
			for _, text := range item.Below {
				fmt.Fprintf(&b, "  - %s\n", table.Text(text))
			}
		}
		b.WriteString("\n</details>\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownTable(b *strings.Builder, s reports.Sheet, footnotes *reports.Footnotes) error {
	write := func(c reports.Cell) string {
		text := table.Text(c.Text)
		for _, note := range c.Notes {
			text += fmt.Sprintf("[^%d]", footnotes.Number(note))
		}
		return text
	}
	if line := s.CommonLine(table.Text, write); line != "" {
		fmt.Fprintf(b, "\n%s\n", line)
	}
	if len(s.Columns) == 0 {
		return nil
	}
	b.WriteString("\n")
	t, err := textTable(s, table.Text, write)
	if err != nil {
		return err
	}
	return t.Write(b)
}
