package recurrent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/accel/kernels/team"
	"bittern/models/internal/reference"
)

// distance is ‖got − want‖ over ‖want‖, with want of a float64 oracle.
func distance(got []float32, want []float64) float64 {
	var difference, size float64
	for i, w := range want {
		difference += (float64(got[i]) - w) * (float64(got[i]) - w)
		size += w * w
	}
	return math.Sqrt(difference) / max(math.Sqrt(size), 1e-2)
}

// rounded runs a pass with products of bfloat16.
func (p problem) rounded(t *testing.T, workers *team.Team) (hidden []float32, gradients Weights, dInput []float32) {
	t.Helper()
	l := newLayer(t, workers, p.config)
	pass := p.pass(Batch, nil)
	pass.BFloat16 = true
	l.Prepare(pass)
	gradients = newWeights(p.config)
	if !p.config.Tokens {
		dInput = make([]float32, len(p.input.Features))
	}
	if err := l.Forward(p.weights, p.input); err != nil {
		t.Fatal(err)
	}
	if err := l.Backward(p.weights, p.input, p.gradient, gradients, dInput); err != nil {
		t.Fatal(err)
	}
	return l.Hidden(), gradients, dInput
}

// TestBFloat16 holds hidden states and gradients of passes with products of bfloat16 against the
// float64 oracle, and says that the number of workers changes no bit of them. An operand is rounded by
// at most 2⁻⁹ of itself; the bounds leave room for how steps and normalization magnify that, and
// none for a lost factor or operand.
func TestBFloat16(t *testing.T) {
	t.Parallel()
	for _, config := range configs {
		if config.Batch < 5 || config.Units < 17 || config.Inputs == 1 {
			continue // over few sequences a normalization magnifies every rounding
		}
		if !config.Tokens {
			config.Inputs = 2 * mostNarrow // whose products are rounded
		}
		t.Run(fmt.Sprintf("%s %s %+v", config.Kind, config.Normalization, config), func(t *testing.T) {
			t.Parallel()
			one, three := team.New(1), team.New(3)
			t.Cleanup(one.Close)
			t.Cleanup(three.Close)
			p := newProblem(config)
			hidden, gradients, dInput := p.rounded(t, one)
			again, gradientsAgain, dInputAgain := p.rounded(t, three)
			if !slices.Equal(hidden, again) || !slices.Equal(dInput, dInputAgain) {
				t.Error("three workers compute other hidden states or gradients of the input than one")
			}
			within := func(name string, got []float32, want []float64, bound float64) {
				if d := distance(got, want); !(d <= bound) {
					t.Errorf("%s: the difference is %.3g of what is wanted, want at most %v", name, d, bound)
				}
			}
			trace := p.layer.Forward(p.weights64, p.input64, p.start64)
			want, dX := p.layer.Backward(p.weights64, trace, p.gradient64)
			if within("hidden states", hidden, slices.Concat(trace.H...), 0.01); distance(hidden, slices.Concat(trace.H...)) < 1e-5 {
				t.Error("hidden states are as exact as those of float32")
			}
			if dInput != nil {
				within("gradient of x", dInput, slices.Concat(dX...), 0.1)
			}
			for name, want := range p.layer.Named(want) {
				got := *gradients.Field(name)
				within("gradient of "+name, got, want, 0.1)
				if !slices.Equal(got, *gradientsAgain.Field(name)) {
					t.Errorf("three workers compute another gradient of %s than one", name)
				}
			}
		})
	}
}

// TestSoftmaxBFloat16 does the same for the output layer.
func TestSoftmaxBFloat16(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	t.Cleanup(workers.Close)
	config := SoftmaxConfig{Steps: 2, Batch: 9, Units: 33, Classes: 131}
	random := rand.New(rand.NewPCG(1, 2))
	rows := config.Steps * config.Batch
	w, bias, h := normal(config.Classes*config.Units, random), normal(config.Classes, random), normal(rows*config.Units, random)
	targets := make([]int32, rows)
	for i := range targets {
		targets[i] = int32(random.IntN(config.Classes))
	}
	oracle := reference.Softmax{Rows: rows, Units: config.Units, Classes: config.Classes}
	want, _ := oracle.Loss(w, bias, h, targets)
	s := NewSoftmax(workers, config)
	s.BFloat16 = true
	score, err := s.Score(single(w), single(bias), single(h), targets)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := s.Loss(single(w), single(bias), single(h), targets)
	if err != nil {
		t.Fatal(err)
	}
	if mean := score.LossSum / float64(rows); int(score.Count) != rows || math.Abs(mean-loss) > 1e-6*loss {
		t.Errorf("got score %+v, want the loss %v for each of %d targets", score, loss, rows)
	}
	if off := math.Abs(loss - want); off > 0.01*want || off < 1e-7*want {
		t.Errorf("got loss %v, want near %v but rounded", loss, want)
	}
	gotW, gotBias, gotH := make([]float32, len(w)), make([]float32, len(bias)), make([]float32, len(h))
	if err := s.Backward(single(w), single(h), 1, gotW, gotBias, gotH); err != nil {
		t.Fatal(err)
	}
	wantW, wantBias, wantH := oracle.Backward(w, bias, h, targets)
	for name, d := range map[string]float64{"W": distance(gotW, wantW), "b": distance(gotBias, wantBias), "h": distance(gotH, wantH)} {
		if d > 0.05 {
			t.Errorf("gradient of %s: the difference is %.3g of what is wanted", name, d)
		}
	}
}

// TestAttentionBFloat16 does the same for an attention, against its pass without rounding.
func TestAttentionBFloat16(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	t.Cleanup(workers.Close)
	c := AttentionConfig{Steps: 3, Batch: 4, Features: 37, Units: 19}
	a := newAttending(c, []int32{2, 3, 1, 3})
	above := single(normal(c.Batch*c.Units, rand.New(rand.NewPCG(2, 2))))
	run := func(bfloat16 bool) map[string][]float32 {
		op := NewAttention(workers, c)
		op.BFloat16 = bfloat16
		w, y, u := a.weights(), single(a.y), single(a.u)
		for _, v := range [][]float32{w.Wym, w.Wum, w.Wrg, w.Wug} {
			for i := range v {
				v[i] /= 8 // away from the flat ends of tanh
			}
		}
		results := map[string][]float32{"y": make([]float32, len(y)), "u": make([]float32, len(u))}
		var dw AttentionWeights
		for _, tensor := range c.Parameters() {
			results[tensor.Name] = make([]float32, tensor.Shape[0]*tensor.Shape[1])
			*dw.Field(tensor.Name) = results[tensor.Name]
		}
		if err := op.Forward(w, y, u, a.lengths); err != nil {
			t.Fatal(err)
		}
		results["g"] = slices.Clone(op.Output())
		if err := op.Backward(w, y, u, a.lengths, above, dw, results["y"], results["u"]); err != nil {
			t.Fatal(err)
		}
		return results
	}
	got := run(true)
	for name, want := range run(false) {
		var exact []float64
		for _, v := range want {
			exact = append(exact, float64(v))
		}
		if d := distance(got[name], exact); d > 0.05 || d == 0 {
			t.Errorf("%s: the difference is %.3g of what is wanted, want a little", name, d)
		}
	}
}
