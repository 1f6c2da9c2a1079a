package format

import (
	"slices"

	"bittern/reports"
	"bittern/reports/table"
)

// textTable is a table of text. header and cell write a header and a cell.
func textTable(s reports.Sheet, header func(string) string, cell func(reports.Cell) string) (*table.Table, error) {
	var headers []string
	var right []int
	for i, c := range s.Columns {
		headers = append(headers, header(c.Header))
		if c.Right {
			right = append(right, i)
		}
	}
	t := table.New(headers...)
	t.AlignRight(right...)
	for i, c := range s.Columns {
		t.Rank(c.Rank, i)
	}
	for _, row := range s.Rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, cell(c))
		}
		if err := t.Append(cells...); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// once is a list without what stands in it already.
func once(list []string) []string {
	var kept []string
	for _, item := range list {
		if !slices.Contains(kept, item) {
			kept = append(kept, item)
		}
	}
	return kept
}
