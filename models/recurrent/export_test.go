package recurrent

import (
	"fmt"
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
		t.Run(fmt.Sprintf("%s %s %+v", config.Kind, config.Normalization, config), func(t *testing.T) {
			t.Parallel()
			workers := team.New(2)
			defer workers.Close()
			p, l := newProblem(config), newLayer(t, workers, config)
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
			hidden := l.Hidden()
			for row := range config.Batch {
				var got []float64
				if config.Tokens {
					var tokens []int32
					for step := range config.Steps {
						tokens = append(tokens, p.input.Tokens[step*config.Batch+row])
					}
					got, err = interpreter.Tokens(tokens)
				} else {
					var x []float32
					for step := range config.Steps {
						x = append(x, p.input.Features[(step*config.Batch+row)*config.Inputs:][:config.Inputs]...)
					}
					got, err = interpreter.Dense(x)
				}
				if err != nil {
					t.Fatal(err)
				}
				var want []float32
				for step := range config.Steps {
					want = append(want, hidden[(step*config.Batch+row)*config.Units:][:config.Units]...)
				}
				checkClose(t, fmt.Sprintf("h of sequence %d", row), want, [][]float64{got}, 2e-5)
			}
		})
	}
}
