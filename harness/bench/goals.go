package bench

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Goal is a bound that a line must keep.
type Goal struct {
	Line    string // its name
	Against string // what it is compared with; "" if the bound is of the line's own values
	// Least says that Bound is the least allowed value. Otherwise it is the largest.
	Least bool
	// Bound is of the ratio, or in seconds or bytes.
	Bound float64
}

// Goals are those of a class of processors.
type Goals []Goal

func (g Goals) find(line, against string) *Goal {
	at := slices.IndexFunc(g, func(goal Goal) bool { return goal.Line == line && goal.Against == against })
	if at < 0 {
		return nil
	}
	return &g[at]
}

// goalsFile has a row for each line and what it is compared with, and a column for each class.
//
//go:embed goals.csv
var goalsFile string

var goalsByClass = sync.OnceValue(func() map[Class]Goals {
	goals, err := readGoals(goalsFile)
	if err != nil {
		panic(err) // a test reads the file
	}
	return goals
})

// readGoals reads goals.csv. Its columns are line, against, bound (≥ or ≤), unit (empty for a
// ratio, s or MB) and the classes; an empty cell is no goal.
func readGoals(text string) (map[Class]Goals, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("goals.csv: %w", err)
	}
	const fixed = 4
	goals := map[Class]Goals{}
	for n, row := range rows[1:] {
		goal := Goal{Line: row[0], Against: row[1], Least: row[2] == "≥"}
		if !goal.Least && row[2] != "≤" {
			return nil, fmt.Errorf("goals.csv: row %d has the bound %q, and must have ≥ or ≤", n+1, row[2])
		}
		if goal.Least == slices.Contains(append(multiples, ""), goal.Against) {
			return nil, fmt.Errorf("goals.csv: row %d says %s of a comparison with %q", n+1, row[2], goal.Against)
		}
		scale, ok := map[string]float64{"": 1, "s": 1, "MB": 1e6}[row[3]]
		if !ok || (row[3] == "") != (goal.Against != "") {
			return nil, fmt.Errorf("goals.csv: row %d has the unit %q", n+1, row[3])
		}
		for i, class := range rows[0][fixed:] {
			if row[fixed+i] == "" {
				continue
			}
			bound, err := strconv.ParseFloat(row[fixed+i], 64)
			if err != nil {
				return nil, fmt.Errorf("goals.csv: row %d: %w", n+1, err)
			}
			goal.Bound = bound * scale
			goals[Class(class)] = append(goals[Class(class)], goal)
		}
	}
	return goals, nil
}

// text writes a goal of a line whose values have this unit.
func (g Goal) text(unit Unit) string {
	sign := "≤"
	if g.Least {
		sign = "≥"
	}
	if g.Against == "" {
		return sign + " " + quantity(g.Bound, unit)
	}
	return fmt.Sprintf("%s %g", sign, g.Bound)
}
