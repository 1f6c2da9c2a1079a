package table

import (
	"cmp"
	"slices"
	"strings"
)

// gap is how many characters lie between two columns of a plain table.
const gap = 2

// leastFolded is how narrow a column of text becomes before other columns go.
const leastFolded = 24

// Rank says when these columns (from 0) have to go where a terminal is too narrow for
// all: the highest rank first, of equal ranks the last column. Rank 0 stays, and is that of
// a column at first.
func (t *Table) Rank(rank int, columns ...int) {
	for _, c := range columns {
		t.ranks[c] = rank
	}
}

// Fold lets the text of these columns (from 0) break between words, where a terminal is
// too narrow for it in one line.
func (t *Table) Fold(columns ...int) {
	for _, c := range columns {
		t.folded[c] = true
	}
}

// Next is the column that has to go first for the table to be at most so wide; −1 where it
// is already, where no column may go, and where width is 0.
func (t *Table) Next(width int) int {
	total := -gap
	for c := range t.headers {
		total += gap + t.least(c)
	}
	next := -1
	if width == 0 || total <= width {
		return next
	}
	for c, rank := range t.ranks {
		if rank > 0 && (next < 0 || rank >= t.ranks[next]) {
			next = c
		}
	}
	return next
}

// Fit renders the table as Plain does, in lines of at most this width where that can be;
// 0 is no bound. Left are the headers of the columns that had to go for it.
func (t *Table) Fit(width int) (text string, left []string, err error) {
	fitted := *t
	for c := fitted.Next(width); c >= 0; c = fitted.Next(width) {
		left = append(left, fitted.headers[c])
		fitted = fitted.without(c)
	}
	if width > 0 {
		fitted = fitted.fold(width)
	}
	text, err = fitted.Plain()
	return text, left, err
}

// widths are those that a column has as it is and at least, when it is folded.
func (t *Table) widths(column int) (whole, least int) {
	for _, row := range t.rows {
		whole = max(whole, Width(row[column]))
		for word := range strings.FieldsSeq(row[column]) {
			least = max(least, Width(word))
		}
	}
	for word := range strings.FieldsSeq(t.headers[column]) {
		whole, least = max(whole, Width(word)), max(least, Width(word))
	}
	return whole, least
}

func (t *Table) least(column int) int {
	whole, least := t.widths(column)
	if !t.folded[column] {
		return whole
	}
	return min(whole, max(least, leastFolded))
}

// without is the table without a column.
func (t Table) without(column int) Table {
	t.headers = slices.Delete(slices.Clone(t.headers), column, column+1)
	t.aligned = slices.Delete(slices.Clone(t.aligned), column, column+1)
	t.ranks = slices.Delete(slices.Clone(t.ranks), column, column+1)
	t.folded = slices.Delete(slices.Clone(t.folded), column, column+1)
	rows := make([][]string, len(t.rows))
	for i, row := range t.rows {
		rows[i] = slices.Delete(slices.Clone(row), column, column+1)
	}
	t.rows = rows
	return t
}

// fold is the table with the columns of text broken into lines, in the room that the
// others leave of a width. What a narrow one does not need, the wider ones have.
func (t Table) fold(width int) Table {
	var columns []int
	room := width + gap
	for c := range t.headers {
		whole, _ := t.widths(c)
		if t.folded[c] {
			columns = append(columns, c)
			whole = 0
		}
		room -= gap + whole
	}
	slices.SortFunc(columns, func(a, b int) int {
		x, _ := t.widths(a)
		y, _ := t.widths(b)
		return cmp.Compare(x, y)
	})
	rows := make([][]string, len(t.rows))
	for i, row := range t.rows {
		rows[i] = slices.Clone(row)
	}
	for i, c := range columns {
		whole, _ := t.widths(c)
		share := min(whole, max(t.least(c), room/(len(columns)-i)))
		room -= share
		for _, row := range rows {
			row[c] = strings.Join(Wrap(row[c], share), "\n")
		}
	}
	t.rows = rows
	return t
}
