package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"bittern/harness/store"
)

// Calibration has what the model of some backends says of machines with published figures.
type Calibration struct {
	Backends  []string         `json:"backends"` // labels, ascending
	Residuals []store.Residual `json:"residuals"`
}

// residual is a row of a calibration.
type residual struct {
	store.Residual
	backends string
}

// addCalibration moves the calibration of a deployment into the report, which has each once.
func (r *Report) addCalibration(d *store.Deployment) {
	if d.Cost == nil || len(d.Cost.Calibration) == 0 {
		return
	}
	found := d.Cost.Calibration
	d.Cost.Calibration = nil
	at := slices.IndexFunc(r.Calibration, func(known Calibration) bool { return slices.Equal(known.Residuals, found) })
	if at < 0 {
		at = len(r.Calibration)
		r.Calibration = append(r.Calibration, Calibration{Residuals: found})
	}
	r.Calibration[at].Backends = insert(r.Calibration[at].Backends, d.Backend)
}

func calibrationLines(r *Report) (lines []line) {
	for _, c := range r.Calibration {
		for _, found := range c.Residuals {
			lines = append(lines, line{Network: &Network{}, residual: &residual{found, strings.Join(c.Backends, ", ")}})
		}
	}
	return lines
}

func calibrationColumns(_ []line, _ string) []Column {
	number := func(id, header, about string, rank int, of func(store.Residual) float64) Column {
		return Column{ID: id, Header: header, About: about, Right: true, Rank: rank, always: true, cell: func(l line) Cell {
			value := of(l.residual.Residual)
			return Cell{Text: Significant(value), Value: &value}
		}}
	}
	deviation := func(id, about string, rank int, of func(store.Residual) float64) Column {
		return Column{ID: id, Header: "error", About: about, Right: true, Rank: rank, always: true, cell: func(l line) Cell {
			value, printed := of(l.residual.Residual), l.residual.Published
			if printed == 0 {
				return missing("nothing was published")
			}
			return Cell{Text: Deviation(value, printed), Value: new(value/printed - 1)}
		}}
	}
	bottomUp := func(r store.Residual) float64 { return r.BottomUp }
	fitted := func(r store.Residual) float64 { return r.Fitted }
	return []Column{
		{ID: "backend", Header: "model of", cell: func(l line) Cell { return named(l.residual.backends) }},
		{ID: "machine", Header: "machine", always: true, cell: func(l line) Cell { return named(l.residual.Machine) }},
		{ID: "quantity", Header: "quantity", always: true, cell: func(l line) Cell { return named(strings.TrimSpace(l.residual.Quantity + " " + l.residual.Unit)) }},
		number("published-figure", "published", "of the machine while all its units work", 0, func(r store.Residual) float64 { return r.Published }),
		number("bottom-up", "bottom-up", "what the model says of the same machine without any constant that was fitted", 3, bottomUp),
		deviation("bottom-up-error", "of the figure before it, in per cent of what was published; × or ÷ where it is off by a factor of two or more", 2, bottomUp),
		number("fitted", "fitted", "what it says with the constants that were fitted", 4, fitted),
		deviation("fitted-error", "", 1, fitted),
		{ID: "in-fit", Header: "in the fit", About: "whether the machine took part in the fit; the others say how far the model carries", always: true, cell: func(l line) Cell {
			if l.residual.InFit {
				return named("yes")
			}
			return named("no")
		}},
		{ID: "published-source", Header: "source of the published", Rank: 5, always: true, cell: func(l line) Cell { return named(l.residual.Source) }},
	}
}

// Significant writes a figure with four significant digits; whole numbers have all.
func Significant(value float64) string {
	if value == math.Trunc(value) && math.Abs(value) < 1e9 {
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}

// Deviation says how far a value is from what was published: in per cent, or as a factor
// where it is off by two or more.
func Deviation(value, published float64) string {
	switch ratio := value / published; {
	case ratio >= 2:
		return fmt.Sprintf("× %.1f", ratio)
	case ratio <= 0.5:
		return fmt.Sprintf("÷ %.1f", 1/ratio)
	default:
		return fmt.Sprintf("%+.1f %%", 100*(ratio-1))
	}
}
