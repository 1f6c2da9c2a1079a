package energy

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-3*math.Abs(want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// The factors that hardware papers of 65 nm use, reckoned by hand from the fits of
// Stillmaker & Baas.
func TestScale(t *testing.T) {
	t.Parallel()
	near(t, "45 nm to 65 nm at 1.0 V", Scale(Process{45, 1}, Process{65, 1}), 1.332/1.0177)
	near(t, "45 nm at 0.9 V to 65 nm at 1.2 V", Scale(Process{45, 0.9}, Process{65, 1.2}), 2.1044/0.84433)
	near(t, "130 nm at 1.2 V to 65 nm at 1.0 V", Scale(Process{130, 1.2}, Process{65, 1}), 0.257)
	near(t, "there and back", Scale(Process{7, 0.7}, Process{130, 1.2})*Scale(Process{130, 1.2}, Process{7, 0.7}), 1)
	near(t, "area of 130 nm in 65 nm", ScaleArea(130, 65), 1/4.3)
	for _, node := range Nodes() {
		for v := LowestVoltage; v < HighestVoltage; v += 0.05 {
			low, high := Scale(Process{65, 1}, Process{node, v}), Scale(Process{65, 1}, Process{node, v + 0.05})
			if node > 45 && v < 0.65 {
				continue // the fits have a minimum near the threshold
			}
			if low <= 0 || high < low {
				t.Errorf("%d nm: the energy at %.2f V is %v and at %.2f V %v, want it above 0 and to grow", node, v, low, v+0.05, high)
			}
		}
	}
}

func TestProcessCheck(t *testing.T) {
	t.Parallel()
	for _, p := range []Process{{64, 1}, {0, 1}, {65, 0}, {65, -1}, {65, 1.4}, {65, math.NaN()}} {
		if p.Check() == nil {
			t.Errorf("%v: no error", p)
		}
	}
	if err := (Process{65, 1.1}).Check(); err != nil {
		t.Error(err)
	}
}

// The figures in the process that they were published for are those of their sources.
func TestFiguresAreThoseOfTheirSources(t *testing.T) {
	t.Parallel()
	horowitz := Find("horowitz-cacti").In(Process{45, 0.9})
	near(t, "an 8-bit multiplication", horowitz.Multiply(8, 8), 0.2e-12)
	near(t, "a 32-bit multiplication", horowitz.Multiply(32, 32), 3.1e-12)
	near(t, "a 32-bit addition", horowitz.Add(32), 0.1e-12)
	cacti := Find("horowitz-cacti").In(Process{45, 1})
	near(t, "a read of 128 KB", 64*cacti.Read(16384), 32.29e-12)
	near(t, "a read of 64 KB and of 256 KB, of 8,192 words", cacti.Read(8192), math.Sqrt(25.87/64*124.61/256)*1e-12)
	ihp := Find("ihp130-scaled").In(Process{130, 1.2})
	near(t, "a read of 1,024 words", 64*ihp.Read(1024), 91.83e-12)
	near(t, "a write of 2,048 words", 64*ihp.Write(2048), 155.37e-12)
	near(t, "more words than any", ihp.Read(1<<20), ihp.Read(2048))
	near(t, "fewer words than any", ihp.Read(1), ihp.Read(64))
	near(t, "the area of a binary unit", ihp.AdderArea(24)+ihp.RegisterArea(24), 3233e-6)
	near(t, "the area of a 12-bit unit", ihp.AdderArea(32)+ihp.RegisterArea(32)+ihp.MultiplierArea(12, 12), 16036e-6)
	if between := ihp.Read(1448); !(ihp.Read(1024) < between && between < ihp.Read(2048)) {
		t.Errorf("a read of 1,448 words takes %v, want it between those of 1,024 and of 2,048", between)
	}
}

// Every figure says where it is from, and every table has the same DRAMs.
func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		table := Find(name)
		costs := table.In(Process{65, 1})
		for _, row := range table.Rows {
			if row.Source == "" || row.Value <= 0 {
				t.Errorf("%s: %+v lacks a source or a value", name, row)
			}
		}
		for _, kind := range DRAMs() {
			if costs.DRAM(kind) <= 0 {
				t.Errorf("%s has no DRAM %s", name, kind)
			}
		}
	}
}
