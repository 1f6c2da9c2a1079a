package format

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"bittern/plugins"
	"bittern/reports"
)

// latexRows is how many rows a page has room for below a caption and above its notes.
const latexRows = 45

const latexStart = `% To put a table into a paper, paste the lines from \begin{table} to \end{table}; its
% preamble needs \usepackage[T1]{fontenc}, \usepackage{booktabs,graphicx,textcomp}.
\documentclass[a4paper]{article}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=15mm]{geometry}
\usepackage{booktabs,graphicx,textcomp}
\setlength{\parindent}{0pt}
\setlength{\belowcaptionskip}{4pt}
\setcounter{totalnumber}{9}
\renewcommand{\floatpagefraction}{0.6}
\sloppy
\begin{document}
`

// A table that is wider than the text is made smaller, any other keeps its size.
const (
	latexFit    = `\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%` + "\n"
	latexFitEnd = "}\n"
)

// writeLaTeX writes a document that pdflatex compiles, with the tables in the style of
// the package booktabs. Each table has its own notes, so that it can stand alone.
func writeLaTeX(w io.Writer, r *reports.Report, v reports.View) error {
	var b strings.Builder
	var abouts []string
	d := r.Document(v)
	b.WriteString(latexStart)
	fmt.Fprintf(&b, "\n\\section*{%s}\n", latexText(d.Title))
	for _, paragraph := range d.Lead {
		fmt.Fprintf(&b, "\n%s\n", latexText(paragraph))
	}
	for _, s := range d.Sections {
		for _, sheet := range s.Sheets {
			abouts = append(abouts, sheet.Abouts()...)
			heading := s.Heading
			if sheet.Heading != "" {
				heading += ", " + sheet.Heading
			}
			latexTable(&b, heading, sheet)
		}
	}
	b.WriteString("\n\\clearpage\n") // else tables stand among the notes
	latexList(&b, "Unfinished", items(d.Unfinished))
	latexList(&b, "Notes", items(once(append(abouts, d.Facts...))))
	latexList(&b, "Provenance", d.Provenance)
	b.WriteString("\n\\end{document}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// latexTable writes a table, in parts where a page has no room for the whole. A table
// without columns is what its caption says.
func latexTable(b *strings.Builder, heading string, s reports.Sheet) {
	if len(s.Columns) == 0 {
		s.Rows = nil
	}
	parts := slices.Collect(slices.Chunk(s.Rows, latexRows))
	for i := range max(1, len(parts)) {
		var footnotes reports.Footnotes
		cell := func(c reports.Cell) string {
			var numbers []string
			for _, note := range c.Notes {
				numbers = append(numbers, fmt.Sprint(footnotes.Number(note)))
			}
			text := latexText(c.Text)
			if len(numbers) > 0 {
				text += `\textsuperscript{` + strings.Join(numbers, ",") + "}"
			}
			return text
		}
		caption := latexText(heading) + "."
		if i > 0 {
			caption += " Continued."
		} else if line := s.CommonLine(latexText, cell); line != "" {
			caption += " " + line
		}
		fmt.Fprintf(b, "\n\\begin{table}[htbp]\n\\centering\\footnotesize\n\\caption{%s}\n", caption)
		if len(parts) > 0 {
			latexTabular(b, s.Columns, parts[i], cell)
		}
		if len(footnotes) > 0 {
			b.WriteString("\\begin{flushleft}\\scriptsize\n")
			for n, note := range footnotes {
				fmt.Fprintf(b, "\\textsuperscript{%d}\\,%s\\par\n", n+1, latexText(note))
			}
			b.WriteString("\\end{flushleft}\n")
		}
		b.WriteString("\\end{table}\n")
	}
}

func latexTabular(b *strings.Builder, columns []reports.Column, rows [][]reports.Cell, cell func(reports.Cell) string) {
	var alignment strings.Builder
	var headers []string
	for _, c := range columns {
		if c.Right {
			alignment.WriteByte('r')
		} else {
			alignment.WriteByte('l')
		}
		headers = append(headers, latexText(c.Header))
	}
	fmt.Fprintf(b, "%s\\begin{tabular}{%s}\n\\toprule\n%s \\\\\n\\midrule\n", latexFit, alignment.String(), strings.Join(headers, " & "))
	for _, row := range rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, cell(c))
		}
		fmt.Fprintf(b, "%s \\\\\n", strings.Join(cells, " & "))
	}
	fmt.Fprintf(b, "\\bottomrule\n\\end{tabular}%s", latexFitEnd)
}

func items(texts []string) []reports.Item {
	var list []reports.Item
	for _, text := range texts {
		list = append(list, reports.Item{Text: text})
	}
	return list
}

func latexList(b *strings.Builder, heading string, list []reports.Item) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n\\subsection*{%s}\n{\\footnotesize\n\\begin{itemize}\n", heading)
	for _, item := range list {
		fmt.Fprintf(b, "\\item %s\n", latexText(item.Text))
		if len(item.Below) == 0 {
			continue
		}
		b.WriteString("\\begin{itemize}\n")
		for _, text := range item.Below {
			fmt.Fprintf(b, "\\item %s\n", latexText(text))
		}
		b.WriteString("\\end{itemize}\n")
	}
	b.WriteString("\\end{itemize}}\n")
}

// latexCharacters are the characters that mean something to LaTeX, and those beyond
// ASCII that reports use, as the fonts of the encoding T1 and math have them.
var latexCharacters = map[rune]string{
	'\\': `\textbackslash{}`, '{': `\{`, '}': `\}`, '$': `\$`, '&': `\&`, '#': `\#`, '_': `\_`, '%': `\%`,
	'^': `\textasciicircum{}`, '~': `\textasciitilde{}`, '<': `\textless{}`, '>': `\textgreater{}`, '|': `\textbar{}`,
	'"': `\textquotedbl{}`, '\'': `\textquotesingle{}`, '`': `\textasciigrave{}`,
	// Two of these in a row, or one and a grave accent, would become one character, and an
	// item or a row that begins with a bracket would be an argument.
	'-': `-{}`, ',': `,{}`, '!': `!{}`, '?': `?{}`, '[': `{[}`, ']': `{]}`, '*': `{*}`,
	'−': `\textminus{}`, '±': `\textpm{}`, '×': `\texttimes{}`, '÷': `\textdiv{}`, 'µ': `\textmu{}`, 'μ': `\textmu{}`, '°': `\textdegree{}`,
	'²': `\texttwosuperior{}`, '³': `\textthreesuperior{}`, '–': `\textendash{}`, '—': `\textemdash{}`, '…': `\textellipsis{}`, '·': `\textperiodcentered{}`,
	'‘': `\textquoteleft{}`, '’': `\textquoteright{}`, '“': `\textquotedblleft{}`, '”': `\textquotedblright{}`, '„': `\quotedblbase{}`,
	'‼': `!{}!{}`, '≠': `$\neq$`, '≈': `$\approx$`, '≤': `$\leq$`, '≥': `$\geq$`, '→': `$\rightarrow$`, '√': `$\surd$`, '∞': `$\infty$`,
	'Δ': `$\Delta$`, 'Σ': `$\Sigma$`, 'α': `$\alpha$`, 'β': `$\beta$`, 'γ': `$\gamma$`, 'δ': `$\delta$`, 'ε': `$\varepsilon$`, 'λ': `$\lambda$`, 'σ': `$\sigma$`, 'τ': `$\tau$`,
}

// latexText is LaTeX that shows a text as it is, in one line. A character that the
// fonts do not have is written as its number, as in U+4E2D.
func latexText(text string) string {
	var out strings.Builder
	for _, c := range plugins.Line(text) {
		written, known := latexCharacters[c]
		switch {
		case known:
			out.WriteString(written)
		case c < 0x80 || c >= 'À' && c <= 'ÿ': // what T1 has of Latin-1
			out.WriteRune(c)
		default:
			fmt.Fprintf(&out, `\texttt{%U}`, c)
		}
	}
	return out.String()
}
