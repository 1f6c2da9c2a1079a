package recurrent

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/team"
	"bittern/models/internal/reference"
	"bittern/plugins/network"
)

// TestSoftmaxAgainstReference holds the loss, its gradients and the score
// against the float64 oracle.
func TestSoftmaxAgainstReference(t *testing.T) {
	t.Parallel()
	for _, config := range []SoftmaxConfig{
		{Steps: 3, Batch: 4, Units: 5, Classes: 7}, {Steps: 1, Batch: 1, Units: 1, Classes: 1}, {Steps: 2, Batch: 9, Units: 33, Classes: 131},
	} {
		for workers := 1; workers <= 6; workers++ {
			missing := workers > 3
			t.Run(fmt.Sprintf("%+v/%d workers/targets missing %v", config, (workers-1)%3+1, missing), func(t *testing.T) {
				t.Parallel()
				workers := team.New((workers-1)%3 + 1)
				defer workers.Close()
				random := rand.New(rand.NewPCG(1, 2))
				rows := config.Steps * config.Batch
				w, bias, h := normal(config.Classes*config.Units, random), normal(config.Classes, random), normal(rows*config.Units, random)
				targets := make([]int32, rows)
				for i := range targets {
					targets[i] = int32(random.IntN(config.Classes))
					if missing && i%3 != 0 {
						targets[i] = -1
					}
				}
				oracle := reference.Softmax{Rows: rows, Units: config.Units, Classes: config.Classes}
				wantLoss, logits := oracle.Loss(w, bias, h, targets)
				dW, dBias, dH := oracle.Backward(w, bias, h, targets)

				s := NewSoftmax(workers, config)
				loss, err := s.Loss(single(w), single(bias), single(h), targets)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(loss-wantLoss) > 1e-5 {
					t.Errorf("loss %v, want %v", loss, wantLoss)
				}
				gotW, gotBias, gotH := make([]float32, len(w)), make([]float32, len(bias)), make([]float32, len(h))
				const scale = 3
				if err := s.Backward(single(w), single(h), scale, gotW, gotBias, gotH); err != nil {
					t.Fatal(err)
				}
				for _, g := range [][]float64{dW, dBias, dH} {
					for i := range g {
						g[i] *= scale
					}
				}
				checkClose(t, "gradient of W", gotW, [][]float64{dW}, 1e-5)
				checkClose(t, "gradient of b", gotBias, [][]float64{dBias}, 1e-5)
				checkClose(t, "gradient of h", gotH, [][]float64{dH}, 1e-5)

				score, err := s.Score(single(w), single(bias), single(h), targets)
				if err != nil {
					t.Fatal(err)
				}
				var want network.Score
				for row, line := range slices.Collect(slices.Chunk(logits, config.Classes)) {
					if targets[row] < 0 {
						continue
					}
					var sum float64
					for _, v := range line {
						sum += math.Exp(v)
					}
					want.LossSum += math.Log(sum) - line[targets[row]]
					want.Count++
					if slices.Max(line) == line[targets[row]] {
						want.Correct++
					}
				}
				if score.Count != want.Count || score.Correct != want.Correct || math.Abs(score.LossSum-want.LossSum) > 1e-4 {
					t.Errorf("score %+v, want %+v", score, want)
				}
			})
		}
	}
}

func normal(n int, random *rand.Rand) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float32(random.NormFloat64()))
	}
	return out
}

// TestDropout drops about the given share, scales the rest so that the mean
// stays, and sends the gradient back through the same mask on any team.
func TestDropout(t *testing.T) {
	t.Parallel()
	const n, probability = 20_001, 0.3
	ones := ones(n)
	var want []float32
	for workers := 1; workers <= 3; workers++ {
		workers := team.New(workers)
		defer workers.Close()
		d := NewDropout(workers, n, probability)
		d.Key = 42
		if err := d.Forward(ones); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = slices.Clone(d.Output())
		} else if !slices.Equal(want, d.Output()) {
			t.Errorf("%d workers drew another mask", workers.Size())
		}
		gradient := make([]float32, n)
		if err := d.Backward(gradient, ones); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(gradient, d.Output()) {
			t.Error("the backward pass drew another mask")
		}
		dropped := 0
		for i, v := range d.Output() {
			if v == 0 {
				dropped++
			} else if math.Abs(float64(v)-1/(1-probability)) > 1e-6 {
				t.Fatalf("element %d is %v, want 0 or %v", i, v, 1/(1-probability))
			}
		}
		// Five standard deviations of a binomial share.
		if share, bound := float64(dropped)/n, 5*math.Sqrt(probability*(1-probability)/n); math.Abs(share-probability) > bound {
			t.Errorf("%v of the elements dropped, want %v ± %v", share, probability, bound)
		}
		d.Key = 43
		if err := d.Forward(ones); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(want, d.Output()) {
			t.Error("keys 42 and 43 drew the same mask")
		}
		d.Off = true
		if err := d.Forward(want); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(want, d.Output()) {
			t.Error("dropout that is off changed its input")
		}
	}
}

func TestEmbedding(t *testing.T) {
	t.Parallel()
	// Three features of four tokens; token 2 is chosen twice, token 1 never.
	weight := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	tokens := []int32{2, 0, 2, 3}
	gradient := []float32{1, 2, 3, 10, 20, 30, 100, 200, 300, 1000, 2000, 3000}
	for workers := 1; workers <= 3; workers++ {
		workers := team.New(workers)
		defer workers.Close()
		e := NewEmbedding(workers, len(tokens), 4, 3)
		if err := e.Forward(weight, tokens); err != nil {
			t.Fatal(err)
		}
		if want := []float32{3, 7, 11, 1, 5, 9, 3, 7, 11, 4, 8, 12}; !slices.Equal(e.Output(), want) {
			t.Errorf("columns %v, want %v", e.Output(), want)
		}
		dWeight := []float32{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}
		if err := e.Backward(tokens, gradient, dWeight); err != nil {
			t.Fatal(err)
		}
		if want := []float32{10, 0, 101, 1000, 20, 0, 202, 2000, 30, 0, 303, 3000}; !slices.Equal(dWeight, want) {
			t.Errorf("gradient %v, want %v", dWeight, want)
		}
	}
}

// TestLastGradient gives layers the gradient of the states that they end with alone, and
// finds what those of all steps give that are 0 elsewhere.
func TestLastGradient(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		c := p.config
		l := newLayer(t, workers, c)
		l.Prepare(p.pass(Batch, nil))
		backward := func(gradient []float32) (Weights, []float32) {
			dw, dx := newWeights(c), make([]float32, c.Steps*c.Batch*c.Inputs)
			if err := errors.Join(l.Forward(p.weights, p.input), l.Backward(p.weights, p.input, gradient, dw, dx)); err != nil {
				t.Fatal(err)
			}
			return dw, dx
		}
		n, at := c.Batch*c.Units, (c.Steps-1)*c.Batch*c.Units
		if c.Reverse {
			at = 0
		}
		last := p.gradient[at : at+n]
		all := make([]float32, c.Steps*n)
		copy(all[at:], last)
		want, wantDX := backward(all)
		got, gotDX := backward(last)
		if !slices.Equal(gotDX, wantDX) {
			t.Errorf("the gradient of x is %v, want %v", gotDX, wantDX)
		}
		for _, parameter := range c.Parameters() {
			if got, want := *got.Field(parameter.Name), *want.Field(parameter.Name); !slices.Equal(got, want) {
				t.Errorf("the gradient of %s is %v, want %v", parameter.Name, got, want)
			}
		}
		if !slices.Equal(l.Last(), l.Hidden()[at:at+n]) {
			t.Errorf("the last states are %v, want %v", l.Last(), l.Hidden()[at:at+n])
		}
	})
}

// TestMisfits gives every operator slices that do not fit and finds an error
// that names what they should be.
func TestMisfits(t *testing.T) {
	t.Parallel()
	workers := team.New(1)
	defer workers.Close()
	p := newProblem(Config{Steps: 2, Batch: 3, Inputs: 4, Units: 5, Tokens: true, Normalization: BatchNorm, NormalizeCell: true})
	lstm := newLayer(t, workers, p.config)
	ready := func() Layer {
		l := newLayer(t, workers, p.config)
		if err := l.Forward(p.weights, p.input); err != nil {
			t.Fatal(err)
		}
		return l
	}
	changed := func(change func(*Weights)) Weights {
		w := p.weights
		change(&w)
		return w
	}
	softmax := NewSoftmax(workers, SoftmaxConfig{Steps: 1, Batch: 2, Units: 1, Classes: 3})
	two, three := make([]float32, 2), make([]float32, 3)
	loss := func(w, bias, h []float32, targets ...int32) error {
		_, err := softmax.Loss(w, bias, h, targets)
		return err
	}
	embedding := NewEmbedding(workers, 2, 3, 1)
	for name, test := range map[string]struct {
		got  error
		want string
	}{
		"Wh":       {lstm.Forward(changed(func(w *Weights) { w.Wh = w.Wh[1:] }), p.input), "Wh has 99 elements, its shape [20 5] wants 100"},
		"gamma":    {lstm.Forward(changed(func(w *Weights) { w.GammaC = nil }), p.input), "gamma_c has 0 elements, its shape [5] wants 5"},
		"input":    {lstm.Forward(p.weights, Input{Tokens: []int32{1}}), "input has 1 elements, its shape [2 3] wants 6"},
		"token":    {lstm.Forward(p.weights, Input{Tokens: []int32{0, 0, 0, 0, 4, 0}}), "token 4 is 4, outside of a vocabulary of 4"},
		"negative": {lstm.Forward(p.weights, Input{Tokens: []int32{0, -1, 0, 0, 0, 0}}), "token 1 is -1"},
		"gradient": {ready().Backward(p.weights, p.input, p.gradient[1:], newWeights(p.config), nil), "gradient of the hidden states has 29 elements"},
		"features": {func() error {
			f := newProblem(Config{Steps: 2, Batch: 3, Inputs: 4, Units: 5})
			l := newLayer(t, workers, f.config)
			if err := l.Forward(f.weights, f.input); err != nil {
				return err
			}
			return l.Backward(f.weights, f.input, f.gradient, newWeights(f.config), two)
		}(), "gradient of the features has 2 elements, its shape [2 3 4] wants 24"},
		"state": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Start: &State{}})
			return l.Forward(p.weights, p.input)
		}(), "carries none"},
		"statistics": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Statistics: Frozen})
			return l.Forward(p.weights, p.input)
		}(), "needs running statistics"},
		"rows": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Rows: 4})
			return l.Forward(p.weights, p.input)
		}(), "4 sequences of a batch of 3"},
		"lengths": {func() error {
			in := p.input
			in.Lengths = []int32{1, 2, 2}
			return lstm.Forward(p.weights, in)
		}(), "not masked"},
		"length": {func() error {
			m := newProblem(Config{Kind: GRU, Steps: 2, Batch: 3, Inputs: 4, Units: 5, Masked: true})
			m.input.Lengths[1] = 3
			return newLayer(t, workers, m.config).Forward(m.weights, m.input)
		}(), "sequence 1 has 3 steps of 2"},
		"no lengths": {func() error {
			m := newProblem(Config{Kind: GRU, Steps: 2, Batch: 3, Inputs: 4, Units: 5, Masked: true})
			m.input.Lengths = nil
			return newLayer(t, workers, m.config).Forward(m.weights, m.input)
		}(), "lengths has 0 elements, its shape [3] wants 3"},
		"fresh": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Fresh: []bool{true, false, false}})
			return l.Forward(p.weights, p.input)
		}(), "without a start state"},
		"noise": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Noise: two})
			return l.Forward(p.weights, p.input)
		}(), "noise has 2 elements, its shape [3 5] wants 15"},
		"frozen noise": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Statistics: Frozen, Running: newRunning(p.config), Noise: make([]float32, 15)})
			return l.Forward(p.weights, p.input)
		}(), "starts from h0"},
		"partial": {func() error {
			l := newLayer(t, workers, p.config)
			l.Prepare(Pass{Rows: 2})
			if err := l.Forward(p.weights, p.input); err != nil {
				return err
			}
			return l.Backward(p.weights, p.input, p.gradient, newWeights(p.config), nil)
		}(), "needs all 3 sequences"},
		"softmax W":       {loss(two, three, two, 0, 0), "W has 2 elements, its shape [3 1] wants 3"},
		"softmax targets": {loss(three, three, two, 0, 3), "target 1 is 3, outside of 3 classes"},
		"negative target": {loss(three, three, two, 0, -2), "target 1 is -2"},
		"no target":       {loss(three, three, two, -1, -1), "no target to train on"},
		"dropout":         {NewDropout(workers, 3, 0.5).Forward(two), "2 elements, its shape [3] wants 3"},
		"embedding":       {embedding.Forward(two, []int32{0, 0}), "matrix has 2 elements, its shape [1 3] wants 3"},
		"embedding token": {embedding.Forward(three, []int32{0, 3}), "token 1 is 3"},
	} {
		if test.got == nil || !strings.Contains(test.got.Error(), test.want) {
			t.Errorf("%s: got %v, want an error that says %q", name, test.got, test.want)
		}
	}
}

// TestRepeats runs a layer again and finds the same bits; other teams agree
// with it up to rounding, as [TestAgainstReference] shows.
func TestRepeats(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		run := func() ([]float32, Weights) {
			l := newLayer(t, workers, p.config)
			l.Prepare(p.pass(Batch, nil))
			dw := newWeights(p.config)
			for range 2 { // the second on memory that was used
				if err := l.Forward(p.weights, p.input); err != nil {
					t.Fatal(err)
				}
				if err := l.Backward(p.weights, p.input, p.gradient, dw, nil); err != nil {
					t.Fatal(err)
				}
			}
			return l.Hidden(), dw
		}
		hidden, gradients := run()
		again, gradientsAgain := run()
		if !slices.Equal(hidden, again) {
			t.Error("hidden states differ from run to run")
		}
		for _, parameter := range p.config.Parameters() {
			if !slices.Equal(*gradients.Field(parameter.Name), *gradientsAgain.Field(parameter.Name)) {
				t.Errorf("the gradient of %s differs from run to run", parameter.Name)
			}
		}
	})
}

// TestShortSequences runs a batch of short sequences after one of long ones, and finds
// what a layer does that ran nothing before: steps that no sequence has leave no trace.
func TestShortSequences(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	defer workers.Close()
	for _, config := range configs {
		if !config.Masked {
			continue
		}
		p := newProblem(config)
		long := p.input
		long.Lengths = slices.Repeat([]int32{int32(config.Steps)}, config.Batch)
		p.layer.Lengths, p.input.Lengths = nil, nil
		for row := range config.Batch {
			p.layer.Lengths = append(p.layer.Lengths, 1+row%2)
			p.input.Lengths = append(p.input.Lengths, int32(1+row%2))
		}
		run := func(inputs ...Input) ([]float32, Weights, []float32) {
			l, dw, dx := newLayer(t, workers, config), newWeights(config), slices.Repeat([]float32{7}, config.Steps*config.Batch*config.Inputs)
			l.Prepare(p.pass(Batch, nil))
			for _, in := range inputs {
				if err := errors.Join(l.Forward(p.weights, in), l.Backward(p.weights, in, p.gradient, dw, dx)); err != nil {
					t.Fatal(err)
				}
			}
			return l.Hidden(), dw, dx
		}
		hidden, gradients, dx := run(long, p.input)
		wantHidden, wantGradients, wantDX := run(p.input)
		if !slices.Equal(hidden, wantHidden) || !slices.Equal(dx, wantDX) {
			t.Errorf("%+v: hidden states or the gradient of x depend on the batch before", config)
		}
		for _, parameter := range config.Parameters() {
			if !slices.Equal(*gradients.Field(parameter.Name), *wantGradients.Field(parameter.Name)) {
				t.Errorf("%+v: the gradient of %s depends on the batch before", config, parameter.Name)
			}
		}
		l := newLayer(t, workers, config)
		l.Prepare(p.pass(Batch, nil))
		p.compare(t, l)
	}
}

// TestGivenState gives every sequence a state of its own: h0 and c0 have no gradient.
func TestGivenState(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	defer workers.Close()
	for _, kind := range []Kind{LSTM, GRU} {
		p := newProblem(Config{Kind: kind, Steps: 3, Batch: 4, Inputs: 6, Units: 7, Carry: true})
		p.fresh, p.start64.Fresh = nil, nil
		l := newLayer(t, workers, p.config)
		l.Prepare(p.pass(Batch, nil))
		p.compare(t, l)
		dw := newWeights(p.config)
		if err := errors.Join(l.Forward(p.weights, p.input), l.Backward(p.weights, p.input, p.gradient, dw, nil)); err != nil {
			t.Fatal(err)
		}
		if nothing := make([]float32, 7); !slices.Equal(dw.H0, nothing) || kind == LSTM && !slices.Equal(dw.C0, nothing) {
			t.Errorf("%s: gradients of h0 %v and c0 %v, want none: the state was given", kind, dw.H0, dw.C0)
		}
	}
}

// TestRows computes the first sequences of a batch alone, as the last batch of an
// evaluation does, and finds what they are in a whole one.
func TestRows(t *testing.T) {
	t.Parallel()
	workers := team.New(2)
	defer workers.Close()
	for _, config := range configs {
		if config.Units != 17 || config.Batch < 5 {
			continue
		}
		p, l := newProblem(config), newLayer(t, workers, config)
		running := newRunning(config)
		forward := func(statistics Statistics, rows int) []float32 {
			pass := p.pass(statistics, running)
			pass.Rows = rows
			l.Prepare(pass)
			if err := l.Forward(p.weights, p.input); err != nil {
				t.Fatal(err)
			}
			return slices.Clone(l.Hidden())
		}
		forward(Calibrate, 0)
		whole, part := forward(Frozen, 0), forward(Frozen, 3)
		for step := range config.Steps {
			first := step * config.Batch * config.Units
			if got, want := part[first:][:3*config.Units], whole[first:][:3*config.Units]; !slices.Equal(got, want) {
				t.Errorf("%+v: step %d: %v, want %v", config, step, got, want)
			}
		}
	}
}

// TestRowOfZeros gives weight normalization rows without a direction: they stay 0 and have
// no gradient, and all else is finite.
func TestRowOfZeros(t *testing.T) {
	t.Parallel()
	workers := team.New(1)
	defer workers.Close()
	p := newProblem(Config{Kind: GRU, Steps: 3, Batch: 2, Inputs: 3, Units: 4, Normalization: WeightNorm})
	clear(p.weights.Wh[4:8])
	clear(p.weights.Wx[3:6])
	l, dw := newLayer(t, workers, p.config), newWeights(p.config)
	if err := errors.Join(l.Forward(p.weights, p.input), l.Backward(p.weights, p.input, p.gradient, dw, nil)); err != nil {
		t.Fatal(err)
	}
	if nothing := make([]float32, 4); !slices.Equal(dw.Wh[4:8], nothing) || !slices.Equal(dw.Wx[3:6], nothing[:3]) {
		t.Errorf("gradients %v and %v of rows of zeros, want none", dw.Wh[4:8], dw.Wx[3:6])
	}
	for _, parameter := range p.config.Parameters() {
		for i, v := range *dw.Field(parameter.Name) {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("gradient of %s[%d] is %v", parameter.Name, i, v)
			}
		}
	}
}

// TestAllocations counts the allocations of a pass after the first.
func TestAllocations(t *testing.T) {
	workers := team.New(2)
	defer workers.Close()
	for _, config := range configs {
		if config.Units != 17 && config.Units != 33 || config.Steps > 4 && !config.Masked {
			continue
		}
		p := newProblem(config)
		l := newLayer(t, workers, config)
		dw := newWeights(config)
		for _, bfloat16 := range []bool{false, true} {
			pass := p.pass(Batch, nil)
			pass.BFloat16 = bfloat16
			l.Prepare(pass)
			if n := testing.AllocsPerRun(10, func() {
				if err := l.Forward(p.weights, p.input); err != nil {
					t.Fatal(err)
				}
				if err := l.Backward(p.weights, p.input, p.gradient, dw, nil); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%+v: %v allocations per pass, want none", config, n)
			}
		}
	}
	s := NewSoftmax(workers, SoftmaxConfig{Steps: 3, Batch: 4, Units: 5, Classes: 33})
	w, bias, h, targets := ones(33*5), ones(33), ones(12*5), make([]int32, 12)
	dw, dBias, dH := ones(33*5), ones(33), ones(12*5)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := s.Loss(w, bias, h, targets); err != nil {
			t.Fatal(err)
		}
		if err := s.Backward(w, h, 1, dw, dBias, dH); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("softmax: %v allocations per pass, want none", n)
	}
	if n := testing.AllocsPerRun(10, func() {
		if _, err := s.Score(w, bias, h, targets); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("softmax: %v allocations per score, want none", n)
	}
	dropout, embedding := NewDropout(workers, 33, 0.5), NewEmbedding(workers, 12, 33, 5)
	x, dx := ones(33), ones(33)
	if n := testing.AllocsPerRun(10, func() {
		for _, err := range [...]error{
			dropout.Forward(x), dropout.Backward(dx, x),
			embedding.Forward(w, targets), embedding.Backward(targets, h, dw),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("dropout and embedding: %v allocations per pass, want none", n)
	}
}

// TestPadding meets every number of lines up to those of the largest networks.
func TestPadding(t *testing.T) {
	t.Parallel()
	for n := 1; n < 5000; n++ {
		if got := padded(n); got < n || got >= n+2*grain || got%(2*grain) != grain {
			t.Errorf("rows of %d are %d long, want the next odd number of lines of %d", n, got, grain)
		}
	}
}
