package format

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/table"
)

// least is how many characters of a name are kept when names have to be shortened.
const least = 8

// writeTerminal writes the report for people at a terminal: every line within its width,
// and no word wrapped inside. Provenance is counted; a wide view has it whole.
func writeTerminal(w io.Writer, r *reports.Report, v reports.View) error {
	t := terminal{view: v}
	d := r.Document(v)
	t.heading(d.Title)
	for _, paragraph := range d.Lead {
		t.paragraph("", plugins.Line(paragraph))
	}
	for _, s := range d.Sections {
		t.heading(s.Heading)
		for _, sheet := range s.Sheets {
			if sheet.Heading != "" {
				t.heading(sheet.Heading)
			}
			if err := t.sheet(sheet); err != nil {
				return err
			}
		}
	}
	if len(d.Unfinished) > 0 {
		t.heading("Unfinished")
		for _, text := range d.Unfinished {
			t.paragraph("- ", plugins.Line(text))
		}
	}
	notes := once(append(t.abouts, d.Facts...))
	if len(notes)+len(t.footnotes) > 0 {
		t.heading("Notes")
	}
	for _, text := range notes {
		t.paragraph("- ", plugins.Line(text))
	}
	for i, note := range t.footnotes {
		t.paragraph(fmt.Sprintf("[%d] ", i+1), plugins.Line(note))
	}
	t.provenance(d.Provenance)
	_, err := io.WriteString(w, strings.TrimPrefix(t.text.String(), "\n"))
	return err
}

type terminal struct {
	view      reports.View
	abouts    []string
	footnotes reports.Footnotes
	text      strings.Builder
}

// heading writes a heading, in bold where there are colours.
func (t *terminal) heading(text string) {
	text = plugins.Line(text)
	if t.view.Color {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(&t.text, "\n%s\n", text)
}

// paragraph writes a text of one line within the width, the first part behind a mark and
// the others below it.
func (t *terminal) paragraph(mark, text string) {
	indent := strings.Repeat(" ", table.Width(mark))
	for i, line := range t.lines(text, len(indent)) {
		if i > 0 {
			mark = indent
		}
		fmt.Fprintf(&t.text, "%s%s\n", mark, line)
	}
}

// lines are the parts of a text that fit beside an indent.
func (t *terminal) lines(text string, indent int) []string {
	if t.width() == 0 {
		return []string{text}
	}
	return table.Wrap(text, t.width()-indent)
}

// width is that of the terminal; 0 is no bound.
func (t *terminal) width() int {
	if t.view.Wide {
		return 0
	}
	return t.view.Width
}

func (t *terminal) sheet(s reports.Sheet) error {
	var dropped []string
	for {
		// Footnotes have their numbers only when it is known what is shown.
		footnotes := slices.Clone(t.footnotes)
		write := writePlain(&footnotes)
		line := s.CommonLine(plugins.Line, write)
		built, err := textTable(s, plugins.Line, write)
		if err != nil {
			return err
		}
		if at := built.Next(t.width()); at >= 0 {
			dropped = append(dropped, s.Columns[at].Header)
			s = s.Without(at)
			continue
		}
		text, err := built.Plain()
		if err != nil {
			return err
		}
		if excess := table.Width(text) - t.width(); t.width() > 0 && excess > 0 && shorten(s, excess) {
			continue
		}
		t.footnotes = footnotes
		t.abouts = append(t.abouts, s.Abouts()...)
		if line != "" {
			t.paragraph("", line)
		}
		if len(dropped) > 0 {
			t.paragraph("", "Left out to fit the terminal: "+plugins.Line(strings.Join(dropped, ", "))+"; --wide shows all.")
		}
		t.text.WriteString(text)
		return nil
	}
}

func writePlain(footnotes *reports.Footnotes) func(reports.Cell) string {
	return func(c reports.Cell) string {
		var numbers []string
		for _, note := range c.Notes {
			numbers = append(numbers, fmt.Sprint(footnotes.Number(note)))
		}
		text := plugins.Line(c.Text)
		if len(numbers) > 0 {
			text += " [" + strings.Join(numbers, ",") + "]"
		}
		return text
	}
}

// shorten takes up to so many characters from the longest name of a row, and from all
// that are longer than what stays of it. It says whether that was possible.
func shorten(s reports.Sheet, by int) bool {
	column, longest := -1, least
	for i, c := range s.Columns {
		for _, row := range s.Rows {
			if n := table.Width(plugins.Line(row[i].Text)); !c.Right && n > longest {
				column, longest = i, n
			}
		}
	}
	if column < 0 {
		return false
	}
	for _, row := range s.Rows {
		if text := []rune(plugins.Line(row[column].Text)); len(text) > max(least, longest-by) {
			row[column].Text = string(text[:max(least, longest-by)-1]) + "…"
		}
	}
	return true
}

func (t *terminal) provenance(items []reports.Item) {
	if len(items) == 0 {
		return
	}
	t.heading("Provenance")
	if !t.view.Wide {
		t.paragraph("", fmt.Sprintf("%d entries; --wide shows them, and so do the formats markdown and json.", len(items)))
		return
	}
	for _, item := range items {
		t.paragraph("- ", plugins.Line(item.Text))
		for _, text := range item.Below {
			t.paragraph("  - ", plugins.Line(text))
		}
	}
}
