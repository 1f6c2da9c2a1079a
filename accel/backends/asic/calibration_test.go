package asic

import (
	"math"
	"testing"

	"bittern/accel/backends/internal/energy"
)

// The constants in calibration/factors.csv are those that the fit finds, to three digits.
func TestFactorsAreThoseOfTheFit(t *testing.T) {
	t.Parallel()
	for _, name := range energy.Names() {
		found, err := fit(energy.Find(name))
		if err != nil {
			t.Fatal(err)
		}
		stored := factorsOf(name)
		for quantity, pair := range map[string][2]float64{
			"memory": {stored.Memory, found.Memory}, "logic": {stored.Logic, found.Logic},
			"memory area": {stored.MemoryArea, found.MemoryArea}, "logic area": {stored.LogicArea, found.LogicArea},
		} {
			if math.Abs(pair[0]-pair[1]) > 0.0006 {
				t.Errorf("%s: the factor of %s is %v in calibration/factors.csv, and the fit finds %.4g", name, quantity, pair[0], pair[1])
			}
		}
		for _, r := range residuals(energy.Find(name)) {
			t.Logf("%s: %-32s %-10s published %7.4g  bottom-up %7.4g (%+.0f %%)  fitted %7.4g (%+.1f %%) %t", name, r.Machine, r.Quantity, r.Published, r.BottomUp, 100*(r.BottomUp/r.Published-1), r.Fitted, 100*(r.Fitted/r.Published-1), r.InFit)
		}
	}
}
