package recurrent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/accel/kernels/team"
	"bittern/models/internal/reference"
	"bittern/plugins/stepgraph"
)

// problem is a layer with an input and a gradient, in both precisions.
type problem struct {
	config   Config
	layer    reference.Layer
	weights  Weights
	input    Input
	gradient []float32

	weights64  reference.Weights
	input64    [][]float64
	gradient64 [][]float64
	start      *State
	fresh      []bool
	start64    *reference.State
	noise      []float32 // nil but where a test adds it
}

// oracle is the reference for a layer.
func oracle(c Config) reference.Layer {
	return reference.Layer{
		Steps: c.Steps, Batch: c.Batch, Inputs: c.Inputs, Units: c.Units,
		GRU: c.Kind == GRU, ResetBefore: c.ResetBefore, NormalizeCell: c.NormalizeCell, Reverse: c.Reverse, Bits: c.HiddenBits,
		Normalization: map[Normalization]reference.Normalization{
			NoNorm: reference.None, BatchNorm: reference.Batch, SharedBatchNorm: reference.Batch,
			LayerNorm: reference.Over, WeightNorm: reference.Weight,
		}[c.Normalization],
	}
}

// someCommon is the number of sequences in a batch of which all have some steps of a masked layer. In
// every other one there is a sequence without a step.
const someCommon = 16

// newProblem draws a problem. Sequences of a masked layer have all lengths from 0 to one step less
// than all, or the three longest ones if there are someCommon. Those of a layer with Carry start
// from states of their own but the first.
func newProblem(config Config) problem { return drawProblem(config, 6) }

func drawProblem(config Config, seed uint64) problem {
	random := rand.New(rand.NewPCG(5, seed))
	p := problem{config: config, layer: oracle(config)}
	p.weights64 = reference.RandomWeights(p.layer, random)
	for name, value := range p.layer.Named(p.weights64) {
		round(value)
		*p.weights.Field(name) = single(value)
	}
	if config.Masked {
		for row := range config.Batch {
			length := row % config.Steps
			if config.Batch == someCommon {
				length = config.Steps - row%3
			}
			p.input.Lengths, p.layer.Lengths = append(p.input.Lengths, int32(length)), append(p.layer.Lengths, length)
		}
	}
	for range config.Steps {
		// No two sequences have one token: where all have, the variance is 0 and
		// gradients are large and of little meaning.
		order := random.Perm(max(config.Inputs, config.Batch))
		x, g := make([]float64, config.Batch*config.Inputs), make([]float64, config.Batch*config.Units)
		for row := range config.Batch {
			if !config.Tokens {
				continue
			}
			token := order[row] % config.Inputs
			x[row*config.Inputs+token] = 1
			p.input.Tokens = append(p.input.Tokens, int32(token))
		}
		for i := range x {
			if !config.Tokens {
				x[i] = random.NormFloat64()
			}
		}
		for i := range g {
			g[i] = random.NormFloat64()
		}
		round(x)
		round(g)
		p.input64, p.gradient64 = append(p.input64, x), append(p.gradient64, g)
		p.gradient = append(p.gradient, single(g)...)
		if !config.Tokens {
			p.input.Features = append(p.input.Features, single(x)...)
		}
	}
	if config.Carry {
		n := config.Batch * config.Units
		h, c := normal(n, random), normal(n, random)
		round(h)
		round(c)
		p.fresh = make([]bool, config.Batch)
		p.fresh[0] = true
		p.start, p.start64 = &State{Hidden: single(h), Cell: single(c)}, &reference.State{H: h, C: c, Fresh: p.fresh}
	}
	return p
}

// pass is how the problem runs with statistics of a kind.
func (p problem) pass(statistics Statistics, running *Running) Pass {
	return Pass{Statistics: statistics, Running: running, Start: p.start, Fresh: p.fresh, Noise: p.noise}
}

func newLayer(t *testing.T, workers *team.Team, config Config) Layer {
	t.Helper()
	l, err := New(workers, config)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func round(s []float64) {
	for i := range s {
		s[i] = float64(float32(s[i]))
	}
}

func single(s []float64) []float32 {
	out := make([]float32, len(s))
	for i, v := range s {
		out[i] = float32(v)
	}
	return out
}

// newWeights returns memory for gradients, full of what a backward pass has to overwrite.
func newWeights(c Config) Weights {
	var w Weights
	for _, p := range c.Parameters() {
		n := 1
		for _, size := range p.Shape {
			n *= size
		}
		*w.Field(p.Name) = slices.Repeat([]float32{float32(math.NaN())}, n)
	}
	return w
}

func newRunning(c Config) *Running {
	r := &Running{}
	for _, b := range c.Buffers() {
		*r.Field(b.Name) = make([]float32, b.Shape[0]*b.Shape[1])
	}
	return r
}

// configs are the sizes that every kind and normalization is tested with, alone
// and with what a layer may be asked for besides.
var configs = func() (list []Config) {
	add := func(c Config) {
		if c.Tokens {
			c.Inputs = 17
		}
		for _, n := range Normalizations {
			c.Normalization = n
			lstm, gru := c, c
			gru.Kind = GRU
			before := gru
			before.ResetBefore = true
			for _, c := range []Config{lstm, gru, before} {
				if c.Check() == nil {
					list = append(list, c)
				}
			}
			lstm.NormalizeCell = true
			if lstm.Check() == nil {
				list = append(list, lstm)
			}
		}
	}
	for _, units := range []int{1, 3, 17, 33} {
		for _, batch := range []int{1, 2, 5} {
			add(Config{Steps: 4, Batch: batch, Inputs: 3, Units: units, Tokens: units%2+batch%2 == 1})
		}
	}
	add(Config{Steps: 1, Batch: 2, Inputs: 1, Units: 1})
	add(Config{Steps: 5, Batch: 6, Inputs: 9, Units: 33, Tokens: true})
	add(Config{Steps: 3, Batch: 17, Inputs: 3, Units: 130})
	add(Config{Steps: 4, Batch: 6, Inputs: 3, Units: 17, Carry: true})
	add(Config{Steps: 4, Batch: 6, Inputs: 3, Units: 33, Reverse: true, Tokens: true})
	add(Config{Steps: 2, Batch: 3, Inputs: 3, Units: mostInterleaved + 2})
	for _, tokens := range []bool{false, true} {
		add(Config{Steps: 5, Batch: 17, Inputs: 3, Units: 17, Masked: true, Tokens: tokens})
		add(Config{Steps: 5, Batch: 17, Inputs: 3, Units: 33, Masked: true, Reverse: true, Carry: true, Tokens: tokens})
		add(Config{Steps: 5, Batch: someCommon, Inputs: 3, Units: 33, Masked: true, Reverse: tokens, Carry: true, Tokens: tokens})
	}
	// One feature, and so many sequences that hidden tasks take two steps or one. Over a batch
	// its gradient of Wx is what Epsilon leaves of a difference, and with WeightNorm it is
	// 0: a GRU and WeightNorm do not compute that exactly.
	for _, n := range []Normalization{NoNorm, BatchNorm, SharedBatchNorm} {
		list = append(list,
			Config{Steps: 5, Batch: 70, Inputs: 1, Units: 17, Normalization: n, Masked: true, Reverse: true},
			Config{Steps: 3, Batch: 101, Inputs: 1, Units: 33, Normalization: n, NormalizeCell: n == BatchNorm})
	}
	return list
}()

func eachConfig(t *testing.T, test func(t *testing.T, p problem, workers *team.Team)) {
	t.Parallel()
	for _, config := range configs {
		teams := []int{2}
		if config.Units > grain {
			teams = []int{1, 2, 3} // else one worker has all units
		}
		for _, workers := range teams {
			t.Run(fmt.Sprintf("%s %s %+v/%d workers", config.Kind, config.Normalization, config, workers), func(t *testing.T) {
				t.Parallel()
				workers := team.New(workers)
				t.Cleanup(workers.Close)
				test(t, newProblem(config), workers)
			})
		}
	}
}

// TestAgainstReference holds hidden states and the gradient of every
// parameter and input against the float64 oracle.
func TestAgainstReference(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		l := newLayer(t, workers, p.config)
		l.Prepare(p.pass(Batch, nil))
		p.compare(t, l)
	})
}

// bitsFor is how many bits a test rounds the hidden states of a size to: few where there
// are so many states that one is always in the middle between two of many levels.
func bitsFor(units int) int {
	switch {
	case units == 1:
		return 8
	case units <= 3:
		return 4
	case units <= 17:
		return 2
	}
	return 1
}

// clearProblem draws problems until no hidden state is close to the middle between two
// levels, so that single precision finds the same ones as double.
func clearProblem(t *testing.T, config Config) problem {
	t.Helper()
	clear := 2e-4
	if config.Normalization == NoNorm { // whose states are exacter, and many of them near 0
		clear = 1e-5
	}
	for seed := range uint64(300) {
		p := drawProblem(config, seed)
		if p.layer.Forward(p.weights64, p.input64, p.start64).Margin > clear {
			return p
		}
	}
	t.Fatal("every problem has a hidden state in the middle between two levels")
	return problem{}
}

// TestHiddenBits does the same with rounded hidden states: the oracle's gradients go
// straight through, as its own test finds with the rounding taken as a constant.
func TestHiddenBits(t *testing.T) {
	t.Parallel()
	for _, config := range configs {
		if config.Units > 33 || config.Batch == 2 || config.Batch > 17 {
			continue // two sequences of few levels are soon the same, and of many states some are in the middle
		}
		config.HiddenBits = bitsFor(config.Units)
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s %s %+v/%d workers", config.Kind, config.Normalization, config, workers), func(t *testing.T) {
				t.Parallel()
				workers := team.New(workers)
				t.Cleanup(workers.Close)
				p, l := clearProblem(t, config), newLayer(t, workers, config)
				l.Prepare(p.pass(Batch, nil))
				p.compare(t, l)
				for i, v := range l.Hidden() {
					if r := float32(stepgraph.Rounded(float64(v), config.HiddenBits)); r != v {
						t.Fatalf("hidden state %d is %v, no level of %d bits", i, v, config.HiddenBits)
					}
				}
			})
		}
	}
}

// TestInitialNoise does the same with noise on initial states. Of fewer sequences two are
// soon as good as equal, and normalise to what rounding left of their difference.
func TestInitialNoise(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		if p.config.Batch < 5 {
			return
		}
		p.layer.Noise = normal(p.config.Batch*p.config.Units, rand.New(rand.NewPCG(8, 8)))
		round(p.layer.Noise)
		p.noise = single(p.layer.Noise)
		l := newLayer(t, workers, p.config)
		l.Prepare(p.pass(Batch, nil))
		p.compare(t, l)
	})
}

// TestFrozen does the same with statistics calibrated on the batch itself, twice:
// the same sequences twice have the statistics of once.
func TestFrozen(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		c := p.config
		if !c.Normalization.Batch() {
			return
		}
		l := newLayer(t, workers, c)
		running := newRunning(c)
		l.Prepare(p.pass(Calibrate, running))
		for range 2 {
			if err := l.Forward(p.weights, p.input); err != nil {
				t.Fatal(err)
			}
		}
		s := p.layer.Forward(p.weights64, p.input64, p.start64).Statistics()
		if c.oneSet() {
			meanN, varianceN := p.pooled(s.MeanH, s.VarianceH, c.firstHidden(gateN))
			s.MeanH, s.VarianceH = p.pooled(s.MeanH, s.VarianceH, c.firstHidden(0))
			copy(s.MeanH[0][gateN*c.Units:], meanN[0][gateN*c.Units:])
			copy(s.VarianceH[0][gateN*c.Units:], varianceN[0][gateN*c.Units:])
			s.MeanX, s.VarianceX = p.pooled(s.MeanX, s.VarianceX, 0)
			if c.NormalizeCell {
				s.MeanC, s.VarianceC = p.pooled(s.MeanC, s.VarianceC, 0)
			}
		}
		rows := c.runningSteps()
		checkClose(t, "mean of Wx·x", running.MeanX, s.MeanX[:rows], 3e-5)
		checkClose(t, "variance of Wx·x", running.VarianceX, s.VarianceX[:rows], 3e-5)
		checkClose(t, "mean of Wh·h", running.MeanH, s.MeanH[:rows], 3e-5)
		checkClose(t, "variance of Wh·h", running.VarianceH, s.VarianceH[:rows], 3e-5)
		if c.NormalizeCell {
			checkClose(t, "mean of c", running.MeanC, s.MeanC[:rows], 3e-5)
			checkClose(t, "variance of c", running.VarianceC, s.VarianceC[:rows], 3e-5)
		}
		l.Prepare(p.pass(Frozen, running))
		s.VarianceH[0] = slices.Clone(s.VarianceH[0])
		for j := range s.VarianceH[0] {
			if c.startsConstant(j / c.Units) {
				// Wh·h_0 is the same in every sequence and normalises to 0; frozen
				// statistics say so to the oracle by an infinite variance.
				s.VarianceH[0][j] = math.Inf(1)
			}
		}
		p.layer.Frozen = s
		p.compare(t, l)
	})
}

// compare runs l forward and backward and holds it against the oracle.
func (p problem) compare(t *testing.T, l Layer) {
	t.Helper()
	if err := l.Forward(p.weights, p.input); err != nil {
		t.Fatal(err)
	}
	trace := p.layer.Forward(p.weights64, p.input64, p.start64)
	checkClose(t, "h", l.Hidden(), trace.H, 2e-5)
	n := p.config.Batch * p.config.Units
	final := State{Hidden: make([]float32, n), Cell: make([]float32, n)}
	l.Final(final)
	checkClose(t, "final h", final.Hidden, [][]float64{trace.Final().H}, 2e-5)
	if p.config.Kind == LSTM {
		checkClose(t, "final c", final.Cell, [][]float64{trace.Final().C}, 2e-5)
	}

	tolerance := 2e-4
	if p.config.Normalization.Batch() && p.config.Batch == 2 {
		// Two sequences normalise to almost ±1 whatever they are: what is left of the
		// gradient is the difference of numbers a hundred times as large.
		tolerance = 5e-3
	}
	dw := newWeights(p.config)
	var dInput []float32
	if !p.config.Tokens {
		dInput = slices.Repeat([]float32{float32(math.NaN())}, len(p.input.Features))
	}
	if err := l.Backward(p.weights, p.input, p.gradient, dw, dInput); err != nil {
		t.Fatal(err)
	}
	want, dX := p.layer.Backward(p.weights64, trace, p.gradient64)
	if dInput != nil {
		checkClose(t, "gradient of x", dInput, dX, tolerance)
	}
	named := p.layer.Named(want)
	for _, parameter := range p.config.Parameters() {
		checkClose(t, "gradient of "+parameter.Name, *dw.Field(parameter.Name), [][]float64{named[parameter.Name]}, tolerance)
	}
}

// checkClose compares relative to the largest magnitude of want: a gradient is
// a sum whose terms are as large as that, whatever is left of them.
func checkClose(t *testing.T, name string, got []float32, want [][]float64, tolerance float64) {
	t.Helper()
	flat := slices.Concat(want...)
	if len(got) != len(flat) {
		t.Fatalf("%s: got %d elements, want %d", name, len(got), len(flat))
	}
	scale := 1e-2
	for _, v := range flat {
		scale = max(scale, math.Abs(v))
	}
	for i, v := range flat {
		if !(math.Abs(float64(got[i])-v) <= tolerance*scale) {
			t.Errorf("%s[%d]: got %v, want %v (largest %v)", name, i, got[i], v, scale)
			return
		}
	}
}

// pooled returns the mean and variance over all sequences that have a step, of the
// steps from first on, once for every row.
func (p problem) pooled(mean, variance [][]float64, first int) (means, variances [][]float64) {
	width := len(mean[0])
	m, v := make([]float64, width), make([]float64, width)
	for j := range width {
		var n float64
		for s := first; s < len(mean); s++ {
			count := float64(p.config.Batch)
			if p.config.Masked {
				count = 0
				for _, length := range p.layer.Lengths {
					if t := s; !p.config.Reverse && t < length || p.config.Reverse && p.config.Steps-1-t < length {
						count++
					}
				}
			}
			n += count
			m[j] += count * mean[s][j]
			v[j] += count * (variance[s][j] + mean[s][j]*mean[s][j])
		}
		if n > 0 {
			m[j] /= n
			v[j] = v[j]/n - m[j]*m[j]
		}
	}
	return slices.Repeat([][]float64{m}, len(mean)), slices.Repeat([][]float64{v}, len(mean))
}
