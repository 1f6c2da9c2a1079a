package gates

import (
	"math"
	"testing"

	"bittern/accel/kernels/flush"
	"bittern/accel/kernels/isa"
)

// TestNegligibleGradients takes gradients from 2⁻⁵⁰ in the first row down to subnormal numbers in
// the last one. What is handed on is 0 where it would be less than flush.Least, and
// elsewhere what the portable kernels compute.
func TestNegligibleGradients(t *testing.T) {
	t.Parallel()
	const rows, columns = 100, 33
	size := func(row int) float64 { return math.Ldexp(1, -50-row) }
	shrink := func(gradients ...array) {
		for _, a := range gradients {
			for row := range rows {
				for j := range columns {
					*a.at(row, 0, j) = float32(a.of(row, 0, j) * size(row))
				}
			}
		}
	}
	steps := map[string]func(t *testing.T, k kernels) map[string]array{
		"LSTM": func(t *testing.T, k kernels) map[string]array {
			s := newStep(t, rows, columns)
			s.batch = false
			shrink(s.dAbove, s.dNext, s.dCell, s.dCellTotal)
			s.run(k, 0, columns)
			return map[string]array{"da": s.dGates, "dc": s.dCellTotal, "dc₋₁": s.dCellBefore}
		},
		"GRU": func(t *testing.T, k kernels) map[string]array {
			s := newGRUStep(t, rows, columns)
			shrink(s.dAbove, s.dNext)
			s.run(k, 0, columns)
			return map[string]array{"da": s.dGates, "candidate": s.dCandidate, "dh₋₁": s.dBefore}
		},
	}
	for name, run := range steps {
		for _, level := range isa.Available() {
			t.Run(name+"/"+level.String(), func(t *testing.T) {
				t.Parallel()
				want := run(t, portable{})
				for output, got := range run(t, forLevel(level)) {
					zeros := 0
					for row := range rows {
						for gate := range got.gates {
							for j := range columns {
								g, w := got.of(row, gate, j), want[output].of(row, gate, j)
								if g == 0 {
									zeros++
								} else if math.Abs(g) < flush.Least {
									t.Errorf("%s, row %d, gate %d, column %d = %g, want 0", output, row, gate, j, g)
								}
								margin := 1e-4 * size(row)
								onTheBrink := (g == 0 || w == 0) && math.Abs(g+w) < flush.Least+margin
								if math.Abs(g-w) > margin && !onTheBrink {
									t.Errorf("%s, row %d, gate %d, column %d = %g, want %g", output, row, gate, j, g, w)
								}
							}
						}
					}
					if all := rows * columns * got.gates; zeros < all/3 || zeros > all*2/3 {
						t.Errorf("%s has %d zeros of %d; the test wants about half", output, zeros, all)
					}
				}
			})
		}
	}
}
