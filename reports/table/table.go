// Package table writes tables as Markdown and as plain text, through tablewriter. Cells come
// out exactly as they were given.
package table

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"bittern/plugins"
)

// Table is a table under construction.
type Table struct {
	headers []string
	aligned []tw.Align
	ranks   []int  // see Rank
	folded  []bool // see Fold
	rows    [][]string
}

// New starts a table with the given column headers, all aligned left.
func New(headers ...string) *Table {
	t := &Table{headers: headers, aligned: make([]tw.Align, len(headers)), ranks: make([]int, len(headers)), folded: make([]bool, len(headers))}
	for i := range t.aligned {
		t.aligned[i] = tw.AlignLeft
	}
	return t
}

// AlignRight aligns the columns with these numbers, counted from 0, to the right.
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
	text, err := t.render(renderer.NewMarkdown(), escape)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// Plain renders the table for a terminal: two spaces between columns, a line below the
// headers, of which one that is wider than its column breaks between words. Cells must
// be of one line.
func (t *Table) Plain() (string, error) {
	narrow := *t
	narrow.headers = t.broken()
	plain := renderer.NewBlueprint(tw.Rendition{
		Borders: tw.BorderNone,
		Symbols: tw.NewSymbolCustom("plain").WithRow("─").WithCenter("─"),
		Settings: tw.Settings{
			Lines:      tw.Lines{ShowHeaderLine: tw.On, ShowTop: tw.Off, ShowBottom: tw.Off, ShowFooterLine: tw.Off},
			Separators: tw.Separators{BetweenRows: tw.Off, BetweenColumns: tw.Off},
		},
	})
	text, err := narrow.render(plain, func(cells []string) []string { return cells },
		tablewriter.WithPadding(tw.Padding{Right: "  ", Overwrite: true}))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "─") {
			line = strings.TrimSuffix(line, "──\n") // what is under the last column's padding
		}
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String(), nil
}

// broken are the headers with line breaks in those that are wider than their column.
func (t *Table) broken() []string {
	headers := make([]string, len(t.headers))
	for i, header := range t.headers {
		widest := 0
		for _, row := range t.rows {
			widest = max(widest, Width(row[i]))
		}
		headers[i] = strings.Join(Wrap(header, widest), "\n")
	}
	return headers
}

func (t *Table) render(with tw.Renderer, escape func([]string) []string, options ...tablewriter.Option) ([]byte, error) {
	var text bytes.Buffer // tablewriter does not tell what writing to a writer failed of
	out := tablewriter.NewTable(&text, append(options,
		tablewriter.WithRenderer(with),
		tablewriter.WithHeaderAutoFormat(tw.Off), // it would rewrite case and "µs"
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: t.aligned}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: t.aligned}),
	)...)
	out.Header(escape(t.headers))
	for _, row := range t.rows {
		if err := out.Append(escape(row)); err != nil {
			return nil, fmt.Errorf("table: %w", err)
		}
	}
	if err := out.Render(); err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	return text.Bytes(), nil
}

// Width is that of the longest line of a text on a terminal, in characters of its
// usual width.
func Width(text string) int {
	widest := 0
	for line := range strings.Lines(text) {
		widest = max(widest, twwidth.Width(strings.TrimRight(line, "\n")))
	}
	return widest
}

// Wrap breaks a text between words into lines of at most this width; a longer word has
// a line of its own.
func Wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if at := len(lines) - 1; at >= 0 && Width(lines[at])+1+Width(word) <= width {
			lines[at] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
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
