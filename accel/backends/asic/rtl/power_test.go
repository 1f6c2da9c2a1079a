package rtl

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/backend"
)

// products is a window of one product, which takes three blocks of two units.
func products(width datapath.Width) []datapath.Window {
	p := datapath.Product{Matrix: datapath.Matrix{Width: width, Rows: 5, Cols: 40, Signs: true}}
	for i := range p.Matrix.Rows * p.Matrix.Cols {
		p.Matrix.Codes = append(p.Matrix.Codes, int16(i*i%7%2*2-1))
	}
	for i := range p.Matrix.Cols {
		p.X = append(p.X, int32(i*i*373%4096-2048))
	}
	return []datapath.Window{{Steps: []datapath.Step{{Products: []datapath.Product{p}}}}}
}

// The power that OpenSTA tells is that of the changes that were counted, by the figures of
// the liberty file; gates that compute something else are found.
func TestPower(t *testing.T) {
	need(t, "yosys", "verilator", "g++", "make", "sta")
	t.Parallel()
	const units, clockMHz = 2, 100
	g, err := Unit{datapath.Binary, 14}.synthesize(t.Context(), fewCells(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	all, err := jobs(products(datapath.Binary), units)
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.simulate(t.Context(), all, units)
	if err != nil {
		t.Fatal(err)
	}
	// Each of two units has three blocks of 40 columns; its first cycle is not counted.
	if want := int64(units * (3*40 - 1)); a.cycles != want {
		t.Errorf("changes were counted in %d cycles; want %d", a.cycles, want)
	}
	got, err := g.power(t.Context(), "sta", a, clockMHz)
	if err != nil {
		t.Fatal(err)
	}
	loads := map[bit]float64{}
	for _, c := range g.cells {
		for _, p := range c.pins {
			if !p.output {
				loads[p.bit] += pinCapacitance
			}
		}
	}
	want := Power{Leakage: cellLeakage * float64(len(g.cells))}
	for number, c := range g.cells {
		for _, p := range c.pins {
			if p.output {
				perSecond := a.changes[number] * clockMHz * 1e6
				want.Switching += 0.5 * loads[p.bit] * perSecond // at 1 V
				want.Internal += cellEnergy * perSecond
			}
		}
	}
	if off(got.Internal, want.Internal) || off(got.Switching, want.Switching) || off(got.Leakage, want.Leakage) || want.Switching == 0 {
		t.Errorf("a unit draws %+v; want %+v", got, want)
	}

	text, err := os.ReadFile(filepath.Join(g.folder, "netlist.v"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(text), "NAND ", "NOR ", 1)
	if err := os.WriteFile(filepath.Join(g.folder, "netlist.v"), []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := g.simulate(t.Context(), all, units); err == nil || !strings.Contains(err.Error(), "other sums") {
		t.Errorf("a wrong gate: %v", err)
	}
}

func off(got, want float64) bool { return math.Abs(got-want) > 1e-4*want }

const reported = `                      Internal  Switching    Leakage      Total
                         Power      Power      Power      Power
-------------------------------------------------------------------
                  1.000000e-03 2.000000e-03 4.000000e-06 3.004000e-03 c0
Warning: something that has five words
                  1.000000e-03 1.000000e-03 1.000000e-06 2.001000e-03 c1
`

func TestParsePower(t *testing.T) {
	t.Parallel()
	got, err := parsePower(reported, 2)
	want := Power{Internal: 2e-3, Switching: 3e-3, Leakage: 5e-6}
	if err != nil || off(got.Internal, want.Internal) || off(got.Switching, want.Switching) || off(got.Leakage, want.Leakage) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"a cell is missing":      strings.Replace(reported, " c1", " d1", 1),
		"a cell is there twice":  strings.Replace(reported, " c1", " c0", 1),
		"a number is none":       strings.Replace(reported, "1.000000e-06", "nan?", 1),
		"OpenSTA says an error":  reported + "Error: power.tcl, 4 unknown cell\n",
		"OpenSTA told nothing":   "",
		"the lines are cut off ": reported[:200],
	} {
		if _, err := parsePower(text, 2); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Of more work than there is time for, jobs that are chosen evenly are run; what the
// gates have not is n/a.
func TestJobs(t *testing.T) {
	t.Parallel()
	window := products(datapath.Binary)[0]
	long := datapath.Window{}
	for range 1000 {
		long.Steps = append(long.Steps, window.Steps[0])
	}
	const units = 100
	all, err := jobs([]datapath.Window{long}, units)
	if err != nil {
		t.Fatal(err)
	}
	times := make([]int, units)
	for _, j := range all {
		times[j.unit]++
	}
	if cycles := len(all) * 40; cycles > mostCycles || cycles < mostCycles/2 {
		t.Errorf("%d cycles are run; want about %d", cycles, mostCycles)
	}
	for unit, n := range times {
		if n < times[0]-1 || n > times[0]+1 {
			t.Errorf("unit %d has %d jobs and unit 0 has %d", unit, n, times[0])
		}
	}
	window.Steps[0].Products[0].Second = true
	for name, windows := range map[string][]datapath.Window{"two accumulators": {window}, "nothing": {{}}} {
		if _, err := jobs(windows, units); !errors.As(err, new(*backend.ErrUnsupported)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
