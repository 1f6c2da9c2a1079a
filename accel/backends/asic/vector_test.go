package asic_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/accel/backends/asic"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// rooted is tiny with a unit for roots.
const rooted = tiny + "root: {cycles: 7}\n"

// normalized is a graph whose state is the normalization of its input.
func normalized(size int) stepgraph.Graph {
	return stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: size}},
		States: []stepgraph.State{{Name: "s", Size: size, Init: make([]float32, size), Next: "y"}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Normalize, Inputs: []string{"x"}, Size: size, Epsilon: 1e-5}},
		Output: "y",
	}
}

// attending has a score and a row of four of each step, which are added up times the softmax of
// the scores.
func attending() network.Network {
	part := func(name string, offset, size int) network.Stage {
		return network.Stage{Name: name, Op: network.Scan, Inputs: []string{"x"}, Graph: stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Size: 5}},
			Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Slice, Inputs: []string{"x"}, Size: size, Offset: offset}},
			Output: "y",
		}}
	}
	return network.Network{
		Inputs: []network.Input{{Name: "x", Role: network.Features, Stream: "sequence", Size: 5}},
		Stages: []network.Stage{
			part("score", 0, 1), part("row", 1, 4),
			{Name: "weights", Op: network.Softmax, Inputs: []string{"score"}},
			{Name: "sum", Op: network.WeightedSum, Inputs: []string{"weights", "row"}},
		},
		Output: "sum",
	}
}

// By hand, on two lanes. Five values are three passes, in which lanes work three times: the sum
// takes a pass and a cycle for both lanes' sums, the mean one, deviations and squares four passes
// and a cycle, the root seven, the product a pass.
func TestCyclesOfVectorsByHand(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]float64{1: 6*1 + 2*0 + 1 + 7, 2: 6*1 + 2*1 + 1 + 7, 5: 6*3 + 2*1 + 1 + 7} {
		if got := cost(t, with(rooted), normalized(size), nil); *got.Cycles != 10*want {
			t.Errorf("10 normalizations of %d values take %v cycles, want 10·%v", size, *got.Cycles, want)
		}
	}
	four := cost(t, with(strings.Replace(rooted, "lanes: 2", "lanes: 4", 1)), normalized(3), nil)
	if want := 10.0 * (6*1 + 2*2 + 1 + 7); *four.Cycles != want {
		t.Errorf("on four lanes 10 normalizations of 3 values take %v cycles, want %v", *four.Cycles, want)
	}
	// Scores of 7 steps are four passes; a row of four takes two cycles a step.
	got := costOf(t, with(rooted), attending(), nil, map[string]int{"sequence": 7})
	if want := 5*4 + 2*1 + 7 + 7*2.0; *got.Cycles != want {
		t.Errorf("attention over 7 steps takes %v cycles, want %v", *got.Cycles, want)
	}
}

// The energy is what a reader of the explanation computes by its formulas and numbers.
func TestEnergyOfVectorsIsThatOfTheExplanation(t *testing.T) {
	t.Parallel()
	e := constants(t, "asic-lowpower")
	const pico = 1e-12
	between := func(kind string) float64 { // the memories of 64 and 512 words
		at := math.Log(192.0/64) / math.Log(8)
		return math.Pow(e["sram "+kind+", 64 × 64 bits pJ"], 1-at) * math.Pow(e["sram "+kind+", 512 × 64 bits pJ"], at) / 64 * pico
	}
	read, write := e["sram read, 512 × 64 bits pJ"]/64*pico, e["sram write, 512 × 64 bits pJ"]/64*pico
	function := math.Pow(e["sram read, 64 × 64 bits pJ"], 1.0/3) * math.Pow(e["sram read, 512 × 64 bits pJ"], 2.0/3) / 64 * pico
	add, register := e["add pJ/bit"]*pico, e["register pJ/bit"]*pico
	multiply := func(a, b float64) float64 {
		return (a*b*e["multiply pJ/bit²"] + max(a, b)*e["multiply pJ/bit"]) * pico
	}
	root := 12*between("read") + 26*add + multiply(12, 12) + multiply(24, 24) + multiply(12, 26) + multiply(17, 17)
	check := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got/want-1) > 1e-9 {
			t.Errorf("%s takes %v J, by the explanation %v", name, got, want)
		}
	}
	b := designed{asic.New(), "asic-lowpower", bottomUp}
	const n, steps = 230, 10
	got := values(cost(t, b, normalized(n), nil).Energy)
	check("normalization", got["normalization"], steps*((n+99)*(40+64)*add+multiply(40, 24)+root+n*(4*multiply(12, 12)+2*24*add)))
	check("activation memory", got["activation memory"], steps*24*n*(3*read+2*write))
	check("clock and control", got["clock and control"], steps*n*152*register)
	const T, R = 40, 4
	got = values(costOf(t, b, attending(), nil, map[string]int{"sequence": T}).Energy)
	check("attention", got["attention"],
		(T+39)*(24+64)*add+root+T*(24*add+2*multiply(12, 12)+12*function+64*read+32*write+144*register)+
			T*(R*(multiply(12, 12)+24*add+36*read+24*write+24*register)+16*read))
}

// The circuits are told apart from the published area, and only where the network needs them:
// what has neither normalization nor attention costs the same with and without them.
func TestOnlyWhatNeedsARootPaysForIt(t *testing.T) {
	t.Parallel()
	const part = "root unit and wide sums"
	g, weights := sample.LSTM{Units: 40, Inputs: 7, Outputs: 3, Steps: 2, Format: sample.Ternary}.Build()
	plain := cost(t, with(tiny), g, weights)
	if diff := cmp.Diff(plain, cost(t, with(rooted), g, weights)); diff != "" {
		t.Errorf("with a root unit an LSTM costs otherwise:\n%s", diff)
	}
	if _, told := values(plain.Area)[part]; told {
		t.Error("an LSTM has the area of a root unit")
	}
	got := cost(t, with(rooted), normalized(5), nil)
	for _, p := range got.Area {
		if p.Name == part && (p.Value <= 0 || !p.Outside) {
			t.Errorf("the area of the root unit is %+v", p)
		}
	}
	if values(got.Area)[part] == 0 {
		t.Error("a normalization has no area of a root unit")
	}
	more := values(cost(t, with(strings.Replace(rooted, "lanes: 2", "lanes: 20", 1)), normalized(5), nil).Area)
	if more[part] <= values(got.Area)[part] {
		t.Error("the wide sums of 20 lanes take no more area than those of 2")
	}
	for _, p := range costOf(t, with(rooted), attending(), nil, map[string]int{"sequence": 7}).Energy {
		if p.Name == "attention" && !p.Outside {
			t.Error("the energy of the attention counts as that of recurrent layers")
		}
	}
}

// A design without the unit refuses both, and so does the SystemVerilog, which has none; a sum
// that accumulators may not hold is told.
func TestRootsAreMissedAndOverflowIsTold(t *testing.T) {
	t.Parallel()
	_, err := with(tiny).Deploy(t.Context(), backend.Deploy{Network: attending()})
	if !errors.As(err, new(*backend.ErrUnsupported)) || !strings.Contains(err.Error(), `"softmax" of stage "weights"`) || !strings.Contains(err.Error(), "root: {cycles: 5}") {
		t.Errorf("error %v, want ErrUnsupported that names the operation and what to do", err)
	}
	w, err := packed.Pack(1, 9, packed.Codes{Bits: 1, Codes: make([]uint16, 9), Levels: []float32{-1, 1}, Scales: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 9}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 1, Weight: "w", Recurrent: true}},
		Output: "y",
	}
	// Nine numbers of up to 2¹¹ take 15 bits and a sign.
	for bits, want := range map[string]bool{"15": true, "16": false} {
		design := strings.Replace(tiny, "binary: {units: 4, accumulator_bits: 24", "binary: {units: 4, accumulator_bits: "+bits, 1)
		notes := strings.Join(cost(t, with(design), g, map[string]packed.Matrix{"w": w}).Notes, "\n")
		if got := strings.Contains(notes, "sums of y may take 16 bits, and the accumulators of the binary column have 15"); got != want {
			t.Errorf("with accumulators of %s bits the notes are %q", bits, notes)
		}
	}
	for _, p := range programs.Programs() {
		want, refused := map[string]string{"gru-layer-norm": "a normalization over a vector", "attention": "attention"}[p.Name]
		if !refused {
			continue
		}
		b := with(rooted).(designed)
		if _, err := b.Deploy(t.Context(), backend.Deploy{Network: p.Network, Weights: p.Weights}); err != nil {
			t.Fatal(err)
		}
		_, err := b.Backend.(backend.RTL).CheckRTL(t.Context(), batchesOf(p.Batch(3, 0)), 1)
		if !errors.As(err, new(*backend.ErrUnsupported)) || !strings.Contains(err.Error(), "the machine in SystemVerilog has no circuit for "+want) {
			t.Errorf("%s in SystemVerilog: error %v, want ErrUnsupported that names the circuit", p.Name, err)
		}
	}
	if _, err := asic.Parse(strings.Replace(rooted, "cycles: 7", "cycles: 0", 1)); !errors.As(err, new(*plugins.Problem)) || !strings.Contains(err.Error(), "root.cycles must be between 1 and 1024, not 0") {
		t.Errorf("a root of 0 cycles: error %v", err)
	}
}
