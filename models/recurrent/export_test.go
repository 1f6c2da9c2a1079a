package recurrent

import (
	"fmt"
	"math"
	"testing"

	"bittern/accel/kernels/team"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// TestExport runs the exported step of every layer in the step graph's own
// interpreter and finds the frozen layer's hidden states.
func TestExport(t *testing.T) {
	t.Parallel()
	for _, config := range configs {
		// With two sequences, statistics are of what they differ in, however little that is.
		if config.Units < 17 || config.Units > 33 || config.Masked || config.Reverse || config.Batch < 5 {
			continue
		}
		config.Carry = false // a graph starts from h0 and c0
		for _, bits := range []int{0, bitsFor(config.Units)} {
			if bits > 0 && config.Batch > 17 {
				continue // of so many states some are always in the middle between two levels
			}
			config := config
			config.HiddenBits = bits
			t.Run(fmt.Sprintf("%s %s %+v", config.Kind, config.Normalization, config), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(100) {
					hidden, interpreted, margin := runExported(t, drawProblem(config, 6+seed))
					if margin < 2e-4 && config.Normalization != NoNorm || margin < 1e-5 {
						continue // single precision may round to another level
					}
					checkClose(t, "h of all sequences", hidden, [][]float64{interpreted}, 2e-5)
					return
				}
				t.Error("every problem has a hidden state in the middle between two levels")
			})
		}
	}
}

// runExported returns the hidden states of the frozen layer and those of its exported
// step, and how close any of them was to the middle between two levels.
func runExported(t *testing.T, p problem) (hidden []float32, interpreted []float64, margin float64) {
	t.Helper()
	workers := team.New(2)
	defer workers.Close()
	config := p.config
	l := newLayer(t, workers, config)
	running := newRunning(config)
	forward := func(s Statistics) {
		l.Prepare(Pass{Statistics: s, Running: running})
		if err := l.Forward(p.weights, p.input); err != nil {
			t.Fatal(err)
		}
	}
	forward(Calibrate)
	forward(Frozen)
	graph := stepgraph.Graph{Inputs: []stepgraph.Input{{Name: "x", Token: config.Tokens, Size: config.Inputs}}}
	output, err := l.Export(p.weights, Export{
		Graph: &graph, Name: func(part string) string { return "layer." + part }, Input: "x", Running: running,
	})
	if err != nil {
		t.Fatal(err)
	}
	graph.Output = output
	weights := map[string]packed.Matrix{}
	for _, parameter := range config.Parameters() {
		if !parameter.Quantize {
			continue
		}
		name, shape := "layer."+parameter.Name, parameter.Shape
		if weights[name], err = packed.FromValues(*p.weights.Field(parameter.Name), shape[0], shape[1]); err != nil {
			t.Fatal(err)
		}
	}
	interpreter, err := stepgraph.NewReference(graph, weights)
	if err != nil {
		t.Fatal(err)
	}
	last := graph.Nodes[len(graph.Nodes)-1]
	if rounds := last.Op == stepgraph.Round && last.Bits == config.HiddenBits; rounds != (config.HiddenBits > 0) {
		t.Errorf("the last node is a %s to %d bits, want one where hidden states are rounded, to %d", last.Op, last.Bits, config.HiddenBits)
	}
	margin = math.Inf(1)
	for row := range config.Batch {
		interpreter.Reset()
		for step := range config.Steps {
			at := step*config.Batch + row
			x := stepgraph.Value{}
			if config.Tokens {
				x.Token = int(p.input.Tokens[at])
			} else {
				x.Vector = p.input64[step][row*config.Inputs:][:config.Inputs]
			}
			h, err := interpreter.Step(x)
			if err != nil {
				t.Fatal(err)
			}
			interpreted = append(interpreted, h...)
			hidden = append(hidden, l.Hidden()[at*config.Units:][:config.Units]...)
			for _, v := range interpreter.Values()[last.Inputs[0]] {
				if levels := math.Exp2(float64(last.Bits)) - 1; last.Op == stepgraph.Round {
					at := levels * v / 2
					margin = min(margin, math.Abs(at-math.Round(at))*2/levels)
				}
			}
		}
	}
	return hidden, interpreted, margin
}
