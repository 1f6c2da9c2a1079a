package elementwise

import (
	"slices"

	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/parallel"
)

// Planes is a rule by which each row of weights is a sum of planes of signs, Σ scale·b with
// b = ±1. Each plane has a scale for the row.
type Planes struct {
	Count int // at most 8

	// Solve finds a code for each weight of a row, in which bit i is set where b of plane
	// i is +1, and the scales, one of each plane. It returns the value of each code, added
	// up in the order of the planes. If all scales are 0, the row is zero; if one is not
	// finite, a latent weight is not finite. Both are errors.
	Solve func(row []float32, codes []uint8, scales []float32) (values []float32)
}

// quantizePlanes writes the sums of the planes of every weight to its target.
func (q *Quantizer) quantizePlanes(targets [][]float32) error {
	return q.solveRows(func(weight, first int, codes []uint8, _, values []float32) {
		target := targets[weight][first : first+len(codes)]
		for i, code := range codes {
			target[i] = values[code]
		}
	})
}

// freezePlanes turns every weight into its planes.
func (q *Quantizer) freezePlanes() ([]quantizer.Frozen, error) {
	frozen := make([]quantizer.Frozen, len(q.weights))
	for i, w := range q.weights {
		frozen[i] = quantizer.Frozen{Name: w.Name, Planes: make([]quantizer.Plane, q.rule.Planes.Count)}
		for k := range frozen[i].Planes {
			frozen[i].Planes[k] = quantizer.Plane{
				Bits: 1, Codes: make([]uint16, len(w.Latent)), Levels: Binary, Scales: make([]float32, w.Rows),
			}
		}
	}
	err := q.solveRows(func(weight, first int, codes []uint8, scales, _ []float32) {
		for k, plane := range frozen[weight].Planes {
			plane.Scales[first/q.weights[weight].Cols] = scales[k]
			for i, code := range codes {
				plane.Codes[first+i] = uint16(code >> k & 1)
			}
		}
	})
	return frozen, err
}

// solveRows calls use with the solution of every row, on as many goroutines as may run at
// once. first is the row's first element in its weight.
func (q *Quantizer) solveRows(use func(weight, first int, codes []uint8, scales, values []float32)) error {
	failures := make([]error, len(q.chunks))
	parallel.Each(len(q.chunks), func(i int) {
		part := q.chunks[i]
		w := q.weights[part.weight]
		codes, scales := make([]uint8, w.Cols), make([]float32, q.rule.Planes.Count)
		for first := part.from; first < part.to && failures[i] == nil; first += w.Cols {
			values := q.rule.Planes.Solve(w.Latent[first:first+w.Cols], codes, scales)
			switch {
			case slices.ContainsFunc(scales, func(scale float32) bool { return !finite(scale) }):
				failures[i] = q.notFinite()
			case !slices.ContainsFunc(scales, func(scale float32) bool { return scale != 0 }):
				failures[i] = q.allZero(q.group(part.weight, first, serial))
			default:
				use(part.weight, first, codes, scales, values)
			}
		}
	})
	return firstOf(failures)
}

// firstOf is the first failure, in the order of the weights.
func firstOf(failures []error) error {
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}
