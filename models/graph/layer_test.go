package graph

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/accel/kernels/team"
	"bittern/models/recurrent"
)

// TestRecurrent finds in a graph what the layer does when it is called, for a
// layer with every parameter there is and lengths.
func TestRecurrent(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	defer workers.Close()
	for _, config := range []recurrent.Config{
		{Kind: recurrent.GRU, Steps: 3, Batch: 2, Inputs: 4, Units: 5, Normalization: recurrent.LayerNorm, Masked: true},
		{Kind: recurrent.LSTM, Steps: 3, Batch: 4, Inputs: 4, Units: 5, Normalization: recurrent.BatchNorm, NormalizeCell: true},
	} {
		random := rand.New(rand.NewPCG(1, 1))
		draw := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(random.NormFloat64())
			}
			return x
		}
		layers := make([]recurrent.Layer, 2)
		for i := range layers {
			var err error
			if layers[i], err = recurrent.New(workers, config); err != nil {
				t.Fatal(err)
			}
		}
		input := recurrent.Input{Features: draw(config.Steps * config.Batch * config.Inputs)}
		g := New()
		inputs := []*Node{g.Input("x", Tensor{Shape: []int{config.Steps * config.Batch, config.Inputs}, Float32: input.Features})}
		if config.Masked {
			input.Lengths = []int32{3, 1}
			inputs = append(inputs, g.Input("lengths", Tensor{Shape: []int{config.Batch}, Int32: input.Lengths}))
		}
		var weights, want recurrent.Weights
		got := map[string][]float32{}
		for _, p := range config.Parameters() {
			n := 1
			for _, size := range p.Shape {
				n *= size
			}
			*weights.Field(p.Name), *want.Field(p.Name), got[p.Name] = draw(n), make([]float32, n), make([]float32, n)
			inputs = append(inputs, g.Parameter(p.Name, Tensor{Shape: p.Shape, Float32: *weights.Field(p.Name)}, got[p.Name]))
		}
		if names := LayerInputs(config); len(names) != len(inputs) {
			t.Fatalf("%+v: inputs %v, want %d", config, names, len(inputs))
		}
		h := g.Apply(Recurrent(layers[0], false), inputs...)
		softmax := recurrent.NewSoftmax(workers, recurrent.SoftmaxConfig{Steps: config.Steps, Batch: config.Batch, Units: config.Units, Classes: 2})
		targets := make([]int32, config.Steps*config.Batch)
		w, bias := draw(2*config.Units), draw(2)
		loss := g.Apply(SoftmaxLoss(softmax), h, g.Parameter("W", Tensor{Shape: []int{2, config.Units}, Float32: w}, make([]float32, len(w))),
			g.Parameter("b", Tensor{Shape: []int{2}, Float32: bias}, make([]float32, 2)), g.Input("targets", Tensor{Shape: []int{len(targets)}, Int32: targets}))
		program, err := g.Differentiate(loss)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}

		l := layers[1]
		if err := l.Forward(weights, input); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(l.Hidden(), layers[0].Hidden()) {
			t.Errorf("%+v: hidden states %v, want %v", config, layers[0].Hidden(), l.Hidden())
		}
		direct := recurrent.NewSoftmax(workers, softmax.Config())
		if _, err := direct.Loss(w, bias, l.Hidden(), targets); err != nil {
			t.Fatal(err)
		}
		gradient := make([]float32, len(l.Hidden()))
		if err := direct.Backward(w, l.Hidden(), 1, make([]float32, len(w)), make([]float32, 2), gradient); err != nil {
			t.Fatal(err)
		}
		if err := l.Backward(weights, input, gradient, want, nil); err != nil {
			t.Fatal(err)
		}
		for name, g := range got {
			if w := *want.Field(name); !slices.Equal(g, w) {
				t.Errorf("%+v: gradient of %s %v, want %v", config, name, g, w)
			}
		}
	}
}
