package reports

import (
	"fmt"
	"maps"

	"bittern/plugins/model"
)

// arithmeticKey is the setting of a group that says what the matrix products of its training
// computed with. The configuration of an experiment has it where it is not [model.Float32].
const arithmeticKey = "training.arithmetic"

// arithmetic is what the matrix products of an experiment's training computed with.
func arithmetic(settings map[string]string) string {
	if a := settings[arithmeticKey]; a != "" {
		return a
	}
	return string(model.Float32)
}

// Rounding compares a network with the one that was trained with products of float32 and is the same
// otherwise, by whatever name.
type Rounding struct {
	Float32 Figure `json:"float32"` // its deployable score
	// Delta is the difference of the deployable means. P is the probability of a difference at
	// least as large by chance (Welch's test), if both have two seeds or more.
	Delta *float64 `json:"delta,omitempty"`
	P     *float64 `json:"p,omitempty"`
}

// compareArithmetics finds the partner of each network that was trained with rounded products.
// networks[i] belongs to groups[i].
func compareArithmetics(groups []*group, networks []*Network) {
	exact := func(g *group) map[string]string {
		settings := maps.Clone(g.settings)
		delete(settings, arithmeticKey)
		return settings
	}
	for i, n := range networks {
		if n.Arithmetic == string(model.Float32) {
			continue
		}
		for j, other := range networks {
			if other.Arithmetic != string(model.Float32) || !maps.Equal(exact(groups[i]), exact(groups[j])) {
				continue
			}
			n.Rounding = &Rounding{Float32: other.Deployable}
			if a, b := n.Deployable, other.Deployable; a.Mean != nil && b.Mean != nil {
				n.Rounding.Delta, n.Rounding.P = new(*a.Mean-*b.Mean), chance(a, b)
			}
			break
		}
	}
}

func roundedLines(r *Report) (lines []line) {
	for _, n := range r.Networks {
		if n.Rounding != nil {
			lines = append(lines, line{Network: n})
		}
	}
	return lines
}

func arithmeticColumns(_ []line, unit string) []Column {
	return append(identity(),
		Column{ID: "float32", Header: "float32 " + unit, Right: true, always: true,
			About: "deployable score of the network that was trained with matrix products of float32 and is the same otherwise",
			cell: func(l line) Cell {
				if f := l.Rounding.Float32; f.Mean == nil {
					return missing(f.Missing)
				}
				return l.figure(l.Rounding.Float32, 1, fixed(4))
			}},
		Column{ID: "rounded", Header: "rounded " + unit, Right: true, always: true, About: "the same with the arithmetic of this row's model",
			cell: func(l line) Cell { return l.figure(l.Deployable, 1, fixed(4)).doubt(l.Doubts) }},
		Column{ID: "rounding", Header: "rounded − float32", Right: true, always: true,
			About: "~ where the seeds cannot tell the two apart (Welch's test at 5 %), after the difference of the means",
			cell: func(l line) Cell {
				d := l.Rounding.Delta
				if d == nil {
					return missing("one of the two scores is not measured")
				}
				text := fmt.Sprintf("%+.4f", *d)
				if p := l.Rounding.P; p != nil && *p >= significance {
					text += " ~"
				}
				return Cell{Text: text, Value: d}
			}},
	)
}
