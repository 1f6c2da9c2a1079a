package cpu

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/accel/kernels/lut"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// joules is a counter that gives one number after the other.
type joules []float64

func (j *joules) Joules() (float64, error) {
	if len(*j) == 0 {
		return 0, errors.New("it is broken")
	}
	first := (*j)[0]
	*j = (*j)[1:]
	return first, nil
}

func (*joules) Domains() []string { return []string{"dram", "package-0"} }

// deployedOn is a small network on a processor, with options.
func deployedOn(t *testing.T, p *processor, options plugins.Values) *processor {
	t.Helper()
	g, weights := sample.LSTM{Units: 3, Inputs: 4, Outputs: 4, Steps: 2, Format: sample.Binary}.Build()
	if _, err := p.Deploy(t.Context(), backend.Deploy{Options: options, Network: network.Scanned("test", g), Weights: weights}); err != nil {
		t.Fatal(err)
	}
	return p
}

func costOn(t *testing.T, p *processor) backend.Cost {
	t.Helper()
	c, err := p.Cost(t.Context(), backend.CostRequest{Steps: steps(5)})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Measured || (len(c.Energy) > 0) == (c.Missing["energy"] != "") {
		t.Errorf("measured %t, energy %v, the reason for no energy %q", c.Measured, c.Energy, c.Missing["energy"])
	}
	return c
}

// The parts of a measured energy are what was counted, for each sequence.
func TestMeasuredEnergy(t *testing.T) {
	t.Parallel()
	const sequences = 4
	// What was drawn before the first sequence is none of theirs.
	p := deployedOn(t, &processor{meter: &meter{&joules{5, 12}, 0, 1e-9}}, plugins.Values{timed: fmt.Sprint(sequences), power: "40"})
	c := costOn(t, p)
	if len(c.Energy) != 2 || c.Energy[0].Name != idlePart || !c.Energy[0].Static || c.Energy[1].Name != computingPart || c.Energy[0].Assumed {
		t.Fatalf("the energy is %+v, want two parts, the first of which is static", c.Energy)
	}
	idle, computing := c.Energy[0].Value, c.Energy[1].Value
	if got := idle + computing; math.Abs(got-12.0/sequences) > 1e-9 {
		t.Errorf("a sequence takes %v J, want %v", got, 12.0/sequences)
	}
	if idle <= 0 || idle > 1e-6 {
		t.Errorf("of it %v J are of the idle processor, want a nanowatt for some time", idle)
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "dram, package-0 by RAPL") || strings.Contains(notes, "assumption") {
		t.Errorf("notes %q, want where the energy is from, and no assumption", notes)
	}
}

// Idle power that is more than what was counted is not more than all of it.
func TestEnergyParts(t *testing.T) {
	t.Parallel()
	parts := timing{runs: 4, elapsed: 2, joules: 12}.energyParts(5)
	if parts[0].Value != 2.5 || parts[1].Value != 0.5 {
		t.Errorf("%v, want 2.5 and 0.5 J", parts)
	}
	parts = timing{runs: 4, elapsed: 2, joules: 12}.energyParts(50)
	if parts[0].Value != 3 || parts[1].Value != 0 {
		t.Errorf("%v, want 3 and 0 J", parts)
	}
}

// Energy is counted for as long as the counters need.
func TestTheWindowIsFilled(t *testing.T) {
	t.Parallel()
	g, weights := networks["binary, one unit"].Build()
	d := scanned(t, g, weights, lut.Exact)
	const long = 20 * time.Millisecond
	got, err := d.time(t.Context(), randomBatch(d.Shape(1, steps(5), false)), 1, &meter{&joules{0, 1}, long, 1})
	if err != nil || len(got.seconds) != 1 || got.elapsed < long.Seconds() || got.joules != 1 {
		t.Errorf("%+v, %v, want one time and 1 J over %v", got, err, long)
	}
}

// The idle processor is what the counter says of a wait.
func TestIdlePower(t *testing.T) {
	t.Parallel()
	waited := time.Duration(0)
	m, err := newMeter(&joules{100, 1e-3}, time.Hour, func(d time.Duration) { waited = d })
	if err != nil || waited != time.Hour || m.idle < 1e-3 {
		t.Errorf("%+v, %v after %v, want at least a milliwatt and an hour", m, err, waited)
	}
	if _, err := newMeter(&joules{100, 0}, 0, func(time.Duration) {}); err == nil || !strings.Contains(err.Error(), "stand still") {
		t.Errorf("a counter that stands still: %v", err)
	}
	if _, err := newMeter(&joules{100}, 0, func(time.Duration) {}); err == nil || err.Error() != "it is broken" {
		t.Errorf("a counter that breaks: %v", err)
	}
}

// Without a meter the energy is what the user states, and says so; else it is n/a.
func TestEnergyWithoutAMeter(t *testing.T) {
	t.Parallel()
	none := t.TempDir()
	c := costOn(t, deployedOn(t, &processor{counters: none}, plugins.Values{timed: "3", power: "40"}))
	if len(c.Energy) != 1 || c.Energy[0].Name != assumedPart || !c.Energy[0].Assumed || c.Energy[0].Value != 40**c.Seconds {
		t.Errorf("the energy is %+v, want 40 W for %v s, assumed", c.Energy, *c.Seconds)
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "energy is an assumption: 40 W") || !strings.Contains(notes, none) {
		t.Errorf("notes %q, want that 40 W are assumed, and why", notes)
	}
	c = costOn(t, deployedOn(t, &processor{counters: none}, plugins.Values{timed: "3"}))
	if reason := c.Missing["energy"]; !strings.Contains(reason, "no energy counter in "+none) || !strings.Contains(reason, "option power") {
		t.Errorf("no energy because %q, want the folder and the option", reason)
	}
}

// A folder like Linux's is opened, and its counter stands still.
func TestCountersOfAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "intel-rapl:0")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{"name": "package-0", "energy_uj": "5", "max_energy_range_uj": "100"} {
		if err := os.WriteFile(filepath.Join(path, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := costOn(t, deployedOn(t, &processor{counters: folder}, plugins.Values{timed: "1"}))
	if reason := c.Missing["energy"]; !strings.Contains(reason, "stand still") {
		t.Errorf("no energy because %q, want that the counters stand still", reason)
	}
}
