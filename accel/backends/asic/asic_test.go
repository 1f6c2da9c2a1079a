package asic_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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
		"asic-lowpower": asiclowpower.New, "asic": asic.New,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugintest.Backend(t, create, plugins.Values{"integer-bits": "5"}).Want(t)
		})
	}
}

// tiny has figures that are easy to reckon with by hand.
const tiny = `
name: tiny
source: made up
node: 65
voltage: 1
clock_mhz: 1
activation_bits: 12
lanes: 2
activations: {words: 512, banks: 1, port_bits: 12}
functions: {words: 256}
columns:
  binary: {units: 4, accumulator_bits: 24, weights: {words: 2048, banks: 1, port_bits: 4}}
  ternary: {units: 2, accumulator_bits: 24, weights: {words: 2048, banks: 1, port_bits: 4}}
  twelve_bit: {units: 3, accumulator_bits: 32, weights: {words: 2048, banks: 1, port_bits: 36}}
`

// designed is the backend "asic" with a design.
type designed struct {
	backend.Backend
	design string
	more   plugins.Values
}

func (d designed) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	request.Options = maps.Clone(request.Options)
	if request.Options == nil {
		request.Options = plugins.Values{}
	}
	request.Options["design"] = d.design
	maps.Copy(request.Options, d.more)
	return d.Backend.Deploy(ctx, request)
}

func with(design string) backend.Backend { return designed{asic.New(), design, nil} }

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
		codeBytes float64
		levels    float64 // bytes
	}{
		{"binary", sample.Binary, 5*5 + 5 + 60, 20 * (5 + 7) / 8.0, 0},
		{"ternary", sample.Ternary, 10*5 + 10 + 60, 20 * (5 + 7) * 2 / 8.0, 0},
		{"full precision", sample.Format{}, 7*5 + 7 + 60, 20 * (5 + 7) * 12 / 8.0, 0},
		{"two planes", sample.TwoPlanes, 2*(5*5+5) + 60 + 60, 2 * 20 * (5 + 7) / 8.0, 4 * 16 / 8.0},
		{"two planes per row", sample.PerRow(sample.TwoPlanes), 2*(5*5+5) + 60 + 60, 2 * 20 * (5 + 7) / 8.0, 4 * 20 * 16 / 8.0},
		{"two scales", sample.Asymmetric, 10*5 + 10 + 60 + 60, 20 * (5 + 7) * 2 / 8.0, 4 * 16 / 8.0},
		{"4 bits", sample.Uniform, 4*(5*5+5) + 60 + 2*7*10, 4 * 20 * (5 + 7) / 8.0, 8 * 16 / 8.0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, weights := sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: c.format, Seed: 1}.Build()
			got := cost(t, with(tiny), g, weights)
			if want := 10 * (c.recurrent + 7); *got.Cycles != want {
				t.Errorf("%v cycles, want %v", *got.Cycles, want)
			}
			if want := 10 * (c.recurrent + 7) / 1e6; !near(*got.Seconds, want) {
				t.Errorf("%v seconds, want %v", *got.Seconds, want)
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

// The published throughput is units × 2 × clock, and every cell of the recalled
// table shows in the description as unverified.
func TestPublishedDesigns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backend backend.Backend
		want    map[string]string
	}{
		"asic-lowpower": {asiclowpower.New(), map[string]string{
			"12-bit column":  "100 units, 80 GOps/s, published 2.56 mm², 336 mW",
			"binary column":  "100 units, 80 GOps/s, published 0.24 mm², 37 mW",
			"ternary column": "100 units, 80 GOps/s, published 0.42 mm², 61 mW",
			"clock":          "400 MHz",
		}},
		"asic-highspeed": {asichighspeed.New(), map[string]string{
			"12-bit column":  "100 units, 80 GOps/s, published 2.56 mm², 336 mW",
			"binary column":  "1000 units, 800 GOps/s, published 2.54 mm², 347 mW",
			"ternary column": "500 units, 400 GOps/s, published 2.16 mm², 302 mW",
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

func TestUnsupportedAndBadRequests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := with(tiny)
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
	if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), `"normalize" of node "y" needs a unit for roots, which the design tiny does not have`) {
		t.Errorf("Deploy of a normalize on a design without a root unit: error %v, want ErrUnsupported that names both", err)
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
	got := costOf(t, with(tiny), n, weights, map[string]int{"text": 10, "question": 3})
	if *got.Cycles != 13*8+8 {
		t.Errorf("%v cycles, want 13·8 + 8", *got.Cycles)
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
	if got := values(costOf(t, with(tiny), n, weights, map[string]int{"text": 10, "question": 3}).Memory)["workspace"]; got != 11*4*12/8.0 {
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
			got := cost(t, with(tiny), g, map[string]packed.Matrix{"w": w})
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
			if err != nil {
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
		if lowName != highName || lowName == "" || !slices.Equal(low, high) {
			t.Errorf("%s: low power computes %q, %v, and high speed %q, %v", program.Name, lowName, low, highName, high)
		}
		if name, _ := run(asichighspeed.New(), plugins.Values{"integer-bits": "4"}); name == highName {
			t.Errorf("%s: the arithmetic with 4 integer bits is %q, as that with 3", program.Name, name)
		}
	}
}
