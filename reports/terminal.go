package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"bittern/plugins"
	"bittern/reports/table"
)

// least is to how many characters a name is shortened where nothing else helps.
const least = 8

// terminal writes the report for people at a terminal: every line within its width,
// and no word wrapped inside. Provenance is counted; a wide view has it whole.
func (r *Report) terminal(w io.Writer, v View) error {
	t := terminal{view: v}
	d := r.document(v)
	t.heading(d.title)
	for _, paragraph := range d.lead {
		t.paragraph("", plugins.Line(paragraph))
	}
	for _, s := range d.sections {
		t.heading(s.heading)
		for _, sheet := range s.tables {
			if sheet.heading != "" {
				t.heading(sheet.heading)
			}
			if err := t.sheet(sheet); err != nil {
				return err
			}
		}
	}
	if len(d.unfinished) > 0 {
		t.heading("Unfinished")
		for _, text := range d.unfinished {
			t.paragraph("- ", plugins.Line(text))
		}
	}
	if len(t.docs.columns)+len(d.facts)+len(t.docs.notes) > 0 {
		t.heading("Notes")
	}
	for _, text := range append(t.docs.columns, d.facts...) {
		t.paragraph("- ", plugins.Line(text))
	}
	for i, note := range t.docs.notes {
		t.paragraph(fmt.Sprintf("[%d] ", i+1), plugins.Line(note))
	}
	t.provenance(d.provenance)
	_, err := io.WriteString(w, strings.TrimPrefix(t.text.String(), "\n"))
	return err
}

type terminal struct {
	view View
	docs docs
	text strings.Builder
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

func (t *terminal) sheet(s sheet) error {
	var dropped []string
	for {
		// Footnotes have their numbers only when it is known what is shown.
		trial := docs{columns: t.docs.columns, notes: slices.Clone(t.docs.notes)}
		write := writePlain(&trial)
		line := s.common(write, plugins.Line)
		built, err := s.table(write, plugins.Line)
		if err != nil {
			return err
		}
		if at := built.Next(t.width()); at >= 0 {
			dropped = append(dropped, s.columns[at].name)
			s.drop(at)
			continue
		}
		text, err := built.Plain()
		if err != nil {
			return err
		}
		if excess := table.Width(text) - t.width(); t.width() > 0 && excess > 0 && s.shorten(excess) {
			continue
		}
		t.docs = trial
		t.docs.explain(s)
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

func writePlain(notes *docs) func(cell) string {
	return func(c cell) string {
		var numbers []string
		for _, note := range c.notes {
			numbers = append(numbers, fmt.Sprint(notes.number(note)))
		}
		text := plugins.Line(c.text)
		if len(numbers) > 0 {
			text += " [" + strings.Join(numbers, ",") + "]"
		}
		return text
	}
}

// shorten takes up to so many characters from the longest name of a row, and from all
// that are longer than what stays of it. It says whether that was possible.
func (s *sheet) shorten(by int) bool {
	column, longest := -1, least
	for i, c := range s.columns {
		for _, row := range s.rows {
			if n := table.Width(plugins.Line(row[i].text)); !c.right && n > longest {
				column, longest = i, n
			}
		}
	}
	if column < 0 {
		return false
	}
	for _, row := range s.rows {
		if text := []rune(plugins.Line(row[column].text)); len(text) > max(least, longest-by) {
			row[column].text = string(text[:max(least, longest-by)-1]) + "…"
		}
	}
	return true
}

func (t *terminal) provenance(items []item) {
	if len(items) == 0 {
		return
	}
	t.heading("Provenance")
	if !t.view.Wide {
		t.paragraph("", fmt.Sprintf("%d entries; --wide shows them, and so do the formats markdown and json.", len(items)))
		return
	}
	for _, item := range items {
		t.paragraph("- ", plugins.Line(item.text))
		for _, text := range item.below {
			t.paragraph("  - ", plugins.Line(text))
		}
	}
}
