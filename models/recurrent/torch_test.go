package recurrent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"bittern/accel/kernels/team"
)

// golden is what PyTorch computes of a layer; see baselines/torch/golden.py.
type golden struct {
	Kind                        string
	Normalization               string
	Cell, Before, Reverse       bool
	Lengths                     []int32
	Parameters, Gradients       map[string][]float64
	X, Above, Hidden            []float64
	steps, batch, inputs, units int
}

func goldens(t *testing.T) []golden {
	t.Helper()
	data, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Steps, Batch, Inputs, Units int
		Cases                       []golden
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for i := range file.Cases {
		c := &file.Cases[i]
		c.steps, c.batch, c.inputs, c.units = file.Steps, file.Batch, file.Inputs, file.Units
		if c.Before { // PyTorch's script has the rows of n in Wh
			for _, m := range []map[string][]float64{c.Parameters, c.Gradients} {
				n := gateN * c.units * c.units
				m["Wh"], m["Whn"] = m["Wh"][:n], m["Wh"][n:]
			}
		}
	}
	return file.Cases
}

func (g golden) config(t *testing.T) Config {
	t.Helper()
	c := Config{
		Steps: g.steps, Batch: g.batch, Inputs: g.inputs, Units: g.units,
		NormalizeCell: g.Cell, ResetBefore: g.Before, Reverse: g.Reverse, Masked: g.Lengths != nil,
	}
	if g.Kind == GRU.String() {
		c.Kind = GRU
	}
	var err error
	if c.Normalization, err = ParseNormalization(g.Normalization); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAgainstPyTorch holds hidden states and gradients of every layer and
// normalization against those of PyTorch.
func TestAgainstPyTorch(t *testing.T) {
	t.Parallel()
	type combination struct {
		kind          Kind
		normalization Normalization
	}
	seen := map[combination]bool{}
	for _, g := range goldens(t) {
		config := g.config(t)
		seen[combination{config.Kind, config.Normalization}] = true
		t.Run(fmt.Sprintf("%s %s %+v", config.Kind, config.Normalization, config), func(t *testing.T) {
			t.Parallel()
			workers := team.New(2)
			defer workers.Close()
			l := newLayer(t, workers, config)
			var w Weights
			for _, p := range config.Parameters() {
				*w.Field(p.Name) = single(g.Parameters[p.Name])
			}
			if got, want := len(config.Parameters()), len(g.Parameters); got != want {
				t.Fatalf("%d parameters, PyTorch's file has %d", got, want)
			}
			in := Input{Features: single(g.X), Lengths: g.Lengths}
			dw, dx := newWeights(config), make([]float32, len(g.X))
			if err := errors.Join(l.Forward(w, in), l.Backward(w, in, single(g.Above), dw, dx)); err != nil {
				t.Fatal(err)
			}
			hidden := slices.Clone(l.Hidden())
			for i := range hidden {
				if row := i / g.units % g.batch; g.Lengths != nil && i/g.units/g.batch >= int(g.Lengths[row]) {
					hidden[i] = 0 // as PyTorch pads
				}
			}
			checkClose(t, "h", hidden, [][]float64{g.Hidden}, 1e-5)
			checkClose(t, "gradient of x", dx, [][]float64{g.Gradients["x"]}, 1e-4)
			for _, p := range config.Parameters() {
				checkClose(t, "gradient of "+p.Name, *dw.Field(p.Name), [][]float64{g.Gradients[p.Name]}, 1e-4)
			}
		})
	}
	for _, kind := range []Kind{LSTM, GRU} {
		for _, n := range Normalizations {
			if !seen[combination{kind, n}] {
				t.Errorf("PyTorch's file has no %s with normalization %s", kind, n)
			}
		}
	}
}
