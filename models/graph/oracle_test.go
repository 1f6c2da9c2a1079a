package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"bittern/accel/kernels/team"
	"bittern/models/internal/reference"
	"bittern/models/recurrent"
)

// network is a language model of one layer and a softmax: float64 weights that
// are exact in float32, tokens and targets.
type network struct {
	layer           reference.Layer
	softmax         reference.Softmax
	weights         reference.Weights
	w, bias         []float64
	tokens, targets []int32
}

func newNetwork(batchNorm bool, steps, batch, units, vocabulary int) *network {
	random := rand.New(rand.NewPCG(7, 8))
	n := &network{
		layer:   reference.Layer{Steps: steps, Batch: batch, Inputs: vocabulary, Units: units, NormalizeCell: batchNorm},
		softmax: reference.Softmax{Rows: steps * batch, Units: units, Classes: vocabulary},
		w:       make([]float64, vocabulary*units), bias: make([]float64, vocabulary),
	}
	if batchNorm {
		n.layer.Normalization = reference.Batch
	}
	n.weights = reference.RandomWeights(n.layer, random)
	for _, s := range [][]float64{n.w, n.bias} {
		for i := range s {
			s[i] = random.NormFloat64()
		}
	}
	for _, s := range n.parameters() {
		for i := range s {
			s[i] = float64(float32(s[i]))
		}
	}
	for range steps * batch {
		n.tokens = append(n.tokens, int32(random.IntN(vocabulary)))
		n.targets = append(n.targets, int32(random.IntN(vocabulary)))
	}
	return n
}

// parameters returns the network's parameters by name.
func (n *network) parameters() map[string][]float64 {
	out := n.layer.Named(n.weights)
	out["softmax.W"], out["softmax.b"] = n.w, n.bias
	return out
}

func (n *network) shape(name string) []int {
	d := n.layer.Units
	switch name {
	case "Wx":
		return []int{4 * d, n.layer.Inputs}
	case "Wh":
		return []int{4 * d, d}
	case "gamma_h", "gamma_x", "beta":
		return []int{4 * d}
	case "softmax.W":
		return []int{n.softmax.Classes, d}
	case "softmax.b":
		return []int{n.softmax.Classes}
	}
	return []int{d}
}

func (n *network) oneHot(step int) []float64 {
	out := make([]float64, n.layer.Batch*n.layer.Inputs)
	for row, token := range n.tokens[step*n.layer.Batch : (step+1)*n.layer.Batch] {
		out[row*n.layer.Inputs+int(token)] = 1
	}
	return out
}

// reference returns loss and gradients as the plain loops compute them.
func (n *network) reference() (float64, map[string][]float64) {
	x := make([][]float64, n.layer.Steps)
	for t := range x {
		x[t] = n.oneHot(t)
	}
	trace := n.layer.Forward(n.weights, x, nil)
	h := slices.Concat(trace.H...)
	loss, _ := n.softmax.Loss(n.w, n.bias, h, n.targets)
	dW, dBias, dH := n.softmax.Backward(n.w, n.bias, h, n.targets)
	gradient, _ := n.layer.Backward(n.weights, trace, slices.Collect(slices.Chunk(dH, n.layer.Batch*n.layer.Units)))
	out := n.layer.Named(gradient)
	out["softmax.W"], out["softmax.b"] = dW, dBias
	return loss, out
}

// plain returns loss and gradients of the same network unrolled in nothing but
// Gorgonia's own operators, in float64. Means and broadcasts are products with
// matrices of ones.
func (n *network) plain(t *testing.T) (float64, map[string][]float64) {
	t.Helper()
	g := G.NewGraph()
	b, d, v := n.layer.Batch, n.layer.Units, n.layer.Inputs
	constant := func(name string, rows, cols int, at func(i, j int) float64) *G.Node {
		data := make([]float64, rows*cols)
		for i := range data {
			data[i] = at(i/cols, i%cols)
		}
		return G.NewMatrix(g, G.Float64, G.WithShape(rows, cols), G.WithName(name),
			G.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(data))))
	}
	nodes := map[string]*G.Node{}
	var parameters G.Nodes
	var names []string
	for name, value := range n.parameters() {
		shape := n.shape(name)
		if len(shape) == 1 {
			shape = []int{1, shape[0]}
		}
		node := G.NewMatrix(g, G.Float64, G.WithShape(shape...), G.WithName(name),
			G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(value)))))
		nodes[name] = node
		parameters, names = append(parameters, node), append(names, name)
	}
	must := G.Must
	one := func(int, int) float64 { return 1 }
	mean := constant("mean", b, b, func(int, int) float64 { return 1 / float64(b) })
	column := constant("column", b, 1, one)
	broadcast := func(name string) *G.Node { return must(G.Mul(column, nodes[name])) }
	normalise := func(x *G.Node, width int, at string) *G.Node {
		epsilon := constant("epsilon"+at, b, width, func(int, int) float64 { return reference.Epsilon })
		centred := must(G.Sub(x, must(G.Mul(mean, x))))
		variance := must(G.Mul(mean, must(G.Square(centred))))
		return must(G.HadamardDiv(centred, must(G.Sqrt(must(G.Add(variance, epsilon))))))
	}
	var gate [4]*G.Node
	for k := range gate {
		gate[k] = constant(fmt.Sprintf("gate%d", k), 4*d, d, func(i, j int) float64 {
			if i == k*d+j {
				return 1
			}
			return 0
		})
	}
	wxT, whT := must(G.Transpose(nodes["Wx"])), must(G.Transpose(nodes["Wh"]))
	wT := must(G.Transpose(nodes["softmax.W"]))
	classes := constant("classes", v, v, one)
	h, c := broadcast("h0"), broadcast("c0")
	var loss *G.Node
	for step := range n.layer.Steps {
		oneHot := n.oneHot(step)
		x := constant(fmt.Sprintf("x%d", step), b, v, func(i, j int) float64 { return oneHot[i*v+j] })
		ah, ax := must(G.Mul(h, whT)), must(G.Mul(x, wxT))
		if n.layer.NormalizeCell {
			ah = must(G.HadamardProd(broadcast("gamma_h"), normalise(ah, 4*d, fmt.Sprintf("h%d", step))))
			ax = must(G.HadamardProd(broadcast("gamma_x"), normalise(ax, 4*d, fmt.Sprintf("x%d", step))))
		}
		a := must(G.Add(must(G.Add(ah, ax)), broadcast("beta")))
		gg := must(G.Tanh(must(G.Mul(a, gate[0]))))
		f := must(G.Sigmoid(must(G.Mul(a, gate[1]))))
		i := must(G.Sigmoid(must(G.Mul(a, gate[2]))))
		o := must(G.Sigmoid(must(G.Mul(a, gate[3]))))
		c = must(G.Add(must(G.HadamardProd(f, c)), must(G.HadamardProd(i, gg))))
		cn := c
		if n.layer.NormalizeCell {
			cn = must(G.Add(must(G.HadamardProd(broadcast("gamma_c"), normalise(c, d, fmt.Sprintf("c%d", step)))), broadcast("beta_c")))
		}
		h = must(G.HadamardProd(o, must(G.Tanh(cn))))

		logits := must(G.Add(must(G.Mul(h, wT)), broadcast("softmax.b")))
		logSumExp := must(G.Log(must(G.Mul(must(G.Exp(logits)), classes))))
		chosen := constant(fmt.Sprintf("targets%d", step), b, v, func(i, j int) float64 {
			if int(n.targets[step*b+i]) == j {
				return 1 / float64(n.softmax.Rows)
			}
			return 0
		})
		part := must(G.Sum(must(G.HadamardProd(chosen, must(G.Sub(logSumExp, logits))))))
		if loss == nil {
			loss = part
		} else {
			loss = must(G.Add(loss, part))
		}
	}
	gradients, err := differentiate(loss, parameters...)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]G.Value, len(gradients))
	for i, gradient := range gradients {
		G.Read(gradient, &values[i])
	}
	var lossValue G.Value
	G.Read(loss, &lossValue)
	machine := G.NewTapeMachine(g)
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for i, name := range names {
		out[name] = values[i].Data().([]float64)
	}
	return lossValue.Data().(float64), out
}

// fused returns loss and gradients of the network built from this package's
// functions, run twice to show that nothing accumulates.
func (n *network) fused(t *testing.T, workers *team.Team) (float64, map[string][]float32) {
	t.Helper()
	g := New()
	gradients := map[string][]float32{}
	parameter := func(name string) *Node {
		value := make([]float32, len(n.parameters()[name]))
		for i, v := range n.parameters()[name] {
			value[i] = float32(v)
		}
		gradients[name] = make([]float32, len(value))
		return g.Parameter(name, Tensor{Shape: n.shape(name), Float32: value}, gradients[name])
	}
	steps, batch := n.layer.Steps, n.layer.Batch
	inputs := []*Node{g.Input("inputs", Tensor{Shape: []int{steps, batch}, Int32: n.tokens})}
	config := recurrent.Config{
		Steps: steps, Batch: batch, Inputs: n.layer.Inputs, Units: n.layer.Units, Tokens: true, NormalizeCell: n.layer.NormalizeCell,
	}
	if n.layer.NormalizeCell {
		config.Normalization = recurrent.BatchNorm
	}
	layer, err := recurrent.New(workers, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range LayerInputs(config)[1:] {
		inputs = append(inputs, parameter(name))
	}
	h := g.Apply(Recurrent(layer, false), inputs...)
	softmax := SoftmaxLoss(recurrent.NewSoftmax(workers, recurrent.SoftmaxConfig{
		Steps: steps, Batch: batch, Units: n.layer.Units, Classes: n.softmax.Classes,
	}))
	loss := g.Apply(softmax, h, parameter("softmax.W"), parameter("softmax.b"),
		g.Input("targets", Tensor{Shape: []int{steps * batch}, Int32: n.targets}))
	program, err := g.Differentiate(loss)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for range 2 {
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
	}
	return float64(softmax.Output().Float32[0]), gradients
}

// TestThreeGradients computes every gradient of a network by three ways that
// share nothing but the equations.
func TestThreeGradients(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ steps, batch, units, vocabulary int }{{4, 3, 5, 7}, {3, 4, 33, 6}} {
		for _, batchNorm := range []bool{true, false} {
			t.Run(fmt.Sprintf("%+v/batchNorm=%v", size, batchNorm), func(t *testing.T) {
				t.Parallel()
				n := newNetwork(batchNorm, size.steps, size.batch, size.units, size.vocabulary)
				loss, want := n.reference()

				plainLoss, plain := n.plain(t)
				near(t, "loss of plain Gorgonia", plainLoss, loss, 1e-12)
				for name := range n.parameters() {
					for i := range want[name] {
						near(t, fmt.Sprintf("plain Gorgonia's gradient of %s[%d]", name, i), plain[name][i], want[name][i], 1e-10)
					}
				}
				for workers := 1; workers <= 3; workers++ {
					workers := team.New(workers)
					defer workers.Close()
					fusedLoss, fused := n.fused(t, workers)
					near(t, "fused loss", fusedLoss, loss, 1e-6)
					for name := range n.parameters() {
						scale := 1e-3
						for _, v := range want[name] {
							scale = max(scale, math.Abs(v))
						}
						for i := range want[name] {
							near(t, fmt.Sprintf("fused gradient of %s[%d]", name, i), float64(fused[name][i]), want[name][i], 1e-4*scale)
						}
					}
				}
			})
		}
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Fatalf("%s: got %v, want %v ± %v", what, got, want, tolerance)
	}
}
