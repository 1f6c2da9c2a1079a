// Package table writes Markdown tables whose cells say exactly what they were
// given, through tablewriter.
package table

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"bittern/plugins"
)

// Table is a Markdown table under construction.
type Table struct {
	headers []string
	aligned []tw.Align
	rows    [][]string
}

// New starts a table with the given column headers, all aligned left.
func New(headers ...string) *Table {
	t := &Table{headers: headers, aligned: make([]tw.Align, len(headers))}
	for i := range t.aligned {
		t.aligned[i] = tw.AlignLeft
	}
	return t
}

// AlignRight aligns the columns with these numbers (from 0) right.
func (t *Table) AlignRight(columns ...int) {
	for _, c := range columns {
		t.aligned[c] = tw.AlignRight
	}
}

// Append adds a row of as many cells as there are headers.
func (t *Table) Append(cells ...string) error {
	if len(cells) != len(t.headers) {
		return fmt.Errorf("table: a row of %d cells under %d headers", len(cells), len(t.headers))
	}
	t.rows = append(t.rows, cells)
	return nil
}

// Write renders the table as GitHub-flavoured Markdown.
func (t *Table) Write(w io.Writer) error {
	var text bytes.Buffer // tablewriter does not tell what writing to w failed of
	out := tablewriter.NewTable(&text,
		tablewriter.WithRenderer(renderer.NewMarkdown()),
		tablewriter.WithHeaderAutoFormat(tw.Off), // it would rewrite case and "µs"
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: t.aligned}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: t.aligned}),
	)
	out.Header(escape(t.headers))
	for _, row := range t.rows {
		if err := out.Append(escape(row)); err != nil {
			return fmt.Errorf("table: %w", err)
		}
	}
	if err := out.Render(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	_, err := w.Write(text.Bytes())
	return err
}

// markdown escapes what would end a cell or a row.
var markdown = strings.NewReplacer("|", `\|`, "\r\n", "<br>", "\n", "<br>")

func escape(cells []string) []string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		out[i] = markdown.Replace(cell)
	}
	return out
}

// significant escapes what means something to Markdown or HTML inside a line, and what
// GitHub makes a link or a formula of.
var significant = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "~", `\~`, "$", `\$`,
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "://", `:\/\/`, "www.", `www\.`,
)

// Text is Markdown that shows a text as it is: in one line ([plugins.Line]), and
// without meaning to Markdown or HTML. It may stand in a cell or within a line.
func Text(text string) string {
	var out strings.Builder
	escaped := []rune(significant.Replace(plugins.Line(text)))
	for i, c := range escaped {
		// Between letters or digits, as in char_small, it means nothing.
		if c == '_' && (i == 0 || i == len(escaped)-1 || !word(escaped[i-1]) || !word(escaped[i+1])) {
			out.WriteRune('\\')
		}
		out.WriteRune(c)
	}
	return out.String()
}

func word(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
