package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
)

// TestGradients compares every analytic gradient with central differences. The loss is a random
// projection of the outputs, Σ R∘H.
func TestGradients(t *testing.T) {
	t.Parallel()
	for _, size := range []Layer{
		{Steps: 4, Batch: 3, Inputs: 2, Units: 5}, {Steps: 3, Batch: 2, Inputs: 1, Units: 3}, {Steps: 1, Batch: 2, Inputs: 1, Units: 2},
	} {
		for _, layer := range Layers(size) {
			t.Run(fmt.Sprintf("%+v", layer), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(1, 2))
				w := RandomWeights(layer, random)
				x := randomSteps(layer.Steps, layer.Batch*layer.Inputs, random)
				r := randomSteps(layer.Steps, layer.Batch*layer.Units, random)
				start := &State{
					H: randomSlice(layer.Batch*layer.Units, random), C: randomSlice(layer.Batch*layer.Units, random),
					Fresh: make([]bool, layer.Batch),
				}
				start.Fresh[1] = true

				checkLayer(t, layer, w, x, r, nil)
				checkLayer(t, layer, w, x, r, start)
				layer.Noise = randomSlice(layer.Batch*layer.Units, random)
				checkLayer(t, layer, w, x, r, nil)
				checkLayer(t, layer, w, x, r, start)
				layer.Noise = nil
				if layer.Normalization == Batch {
					layer.Frozen = layer.Forward(w, x, nil).Statistics()
					checkLayer(t, layer, w, x, r, nil)
				}
				layer.Frozen = nil
				layer.Bits = 2
				checkLayer(t, layer, w, x, r, nil)
				checkLayer(t, layer, w, x, r, start)
				layer.Reverse, layer.Lengths = true, []int{layer.Steps, 1, 2}[:layer.Batch]
				checkLayer(t, layer, w, x, r, start)
				layer.Reverse, layer.Bits = false, 0
				checkLayer(t, layer, w, x, r, nil)
			})
		}
	}
}

func checkLayer(t *testing.T, layer Layer, w Weights, x, r [][]float64, start *State) {
	t.Helper()
	given := layer
	layer.Offsets = layer.Forward(w, x, start).Offsets
	loss := func() float64 {
		var sum float64
		for step, h := range layer.Forward(w, x, start).H {
			for i, v := range h {
				sum += v * r[step][i]
			}
		}
		return sum
	}
	got, dX := given.Backward(w, given.Forward(w, x, start), r)
	values, gradients := layer.Named(w), layer.Named(got)
	for name, value := range values {
		compare(t, name, gradients[name], differences(value, loss))
	}
	for step := range x {
		compare(t, fmt.Sprintf("x[%d]", step), dX[step], differences(x[step], loss))
	}
}

// TestBits checks that hidden states are levels, and the nearest ones to the states without
// rounding.
func TestBits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for _, layer := range Layers(Layer{Steps: 1, Batch: 3, Inputs: 2, Units: 5}) {
		layer.Bits = 2
		w, x := RandomWeights(layer, random), randomSteps(1, 6, random)
		exact := layer
		exact.Bits = 0
		copy(w.H0, []float64{-1, 1. / 3, 1. / 3, -1. / 3, 1}) // states that are levels already do not change
		rounded, plain := layer.Forward(w, x, nil), exact.Forward(w, x, nil)
		for i, v := range plain.H[0] {
			want := -1.0
			for _, level := range []float64{-1. / 3, 1. / 3, 1} {
				if math.Abs(level-v) < math.Abs(want-v) {
					want = level
				}
			}
			if got := rounded.H[0][i]; math.Abs(got-want) > 1e-15 {
				t.Errorf("%+v: %v is rounded to %v, want %v", layer, v, got, want)
			}
			if gap := math.Abs(math.Abs(v-want) - 1./3); rounded.Margin > gap+1e-12 && v > -1 && v < 1 {
				t.Errorf("%+v: the margin is %v, and %v is %v from the middle of two levels", layer, rounded.Margin, v, gap)
			}
		}
	}
}

func TestSoftmaxGradients(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	layer := Softmax{Rows: 3, Units: 4, Classes: 5}
	w, bias, h := randomSlice(20, random), randomSlice(5, random), randomSlice(12, random)
	for _, targets := range [][]int32{{4, 0, 2}, {4, -1, 2}} {
		loss := func() float64 {
			v, _ := layer.Loss(w, bias, h, targets)
			return v
		}
		dW, dBias, dH := layer.Backward(w, bias, h, targets)
		compare(t, "W", dW, differences(w, loss))
		compare(t, "b", dBias, differences(bias, loss))
		compare(t, "h", dH, differences(h, loss))
	}
}

// fourthOrder has an error of h⁴. Batch normalization of states that are almost equal curves
// within 1e-4, where an error of h² is too large.
var fourthOrder = fd.Formula{
	Stencil:    []fd.Point{{Loc: -2, Coeff: 1. / 12}, {Loc: -1, Coeff: -8. / 12}, {Loc: 1, Coeff: 8. / 12}, {Loc: 2, Coeff: -1. / 12}},
	Derivative: 1, Step: 1e-6,
}

// differences returns the central differences of loss with respect to value, which loss reads.
// It restores value.
func differences(value []float64, loss func() float64) []float64 {
	at := append([]float64(nil), value...)
	out := fd.Gradient(nil, func(v []float64) float64 {
		copy(value, v)
		return loss()
	}, at, &fd.Settings{Formula: fourthOrder, Step: 1e-6})
	copy(value, at)
	return out
}

func compare(t *testing.T, name string, got, want []float64) {
	t.Helper()
	for i := range want {
		// The error of central differences with h = 1e-6 is about ε/h ≈ 1e-9 times the size of
		// the function. Batch normalization of columns that are almost constant multiplies it by
		// up to 1/√ε.
		if math.Abs(got[i]-want[i]) > 2e-6*(1+math.Abs(want[i])) {
			t.Errorf("gradient of %s[%d]: got %v, finite differences %v", name, i, got[i], want[i])
		}
	}
}

func randomSteps(steps, n int, random *rand.Rand) [][]float64 {
	out := make([][]float64, steps)
	for t := range out {
		out[t] = randomSlice(n, random)
	}
	return out
}

func randomSlice(n int, random *rand.Rand) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = random.NormFloat64()
	}
	return out
}
