package recurrent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/team"
	"bittern/models/internal/reference"
)

// reading is a reader with an input, in both precisions.
type reading struct {
	config    Config
	layer     reference.Layer
	weights   [Directions]Weights
	weights64 [Directions]reference.Weights
	input     Input
	x         [][]float64
}

func newReading(config Config, lengths []int32) reading {
	random := rand.New(rand.NewPCG(3, 1))
	p := reading{config: config, layer: oracle(config), input: Input{Lengths: lengths}}
	for _, n := range lengths {
		p.layer.Lengths = append(p.layer.Lengths, int(n))
	}
	for direction := range p.weights {
		p.weights64[direction] = reference.RandomWeights(p.layer, random)
		for name, value := range p.layer.Named(p.weights64[direction]) {
			round(value)
			*p.weights[direction].Field(name) = single(value)
		}
	}
	for range config.Steps {
		p.x = append(p.x, normal(config.Batch*config.Inputs, random))
		p.input.Features = append(p.input.Features, single(p.x[len(p.x)-1])...)
	}
	return p
}

// TestReaderAgainstReference holds outputs and gradients, of every step and of the last ones
// alone, against a plain loop and its finite differences.
func TestReaderAgainstReference(t *testing.T) {
	t.Parallel()
	lengths := [][]int32{{4, 1, 3, 2, 4}, {4, 3, 3, 4, 3}} // in the second, all sequences have three of the steps
	for _, config := range []Config{
		{Steps: 4, Batch: 5, Inputs: 3, Units: 5, Masked: true},
		{Steps: 6, Batch: 5, Inputs: 3, Units: 3, Masked: true}, // two steps nobody has
		{Steps: 4, Batch: 5, Inputs: 3, Units: 2, Masked: true, Kind: GRU},
		{Steps: 4, Batch: 5, Inputs: 2, Units: 3, Masked: true, Normalization: LayerNorm},
		{Steps: 4, Batch: 5, Inputs: 2, Units: 3, Masked: true, Normalization: BatchNorm, NormalizeCell: true},
	} {
		for i := range 2 * len(lengths) {
			lengths, lastOnly := lengths[i/2], i%2 == 1
			t.Run(fmt.Sprintf("%+v lengths %v last %v", config, lengths, lastOnly), func(t *testing.T) {
				t.Parallel()
				p := newReading(config, lengths)
				d := config.Units
				outputs := func() []float64 {
					y := p.layer.BothWays(p.weights64[ReadForward], p.weights64[ReadBackward], p.x)
					if !lastOnly {
						return slices.Concat(y...)
					}
					var u []float64
					for i, n := range lengths {
						u = append(append(u, y[n-1][2*i*d:][:d]...), y[0][(2*i+1)*d:][:d]...)
					}
					return u
				}
				want := outputs()
				above := normal(len(want), rand.New(rand.NewPCG(2, 2)))
				loss := func() (sum float64) {
					for i, v := range outputs() {
						sum += v * above[i]
					}
					return sum
				}
				for size := 1; size <= 2; size++ {
					workers := team.New(size)
					defer workers.Close()
					r, err := NewReader(workers, config, lastOnly)
					if err != nil {
						t.Fatal(err)
					}
					output, dx := make([]float32, len(want)), make([]float32, len(p.input.Features))
					dw := [Directions]Weights{newWeights(config), newWeights(config)}
					for range 2 { // nothing is left of the pass before
						if err := r.Forward(p.weights, p.input, output); err != nil {
							t.Fatal(err)
						}
						if err := r.Backward(p.weights, p.input, single(above), dw, dx); err != nil {
							t.Fatal(err)
						}
					}
					checkClose(t, "output", output, [][]float64{want}, 1e-5)
					var gradient []float64
					for _, x := range p.x {
						gradient = append(gradient, differences(x, loss)...)
					}
					checkClose(t, "gradient of x", dx, [][]float64{gradient}, 1e-4)
					for direction := range dw {
						for name, value := range p.layer.Named(p.weights64[direction]) {
							checkClose(t, fmt.Sprintf("gradient of %d %s", direction, name), *dw[direction].Field(name), [][]float64{differences(value, loss)}, 1e-4)
						}
					}
				}
			})
		}
	}
}

// differences is the gradient of loss with respect to value, by central differences.
func differences(value []float64, loss func() float64) []float64 {
	const step = 1e-5
	out := make([]float64, len(value))
	for i, v := range value {
		value[i] = v + step
		above := loss()
		value[i] = v - step
		out[i] = (above - loss()) / (2 * step)
		value[i] = v
	}
	return out
}

// attending is an attention with an input, in both precisions.
type attending struct {
	config  AttentionConfig
	lengths []int32
	p       map[string][]float64
	y, u    []float64
}

func newAttending(config AttentionConfig, lengths []int32) attending {
	random := rand.New(rand.NewPCG(8, 1))
	a := attending{config: config, lengths: lengths, p: map[string][]float64{},
		y: normal(config.Steps*config.Batch*config.Features, random), u: normal(config.Batch*config.Features, random)}
	for _, tensor := range config.Parameters() {
		a.p["attention."+tensor.Name] = normal(tensor.Shape[0]*tensor.Shape[1], random)
	}
	for t := range config.Steps {
		for i, n := range lengths {
			if t >= int(n) {
				clear(a.y[(t*config.Batch+i)*config.Features:][:config.Features])
			}
		}
	}
	return a
}

func (a attending) weights() (w AttentionWeights) {
	for _, tensor := range a.config.Parameters() {
		*w.Field(tensor.Name) = single(a.p["attention."+tensor.Name])
	}
	return w
}

// reference is g of every sequence.
func (a attending) reference() []float64 {
	c := a.config
	network := reference.AttentiveReader{Units: c.Units}
	var g []float64
	for i, n := range a.lengths {
		var rows [][]float64
		for t := range n {
			rows = append(rows, a.y[(int(t)*c.Batch+i)*c.Features:][:c.Features])
		}
		g = append(g, network.Attend(a.p, rows, a.u[i*c.Features:][:c.Features])...)
	}
	return g
}

// TestAttentionAgainstReference holds g and every gradient against a plain loop and its
// finite differences, on teams of several sizes, which agree in their forward pass to the bit.
func TestAttentionAgainstReference(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config  AttentionConfig
		lengths []int32
	}{
		{AttentionConfig{Steps: 5, Batch: 3, Features: 4, Units: 3}, []int32{5, 1, 3}},
		{AttentionConfig{Steps: 7, Batch: 2, Features: 6, Units: 5}, []int32{4, 2}}, // three steps nobody has
		{AttentionConfig{Steps: 1, Batch: 1, Features: 1, Units: 1}, []int32{1}},
		{AttentionConfig{Steps: 3, Batch: 2, Features: 17, Units: 19}, []int32{2, 3}},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			t.Parallel()
			c := test.config
			a := newAttending(c, test.lengths)
			above := normal(c.Batch*c.Units, rand.New(rand.NewPCG(2, 2)))
			loss := func() (sum float64) {
				for i, v := range a.reference() {
					sum += v * above[i]
				}
				return sum
			}
			var first []float32
			for size := 1; size <= 3; size++ {
				workers := team.New(size)
				defer workers.Close()
				op := NewAttention(workers, c)
				var dw AttentionWeights
				for _, tensor := range c.Parameters() {
					*dw.Field(tensor.Name) = make([]float32, tensor.Shape[0]*tensor.Shape[1])
				}
				dY, dU := make([]float32, len(a.y)), make([]float32, len(a.u))
				w, y, u := a.weights(), single(a.y), single(a.u)
				for range 2 {
					if err := op.Forward(w, y, u, a.lengths); err != nil {
						t.Fatal(err)
					}
					if err := op.Backward(w, y, u, a.lengths, single(above), dw, dY, dU); err != nil {
						t.Fatal(err)
					}
				}
				if first == nil {
					first = slices.Clone(op.Output())
				} else if !slices.Equal(first, op.Output()) {
					t.Errorf("a team of %d gives other bits than a team of 1", size)
				}
				checkClose(t, "g", op.Output(), [][]float64{a.reference()}, 1e-5)
				checkClose(t, "gradient of y", dY, [][]float64{differences(a.y, loss)}, 1e-4)
				checkClose(t, "gradient of u", dU, [][]float64{differences(a.u, loss)}, 1e-4)
				for _, tensor := range c.Parameters() {
					checkClose(t, "gradient of "+tensor.Name, *dw.Field(tensor.Name), [][]float64{differences(a.p["attention."+tensor.Name], loss)}, 1e-4)
				}
				for i, n := range a.lengths {
					var sum float32
					for step, s := range op.Attended()[i*c.Steps:][:c.Steps] {
						sum += s
						if step >= int(n) && s != 0 {
							t.Errorf("sequence %d of %d steps attends to step %d", i, n, step)
						}
					}
					if sum < 1-1e-5 || sum > 1+1e-5 {
						t.Errorf("the attention of sequence %d sums up to %v", i, sum)
					}
				}
			}
		})
	}
}

// TestReadersAllocateNothing counts the allocations of a pass after the first.
func TestReadersAllocateNothing(t *testing.T) {
	workers := team.New(2)
	defer workers.Close()
	lengths := []int32{4, 1, 3, 2, 4}
	p := newReading(Config{Steps: 4, Batch: 5, Inputs: 3, Units: 5, Masked: true}, lengths)
	r, err := NewReader(workers, p.config, false)
	if err != nil {
		t.Fatal(err)
	}
	a := newAttending(AttentionConfig{Steps: 4, Batch: 5, Features: 10, Units: 5}, lengths)
	op := NewAttention(workers, a.config)
	w, u, dw := a.weights(), single(a.u), a.weights()
	y, dY, dU := make([]float32, len(a.y)), make([]float32, len(a.y)), make([]float32, len(a.u))
	dx, dLayers := make([]float32, len(p.input.Features)), [Directions]Weights{newWeights(p.config), newWeights(p.config)}
	above := make([]float32, 25)
	if n := testing.AllocsPerRun(10, func() {
		for _, err := range [...]error{
			r.Forward(p.weights, p.input, y), op.Forward(w, y, u, lengths),
			op.Backward(w, y, u, lengths, above, dw, dY, dU), r.Backward(p.weights, p.input, dY, dLayers, dx),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations per pass, want none", n)
	}
}

// TestReaderMisfits gives both operators what does not fit.
func TestReaderMisfits(t *testing.T) {
	t.Parallel()
	workers := team.New(1)
	defer workers.Close()
	p := newReading(Config{Steps: 2, Batch: 1, Inputs: 3, Units: 5, Masked: true}, []int32{2})
	r, err := NewReader(workers, p.config, false)
	if err != nil {
		t.Fatal(err)
	}
	reverse := p.config
	reverse.Reverse = true
	_, refused := NewReader(workers, reverse, false)
	a := newAttending(AttentionConfig{Steps: 2, Batch: 1, Features: 3, Units: 2}, []int32{2})
	op := NewAttention(workers, a.config)
	for name, test := range map[string]struct {
		got  error
		want string
	}{
		"direction": {refused, "has its direction from its place"},
		"output":    {r.Forward(p.weights, p.input, make([]float32, 19)), "output has 19 elements, its shape [2 10] wants 20"},
		"gradient":  {r.Backward(p.weights, p.input, make([]float32, 19), p.weights, nil), "gradient has 19 elements, its shape [2 10] wants 20"},
		"no step":   {op.Forward(a.weights(), single(a.y), single(a.u), []int32{0}), "sequence 0 has 0 steps; it must have from 1 to 2"},
		"too many":  {op.Forward(a.weights(), single(a.y), single(a.u), []int32{3}), "sequence 0 has 3 steps"},
		"text":      {op.Forward(a.weights(), single(a.u), single(a.u), []int32{2}), "text has 3 elements, its shape [2 1 3] wants 6"},
		"weights":   {op.Forward(AttentionWeights{}, single(a.y), single(a.u), []int32{2}), "Wym has 0 elements, its shape [2 3] wants 6"},
	} {
		if test.got == nil || !strings.Contains(test.got.Error(), test.want) {
			t.Errorf("%s: got %v, want an error that says %q", name, test.got, test.want)
		}
	}
}

// TestCandidates chooses among some classes of each sequence as if there were no others.
func TestCandidates(t *testing.T) {
	t.Parallel()
	const batch, units, classes = 4, 3, 37
	random := rand.New(rand.NewPCG(6, 2))
	w, bias, h := normal(classes*units, random), normal(classes, random), normal(batch*units, random)
	targets, marks := []int32{3, -1, 36, 20}, make([]int32, batch*classes)
	for i := range marks {
		if random.IntN(3) == 0 {
			marks[i] = 1
		}
	}
	for i, target := range targets {
		if target >= 0 {
			marks[i*classes+int(target)] = 1
		}
	}
	var correct int
	loss := func() (mean float64) {
		correct = 0
		for i, target := range targets {
			if target < 0 {
				continue
			}
			best, sum, own := math.Inf(-1), 0.0, 0.0
			for class := range classes {
				logit := bias[class]
				for j := range units {
					logit += w[class*units+j] * h[i*units+j]
				}
				if class == int(target) {
					own = logit
				}
				if marks[i*classes+class] == 1 {
					best, sum = max(best, logit), sum+math.Exp(logit)
				}
			}
			if best == own {
				correct++
			}
			mean += (math.Log(sum) - own) / 3
		}
		return mean
	}
	for size := 1; size <= 2; size++ {
		workers := team.New(size)
		defer workers.Close()
		s := NewSoftmax(workers, SoftmaxConfig{Steps: 1, Batch: batch, Units: units, Classes: classes})
		s.Candidates = marks
		got, err := s.Loss(single(w), single(bias), single(h), targets)
		if err != nil {
			t.Fatal(err)
		}
		if want := loss(); math.Abs(got-want) > 1e-6 {
			t.Errorf("loss %v, want %v", got, want)
		}
		dw, dBias, dH := make([]float32, len(w)), make([]float32, len(bias)), make([]float32, len(h))
		if err := s.Backward(single(w), single(h), 1, dw, dBias, dH); err != nil {
			t.Fatal(err)
		}
		checkClose(t, "gradient of W", dw, [][]float64{differences(w, loss)}, 1e-5)
		checkClose(t, "gradient of b", dBias, [][]float64{differences(bias, loss)}, 1e-5)
		checkClose(t, "gradient of h", dH, [][]float64{differences(h, loss)}, 1e-5)
		score, err := s.Score(single(w), single(bias), single(h), targets)
		if err != nil {
			t.Fatal(err)
		}
		if want := 3 * loss(); math.Abs(score.LossSum-want) > 1e-5 || score.Count != 3 || score.Correct != correct {
			t.Errorf("score %+v, want a sum of %v, 3 and %d", score, want, correct)
		}
		// A target that is no candidate has probability 0.
		s.Candidates = slices.Clone(marks)
		s.Candidates[targets[0]] = 0
		if score, err := s.Score(single(w), single(bias), single(h), targets); err != nil || !math.IsInf(score.LossSum, 1) {
			t.Errorf("score %+v, %v, want an infinite loss", score, err)
		}
		s.Candidates = marks[1:]
		if _, err := s.Loss(single(w), single(bias), single(h), targets); err == nil || !strings.Contains(err.Error(), "candidates has 147 elements, its shape [4 37] wants 148") {
			t.Errorf("%v, want an error about the candidates' shape", err)
		}
	}
}
