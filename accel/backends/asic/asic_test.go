package asic_test

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bittern/accel/backends/asic"
	"bittern/accel/backends/asichighspeed"
	"bittern/accel/backends/asiclowpower"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/plugintest"
	"bittern/plugins/stepgraph"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func() backend.Backend{
		"asic-lowpower": asiclowpower.New, "asic-highspeed": asichighspeed.New,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugintest.Backend(t, create, plugins.Values{"integer-bits": "5"}).Want(t, "gru-layer-norm", "attention")
		})
	}
}

// tiny has figures that are easy to reckon with by hand.
var tiny = asic.Design{
	Name: "tiny", Source: "made up", Clock: 1e6, Lanes: 2,
	Binary:    asic.Column{Units: 4, Area: 1, Power: 1},
	Ternary:   asic.Column{Units: 2, Area: 2, Power: 2},
	TwelveBit: asic.Column{Units: 3, Area: 4, Power: 8},
}

// cost is that of a sequence of 10 steps through a graph.
func cost(t *testing.T, b backend.Backend, g stepgraph.Graph, weights map[string]packed.Matrix) backend.Cost {
	t.Helper()
	return costOf(t, b, network.Scanned("test", g), weights, map[string]int{"sequence": 10})
}

func costOf(t *testing.T, b backend.Backend, n network.Network, weights map[string]packed.Matrix, steps map[string]int) backend.Cost {
	t.Helper()
	if _, err := b.Deploy(t.Context(), backend.Deploy{Network: n, Weights: weights}); err != nil {
		t.Fatal(err)
	}
	c, err := b.Cost(t.Context(), backend.CostRequest{Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func values(parts []backend.Part) map[string]float64 {
	m := map[string]float64{}
	for _, p := range parts {
		m[p.Name] += p.Value
	}
	return m
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Abs(want) }

// An LSTM of 5 units, 7 symbols and 3 classes, by hand. Blocks of the 20 gate rows:
// 5 of 4 binary units, 10 of 2 ternary ones, 7 of 3 of 12 bits. Lanes: vectors of 20
// take 10 cycles, of 5 take 3 and of 3 take 2.
//
//	Wh·h ⌈20/N⌉·5, Wx·x ⌈20/N⌉, two normalisations and their sum 3·10,
//	four gates 4·3, f∘c, i∘g, c', BN, tanh and h 6·3                 60 for the lanes
//	output: W·h ⌈3/3⌉·5, bias 2                                       7
//
// of each of 10 time steps. Each product that has several results takes 10 cycles more
// of the lanes for the α of each and for each sum of two.
func TestCyclesByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		format    sample.Format
		recurrent float64
		column    asic.Column
		codeBytes float64
		levels    float64 // bytes
	}{
		{"binary", sample.Binary, 5*5 + 5 + 60, tiny.Binary, 20 * (5 + 7) / 8.0, 0},
		{"ternary", sample.Ternary, 10*5 + 10 + 60, tiny.Ternary, 20 * (5 + 7) * 2 / 8.0, 0},
		{"full precision", sample.Format{}, 7*5 + 7 + 60, tiny.TwelveBit, 20 * (5 + 7) * 12 / 8.0, 0},
		{"two planes", sample.TwoPlanes, 2*(5*5+5) + 60 + 60, tiny.Binary, 2 * 20 * (5 + 7) / 8.0, 4 * 16 / 8.0},
		{"two planes per row", sample.PerRow(sample.TwoPlanes), 2*(5*5+5) + 60 + 60, tiny.Binary, 2 * 20 * (5 + 7) / 8.0, 4 * 20 * 16 / 8.0},
		{"two scales", sample.Asymmetric, 10*5 + 10 + 60 + 60, tiny.Ternary, 20 * (5 + 7) * 2 / 8.0, 4 * 16 / 8.0},
		{"4 bits", sample.Uniform, 4*(5*5+5) + 60 + 2*7*10, tiny.Binary, 4 * 20 * (5 + 7) / 8.0, 8 * 16 / 8.0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, weights := sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: c.format, Seed: 1}.Build()
			got := cost(t, asic.New(tiny), g, weights)
			if want := 10 * (c.recurrent + 7); *got.Cycles != want {
				t.Errorf("%v cycles, want %v", *got.Cycles, want)
			}
			if want := 10 * (c.recurrent + 7) / 1e6; !near(*got.Seconds, want) {
				t.Errorf("%v seconds, want %v", *got.Seconds, want)
			}
			if *got.Area != c.column.Area {
				t.Errorf("area %v, want %v", *got.Area, c.column.Area)
			}
			energy := values(got.Energy)
			if want := tiny.TwelveBit.Power * 10 * 7 / 1e6; !near(energy["output layer"], want) {
				t.Errorf("the output layer takes %v J, want %v", energy["output layer"], want)
			}
			recurrent := -energy["output layer"]
			for _, part := range energy {
				recurrent += part
			}
			if want := c.column.Power * 10 * c.recurrent / 1e6; !near(recurrent, want) {
				t.Errorf("the recurrent parts sum to %v J, want power × time = %v", recurrent, want)
			}
			for name, want := range map[string]float64{
				"recurrent codes": c.codeBytes,
				"levels":          c.levels, // 0 where α is part of the tables
				// Four time steps of scales (16 bits) for 20 + 20 + 5 and offsets (24 bits) for 20 + 5.
				"normalisation tables": 4 * (45*16 + 25*24) / 8.0,
				"state":                2 * 5 * 2 * 12 / 8.0,
				"output layer":         (3*5*12 + 3*24) / 8.0,
				"embedding":            0,
				"workspace":            0, // no graph leaves anything to a later one
			} {
				if got := values(got.Memory)[name]; got != want {
					t.Errorf("memory of %s is %v bytes, want %v", name, got, want)
				}
			}
			output := backend.Substitution{Weight: "softmax.W", From: "float32", To: "12-bit fixed point",
				Reason: "what is not recurrent runs on a 12-bit column; values are rounded"}
			if !slices.Contains(got.Substitutions, output) {
				t.Errorf("substitutions %+v, want %+v among them", got.Substitutions, output)
			}
			if want := map[bool]int{true: 3, false: 1}[len(c.format.Planes) == 0]; len(got.Substitutions) != want {
				t.Errorf("%d substitutions, want %d: %+v", len(got.Substitutions), want, got.Substitutions)
			}
			if got.Measured || len(got.Missing) != 0 || len(got.Notes) == 0 {
				t.Errorf("measured %v, missing %v, %d notes; want a model of everything, with notes", got.Measured, got.Missing, len(got.Notes))
			}
		})
	}
}

// joules reads the energies of the events from the package comment, where a reader
// would find them.
func joules(t *testing.T) map[string]float64 {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "asic.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	energies := map[string]float64{}
	for _, line := range regexp.MustCompile(`(?m)^\t(\S+ \S+) +([0-9.]+) pJ`).FindAllStringSubmatch(file.Doc.Text(), -1) {
		value, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		energies[line[1]] = value * 1e-12
	}
	if len(energies) != 5 {
		t.Fatalf("the package comment gives the energies %v, want five", energies)
	}
	return energies
}

// The energies are those of their sources at 45 nm, times the quotient.
func TestEnergiesAreThoseOfTheirSources(t *testing.T) {
	t.Parallel()
	const scaled = 1.332 / 1.0177 * 1e-12 // joules at 65 nm per picojoule at 45 nm
	e := joules(t)
	for name, picojoules := range map[string]float64{
		"12-bit multiply": 0.002994791667*144 + 0.001041666667*12,
		"12-bit add":      0.003125 * 12,
		"SRAM read":       32.29 / 64,
		"buffer read":     0.628 / 16,
		"buffer write":    1.53 / 16,
	} {
		if want := picojoules * scaled; math.Abs(e[name]/want-1) > 1e-6 {
			t.Errorf("%s takes %v J by the package comment, %v by its source", name, e[name], want)
		}
	}
}

// The parts of the energy are what a reader of the package comment computes by its
// formulas and numbers, for the recurrent work of an LSTM of 230 units and 7 symbols on
// a published design.
func TestEnergyIsThatOfThePackageComment(t *testing.T) {
	t.Parallel()
	e := joules(t)
	for _, c := range []struct {
		name   string
		format sample.Format
		width  float64
		power  float64 // W, of 100 units
	}{
		{"binary", sample.Binary, 1, 0.037},
		{"ternary", sample.Ternary, 2, 0.061},
		{"12-bit", sample.Format{}, 12, 0.336},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const gates, units = 4 * 230, 230
			g, weights := sample.LSTM{Units: units, Inputs: 7, Outputs: 3, Steps: 2, Format: c.format}.Build()
			got := cost(t, asiclowpower.New(), g, weights)
			const product = 10 * units // cycles: ten blocks of 100 rows
			// Two scale-shifts of the products and their sum; four gates; f∘c, i∘g, c',
			// the scale-shift of c', its tanh and h'.
			const scaleShifts, adds, muls, functions = 2*gates + units, gates + units, 3 * units, 5 * units
			perMAC := e["12-bit add"]
			if c.width == 12 {
				perMAC += e["12-bit multiply"]
			}
			want := map[string]float64{
				"weight fetch":        (gates*units + gates) * c.width * e["SRAM read"],
				"multiply-accumulate": gates * units * perMAC,
				"activations": 12 * (product*e["buffer read"] +
					(scaleShifts+functions+2*adds+2*muls)*e["buffer read"] +
					(scaleShifts+functions+adds+muls)*e["buffer write"]),
				"normalisation tables": ((2*gates+units)*16 + (gates+units)*24) * e["SRAM read"],
				"elementwise": scaleShifts*(e["12-bit multiply"]+e["12-bit add"]) + adds*e["12-bit add"] +
					muls*e["12-bit multiply"] + functions*12*e["buffer read"],
			}
			const output = 10 * (units + 1) // cycles: one block, and the bias on the lanes
			rest := c.power * (*got.Cycles - output) / 400e6
			for name := range want {
				want[name] *= 10 // time steps
				rest -= want[name]
			}
			want["clock and control"] = rest
			energy := values(got.Energy)
			for name, value := range want {
				if math.Abs(energy[name]/value-1) > 1e-6 {
					t.Errorf("%s takes %v J, by the package comment %v", name, energy[name], value)
				}
			}
			if rest <= 0 {
				t.Errorf("clock and control is %v J, want some to compare", rest)
			}
		})
	}
}

// Estimates beyond the published power are scaled down to it, and said to be.
func TestEstimatesBeyondThePower(t *testing.T) {
	t.Parallel()
	faint := tiny
	faint.Ternary.Power = 1e-9
	g, weights := sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 1, Format: sample.Ternary}.Build()
	got := cost(t, asic.New(faint), g, weights)
	energy := values(got.Energy)
	recurrent := -energy["output layer"]
	for _, part := range energy {
		recurrent += part
	}
	if want := 1e-9 * (*got.Cycles - 70) / 1e6; math.Abs(recurrent/want-1) > 1e-3 { // a small difference of large numbers
		t.Errorf("the recurrent parts sum to %v J, want %v", recurrent, want)
	}
	if energy["clock and control"] != 0 {
		t.Errorf("clock and control takes %v J, want none", energy["clock and control"])
	}
	if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, "scaled down") {
		t.Errorf("no note says that the estimates were scaled down:\n%s", notes)
	}
}

// The published throughput is units × 2 × clock, and every cell of the recalled
// table shows in the description as unverified.
func TestPublishedDesigns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backend backend.Backend
		want    map[string]string
	}{
		"asic-lowpower": {asiclowpower.New(), map[string]string{
			"12-bit column":  "100 units, 80 GOps/s, 2.56 mm², 336 mW",
			"binary column":  "100 units, 80 GOps/s, 0.24 mm², 37 mW",
			"ternary column": "100 units, 80 GOps/s, 0.42 mm², 61 mW",
			"clock":          "400 MHz",
		}},
		"asic-highspeed": {asichighspeed.New(), map[string]string{
			"12-bit column":  "100 units, 80 GOps/s, 2.56 mm², 336 mW",
			"binary column":  "1000 units, 800 GOps/s, 2.54 mm², 347 mW",
			"ternary column": "500 units, 400 GOps/s, 2.16 mm², 302 mW",
			"clock":          "400 MHz",
		}},
	} {
		d, err := c.backend.Describe(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind != plugins.KindBackend || d.Name != name || d.API != plugins.APIVersion {
			t.Errorf("describes itself as %s/%s with API %d, want backend/%s with %d", d.Kind, d.Name, d.API, name, plugins.APIVersion)
		}
		for _, fact := range d.Facts {
			if want, ok := c.want[fact.Name]; ok {
				if fact.Value != want || !strings.Contains(fact.Source, "unverified") {
					t.Errorf("%s: %s is %q from %q, want %q, unverified", name, fact.Name, fact.Value, fact.Source, want)
				}
				delete(c.want, fact.Name)
			}
		}
		if len(c.want) != 0 {
			t.Errorf("%s does not tell %v", name, c.want)
		}
	}
}

// At the paper's size the matrix products dominate, the estimates fit into the
// published power, and the parts sum to power × time.
func TestPowerTimesTimeOfPublishedDesigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		backend backend.Backend
		format  sample.Format
		units   int
		power   float64
	}{
		{"low power, binary", asiclowpower.New(), sample.Binary, 100, 0.037},
		{"low power, ternary", asiclowpower.New(), sample.Ternary, 100, 0.061},
		{"low power, 12-bit", asiclowpower.New(), sample.Format{}, 100, 0.336},
		{"high speed, binary", asichighspeed.New(), sample.Binary, 1000, 0.347},
		{"high speed, ternary", asichighspeed.New(), sample.Ternary, 500, 0.302},
		{"high speed, 12-bit", asichighspeed.New(), sample.Format{}, 100, 0.336},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, weights := sample.LSTM{Units: 512, Inputs: 87, Outputs: 87, Steps: 2, Format: c.format}.Build()
			got := cost(t, c.backend, g, weights)
			blocks := float64((2048 + c.units - 1) / c.units)
			const lanes, output = 3*21 + 4*6 + 6*6, 10 * (512 + 1)
			if want := 10*(blocks*512+blocks+lanes) + output; *got.Cycles != want {
				t.Errorf("%v cycles, want %v", *got.Cycles, want)
			}
			energy, sum := values(got.Energy), 0.0
			for _, part := range energy {
				if part < 0 {
					t.Errorf("parts of the energy are %v, want none below zero", energy)
				}
				sum += part
			}
			if want := (c.power*(*got.Cycles-output) + 0.336*output) / 400e6; !near(sum, want) {
				t.Errorf("energy is %v J, want %v", sum, want)
			}
			if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, "unverified") || !strings.Contains(notes, "paper-recalled-65nm") {
				t.Errorf("notes do not name the energy table and say \"unverified\":\n%s", notes)
			}
			t.Logf("%.0f cycles, %v", *got.Cycles, energy)
		})
	}
}

func TestUnsupportedAndBadRequests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := asic.New(tiny)
	if _, err := b.Cost(ctx, backend.CostRequest{Steps: map[string]int{"sequence": 1}}); err == nil {
		t.Error("Cost before Deploy: no error")
	}
	if _, err := b.Execute(ctx, backend.Execute{}); err == nil {
		t.Error("Execute before Deploy: no error")
	}
	n := network.Scanned("test", stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 2}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Normalize, Inputs: []string{"x"}, Size: 2, Epsilon: 1e-5}},
		Output: "y",
	})
	_, err := b.Deploy(ctx, backend.Deploy{Network: n})
	var unsupported *backend.ErrUnsupported
	if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "normalize") {
		t.Errorf("Deploy of a normalize: error %v, want ErrUnsupported that names it", err)
	}
	var problem *plugins.Problem
	for _, bits := range []string{"-1", "9", "x"} {
		_, err := b.Deploy(ctx, backend.Deploy{Network: n, Options: plugins.Values{"integer-bits": bits}})
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), "integer-bits") {
			t.Errorf("integer-bits %s: error %v, want a problem that names the option", bits, err)
		}
	}
	n.Stages[0].Graph.Nodes[0] = stepgraph.Node{Name: "y", Op: stepgraph.Tanh, Inputs: []string{"x"}, Size: 2}
	if _, err := b.Deploy(ctx, backend.Deploy{Network: n}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Cost(ctx, backend.CostRequest{}); !errors.As(err, &problem) || !strings.Contains(err.Error(), `"sequence"`) {
		t.Errorf("Cost of no steps: error %v, want a problem that names the stream", err)
	}
}

// A sequence costs each graph's time step for each step of its stream, or once. By
// hand, on three 12-bit units and two lanes: a cell h' = σ(W·x + h) of 4 units over
// the 10 steps of a text and backwards over the 3 of a question, with one weight,
// and logits of the concatenation of both, once.
//
//	cell     W·x ⌈4/3⌉·2, sum ⌈4/2⌉, σ ⌈4/2⌉    8 a step
//	logits   V·h ⌈3/3⌉·8                        8
func TestCostOfStages(t *testing.T) {
	t.Parallel()
	matrix := func(rows, cols int) packed.Matrix {
		m, err := packed.FromValues(make([]float32, rows*cols), rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	cell := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 2}},
		States: []stepgraph.State{{Name: "h", Size: 4, Init: make([]float32, 4), Next: "h'"}},
		Nodes: []stepgraph.Node{
			{Name: "W·x", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 4, Weight: "W", Recurrent: true},
			{Name: "a", Op: stepgraph.Add, Inputs: []string{"W·x", "h"}, Size: 4},
			{Name: "h'", Op: stepgraph.Sigmoid, Inputs: []string{"a"}, Size: 4},
		},
		Output: "h'",
	}
	n := network.Network{
		Inputs: []network.Input{
			{Name: "text", Role: network.Features, Stream: "text", Size: 2},
			{Name: "question", Role: network.Features, Stream: "question", Size: 2},
		},
		Stages: []network.Stage{
			{Name: "read", Op: network.Scan, Inputs: []string{"text"}, Graph: cell, Last: true},
			{Name: "ask", Op: network.Scan, Inputs: []string{"question"}, Graph: cell, Reverse: true, Last: true},
			{Name: "logits", Op: network.Scan, Inputs: []string{"read", "ask"}, Graph: stepgraph.Graph{
				Inputs: []stepgraph.Input{{Name: "a", Size: 4}, {Name: "b", Size: 4}},
				Nodes: []stepgraph.Node{
					{Name: "ab", Op: stepgraph.Concat, Inputs: []string{"a", "b"}, Size: 8},
					{Name: "V·ab", Op: stepgraph.MatVec, Inputs: []string{"ab"}, Size: 3, Weight: "V"},
				},
				Output: "V·ab",
			}},
		},
		Output: "logits",
	}
	weights := map[string]packed.Matrix{"W": matrix(4, 2), "V": matrix(3, 8)}
	got := costOf(t, asic.New(tiny), n, weights, map[string]int{"text": 10, "question": 3})
	if *got.Cycles != 13*8+8 {
		t.Errorf("%v cycles, want 13·8 + 8", *got.Cycles)
	}
	energy := values(got.Energy)
	sum := -energy["output layer"]
	for _, part := range energy {
		sum += part
	}
	if want := 8.0 * 13 * 8 / 1e6; !near(sum, want) || !near(energy["output layer"], 8.0*8/1e6) {
		t.Errorf("%v J of recurrent work and %v of the output layer, want %v and %v", sum, energy["output layer"], want, 8.0*8/1e6)
	}
	memory := values(got.Memory)
	for name, want := range map[string]float64{
		"recurrent codes": 8 * 12 / 8.0,         // W once
		"output layer":    24 * 12 / 8.0,        // V
		"state":           2 * 2 * 4 * 12 / 8.0, // of two cells
		"workspace":       2 * 4 * 12 / 8.0,     // what both leave
	} {
		if memory[name] != want {
			t.Errorf("memory of %s is %v bytes, want %v", name, memory[name], want)
		}
	}
	// Every step of a text that a later graph reads waits in the workspace.
	n.Stages[0].Last = false
	if got := values(costOf(t, asic.New(tiny), n, weights, map[string]int{"text": 10, "question": 3}).Memory)["workspace"]; got != 11*4*12/8.0 {
		t.Errorf("the workspace is %v bytes, want %v", got, 11*4*12/8.0)
	}
}

// A lone row, a lone column and vectors shorter than the lanes still take a whole
// cycle or block.
func TestOddSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, cols int
		want       float64
	}{{1, 1, 1 + 1}, {1, 9, 9 + 1}, {5, 1, 2 + 3}, {4, 3, 3 + 2}} {
		t.Run(fmt.Sprintf("%d×%d", c.rows, c.cols), func(t *testing.T) {
			t.Parallel()
			w, err := packed.Pack(c.rows, c.cols, packed.Codes{Bits: 1, Codes: make([]uint16, c.rows*c.cols), Levels: []float32{-1, 1}, Scales: []float32{1}})
			if err != nil {
				t.Fatal(err)
			}
			g := stepgraph.Graph{
				Inputs: []stepgraph.Input{{Name: "x", Size: c.cols}},
				States: []stepgraph.State{{Name: "s", Size: c.rows, Init: make([]float32, c.rows), Next: "y"}},
				Nodes: []stepgraph.Node{
					{Name: "Wx", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: c.rows, Weight: "w", Recurrent: true},
					{Name: "y", Op: stepgraph.Add, Inputs: []string{"Wx", "s"}, Size: c.rows},
				},
				Output: "y",
			}
			got := cost(t, asic.New(tiny), g, map[string]packed.Matrix{"w": w})
			if *got.Cycles != 10*c.want {
				t.Errorf("%v cycles, want %v", *got.Cycles, 10*c.want)
			}
		})
	}
}

// TestDesignsComputeAlike holds the designs to the name that both give their arithmetic,
// which another number of integer bits does not have.
func TestDesignsComputeAlike(t *testing.T) {
	t.Parallel()
	for _, program := range programs.Programs() {
		batch := program.Batch(3, 0)
		run := func(b backend.Backend, options plugins.Values) (string, []float32) {
			deployed, err := b.Deploy(t.Context(), backend.Deploy{Options: options, Network: program.Network, Weights: program.Weights})
			var unsupported *backend.ErrUnsupported
			if errors.As(err, &unsupported) {
				return "", nil
			} else if err != nil {
				t.Fatal(err)
			}
			outputs := make([]float32, len(batch.Targets)*program.Network.Classes())
			if _, err := b.Execute(t.Context(), backend.Execute{Batch: batch, Outputs: outputs}); err != nil {
				t.Fatal(err)
			}
			return deployed.Arithmetic, outputs
		}
		lowName, low := run(asiclowpower.New(), nil)
		highName, high := run(asichighspeed.New(), nil)
		if lowName != highName || (lowName == "") != (low == nil) || !slices.Equal(low, high) {
			t.Errorf("%s: low power computes %q, %v, and high speed %q, %v", program.Name, lowName, low, highName, high)
		}
		if name, _ := run(asichighspeed.New(), plugins.Values{"integer-bits": "4"}); name != "" && name == highName {
			t.Errorf("%s: the arithmetic with 4 integer bits is %q, as that with 3", program.Name, name)
		}
	}
}
