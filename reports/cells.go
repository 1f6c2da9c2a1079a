package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bittern/baselines/published"
	"bittern/harness/store"
)

const (
	doubtful    = "‼" // a score that is not to be trusted
	substituted = "≠" // weights that a backend keeps otherwise than deployed
	wide        = "≈" // a time whose spread is above wideSpread
)

// named returns a cell of text; an empty text becomes "–".
func named(text string) Cell {
	if text == "" {
		return Cell{Text: "–", Missing: true}
	}
	return Cell{Text: text}
}

func missing(reason string) Cell {
	return Cell{Text: "n/a", Notes: []string{"n/a: " + reason}, Missing: true}
}

func count(n int) Cell { return Cell{Text: strconv.Itoa(n), Value: new(float64(n))} }

// fixed returns a function that writes numbers with the given number of decimals.
func fixed(decimals int) func(float64) string {
	return func(f float64) string { return strconv.FormatFloat(f, 'f', decimals, 64) }
}

// shortest writes a number with at most four digits.
func shortest(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }

func kilobytes(bytes *float64) Cell { return Cell{Text: fixed(1)(*bytes / 1000), Value: bytes} }

// figure writes a figure times scale: "1.702", "1.702 ± 0.004" or "n/a", and "1.702 (n=1)"
// if it comes from fewer seeds than the network has.
func (n *Network) figure(f Figure, scale float64, write func(float64) string) Cell {
	if f.Mean == nil {
		return missing(f.Missing)
	}
	text := write(*f.Mean * scale)
	if f.Std != nil {
		text += " ± " + write(*f.Std*scale)
	}
	if f.N != len(n.Seeds) {
		text += fmt.Sprintf(" (n=%d)", f.N)
	}
	return Cell{Text: text, Value: f.Mean}
}

// times adds to a cell how many times less its figure is than in full precision, if that is
// known.
func (c Cell) times(ratio *float64) Cell {
	if ratio != nil && !c.Missing {
		c.Text += fmt.Sprintf(" (%.1f×)", *ratio)
	}
	return c
}

func (c Cell) doubt(doubts Doubts) Cell {
	if len(doubts) == 0 {
		return c
	}
	c.Text += " " + doubtful
	c.Notes = append(slices.Clone(c.Notes), doubtful+" in doubt, "+doubts.String())
	return c
}

func delta(l line) Cell {
	switch c := l.FullPrecision; {
	case c.Missing != "":
		return missing(c.Missing)
	case c.Itself:
		return Cell{Text: "–", Value: new(0.0)}
	case c.Delta == nil:
		return missing("one of the two scores is not measured")
	case c.indistinguishable():
		return Cell{Text: "~", Value: c.Delta}
	default:
		return Cell{Text: fmt.Sprintf("%+.3f", *c.Delta), Value: c.Delta}
	}
}

// epochs writes "1.8 of 200".
func epochs(l line) Cell {
	f := l.Epochs
	if f.Mean == nil {
		return missing(f.Missing)
	}
	text := strconv.FormatFloat(*f.Mean, 'g', 2, 64)
	if *f.Mean >= 10 {
		text = strings.TrimSuffix(fixed(1)(*f.Mean), ".0")
	}
	if l.RecipeEpochs > 0 {
		text += " of " + strconv.Itoa(l.RecipeEpochs)
	}
	return Cell{Text: text, Value: f.Mean}
}

func publishedSize(l line) Cell {
	if l.printed.SizeKB == 0 {
		return missing("no size was published")
	}
	counts := "recurrent weights, KB of 1000 bytes"
	if l.printed.SizeConvention == published.Deployed {
		counts = "whole deployment, KB of 1024 bytes"
	}
	if l.printed.Note != "" {
		counts += "; " + l.printed.Note
	}
	return Cell{Text: shortest(l.printed.SizeKB), Value: &l.printed.SizeKB, Notes: []string{counts}}
}

func citation(key string) string {
	for _, s := range published.Sources {
		if s.Key == key {
			return s.Citation
		}
	}
	return key
}

func timeCell(l line) Cell {
	c := l.figure(l.machine.Seconds, 1e6, fixed(2)).times(l.machine.SecondsRatio)
	if l.machine.wide() {
		c.Text = wide + c.Text
	}
	return c
}

func (d *Deployment) wide() bool {
	return d.Timed != nil && d.Timed.Spread != nil && *d.Timed.Spread > wideSpread
}

// costCell says where the costs come from, and which weights the backend replaces.
func costCell(l line) Cell {
	if l.machine.Unsupported != "" {
		return missing(l.machine.Unsupported)
	}
	c := Cell{Text: "simulated"}
	if l.machine.Measured {
		c.Text = "measured"
	}
	if slices.ContainsFunc(l.machine.EnergyParts, func(p store.Part) bool { return p.Assumed }) {
		c.Text += ", energy assumed"
		c.Notes = append(c.Notes, "energy assumed: it follows from a figure that the user stated, and is neither measured nor modelled")
	}
	if t := l.machine.Timed; t != nil {
		note := fmt.Sprintf("timed: the median of n=%d sequences", t.Sequences)
		if t.Spread == nil {
			note += ", whose spread was not recorded"
		}
		c.Notes = append(c.Notes, note)
	}
	if len(l.machine.Substitutions) > 0 {
		c.Text += " " + substituted
		c.Notes = append(c.Notes, substituted+" "+l.machine.Substitutions.String())
	}
	return c
}

// String says what takes the place of which weights, and why, such as
// "layer0.Wh, layer0.Wx: 16 levels, 4 bits → float32, a look-up keeps three levels".
func (all Substitutions) String() string {
	var order []store.Substitution // with their weights left out
	weights := make(map[store.Substitution][]string)
	for _, s := range all {
		why := s
		why.Weight = ""
		order = once(order, []store.Substitution{why})
		weights[why] = append(weights[why], s.Weight)
	}
	var parts []string
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%s: %s → %s, %s", strings.Join(weights[s], ", "), s.From, s.To, s.Reason))
	}
	return strings.Join(parts, "; ")
}
