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
	}
}

// The fitted model meets the paper's five designs, throughput exactly and power and area
// within 10 %, and the chips that took no part in the fit stand beside them, whatever
// their errors.
func TestCalibration(t *testing.T) {
	t.Parallel()
	for _, name := range energy.Names() {
		fit, others := map[string]bool{}, map[string]bool{}
		for _, r := range residuals(energy.Find(name)) {
			t.Logf("%s: %-32s %-10s published %.4g, bottom-up %.4g (%+.0f %%), fitted %.4g (%+.1f %%), in the fit %t", name, r.Machine, r.Quantity, r.Published, r.BottomUp, 100*(r.BottomUp/r.Published-1), r.Fitted, 100*(r.Fitted/r.Published-1), r.InFit)
			if !r.InFit {
				others[r.Machine] = true
				continue
			}
			fit[r.Machine] = true
			switch off := math.Abs(r.Fitted/r.Published - 1); {
			case r.Quantity == "throughput" && (r.Fitted != r.Published || r.BottomUp != r.Published):
				t.Errorf("%s: the throughput of %s is %v, published %v", name, r.Machine, r.Fitted, r.Published)
			case off > 0.1:
				t.Errorf("%s: the %s of %s is %v, more than 10 %% off the published %v", name, r.Quantity, r.Machine, r.Fitted, r.Published)
			}
		}
		if len(fit) != 5 || len(others) < 3 {
			t.Errorf("%s: %d machines took part in the fit and %d did not, want 5 and at least 3", name, len(fit), len(others))
		}
	}
}
