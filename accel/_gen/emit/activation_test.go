package emit

import (
	"math"
	"testing"
)

// TestExponential checks that the polynomial, evaluated in float64, has no larger error than its
// comment says.
func TestExponential(t *testing.T) {
	t.Parallel()
	const steps, bound = 100_000, 1.7e-8
	worst, at := 0.0, 0.0
	for i := -steps; i <= steps; i++ {
		r := math.Ln2 / 2 * float64(i) / steps
		if i == 0 {
			continue
		}
		quotient := 0.0
		for k := len(exponential) - 1; k >= 0; k-- {
			quotient = quotient*r + float64(float32(exponential[k]))
		}
		if e := math.Abs((r+r*r*quotient)/math.Expm1(r) - 1); e > worst {
			worst, at = e, r
		}
	}
	if worst > bound {
		t.Errorf("relative error %.3g at r = %v, want at most %v", worst, at, bound)
	}
}
