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

// problem is a layer with an input and a gradient, in both precisions.
type problem struct {
	config   LSTMConfig
	layer    reference.LSTM
	weights  LSTMWeights
	input    LSTMInput
	gradient []float32

	weights64  reference.Weights
	input64    [][]float64
	gradient64 [][]float64
}

func newProblem(config LSTMConfig) problem {
	random := rand.New(rand.NewPCG(5, 6))
	p := problem{config: config, layer: reference.LSTM{
		Steps: config.Steps, Batch: config.Batch, Inputs: config.Inputs, Units: config.Units, BatchNorm: config.BatchNorm,
	}}
	p.weights64 = reference.RandomWeights(p.layer, random)
	w := &p.weights64
	for _, s := range [][]float64{w.Wx, w.Wh, w.GammaH, w.GammaX, w.Beta, w.GammaC, w.BetaC, w.H0, w.C0} {
		round(s)
	}
	p.weights = LSTMWeights{
		Wx: single(w.Wx), Wh: single(w.Wh), GammaH: single(w.GammaH), GammaX: single(w.GammaX), Beta: single(w.Beta),
		GammaC: single(w.GammaC), BetaC: single(w.BetaC), H0: single(w.H0), C0: single(w.C0),
	}
	for range config.Steps {
		x, g := make([]float64, config.Batch*config.Inputs), make([]float64, config.Batch*config.Units)
		for row := range config.Batch {
			if !config.Tokens {
				continue
			}
			token := random.IntN(config.Inputs)
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
	return p
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

func newWeights(c LSTMConfig) LSTMWeights {
	d := c.Units
	nan := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(math.NaN())
		}
		return out
	}
	return LSTMWeights{
		Wx: nan(4 * d * c.Inputs), Wh: nan(4 * d * d), GammaH: nan(4 * d), GammaX: nan(4 * d), Beta: nan(4 * d),
		GammaC: nan(d), BetaC: nan(d), H0: nan(d), C0: nan(d),
	}
}

func (w LSTMWeights) named() map[string][]float32 {
	return map[string][]float32{
		"Wx": w.Wx, "Wh": w.Wh, "gamma_h": w.GammaH, "gamma_x": w.GammaX, "beta": w.Beta,
		"gamma_c": w.GammaC, "beta_c": w.BetaC, "h0": w.H0, "c0": w.C0,
	}
}

var configs = []LSTMConfig{
	{Steps: 4, Batch: 3, Inputs: 7, Units: 5, Tokens: true, BatchNorm: true},
	{Steps: 4, Batch: 3, Inputs: 7, Units: 5, Tokens: true},
	{Steps: 4, Batch: 3, Inputs: 2, Units: 5, BatchNorm: true},
	{Steps: 5, Batch: 6, Inputs: 9, Units: 33, BatchNorm: true},
	{Steps: 5, Batch: 6, Inputs: 11, Units: 33, Tokens: true, BatchNorm: true},
	{Steps: 5, Batch: 6, Inputs: 9, Units: 33},
	{Steps: 6, Batch: 5, Inputs: 1, Units: 50, BatchNorm: true},
	{Steps: 3, Batch: 17, Inputs: 3, Units: 130, BatchNorm: true},
	{Steps: 1, Batch: 2, Inputs: 1, Units: 1, BatchNorm: true},
}

func eachConfig(t *testing.T, test func(t *testing.T, p problem, workers *team.Team)) {
	t.Parallel()
	for _, config := range configs {
		for _, workers := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%+v/%d workers", config, workers), func(t *testing.T) {
				t.Parallel()
				workers := team.New(workers)
				t.Cleanup(workers.Close)
				test(t, newProblem(config), workers)
			})
		}
	}
}

// TestLSTMAgainstReference holds hidden states and the gradient of every
// parameter and input against the float64 oracle.
func TestLSTMAgainstReference(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		l := NewLSTM(workers, p.config)
		p.compare(t, l)
	})
}

// TestLSTMFrozen does the same with statistics calibrated on the batch itself.
func TestLSTMFrozen(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		if !p.config.BatchNorm {
			return
		}
		l := NewLSTM(workers, p.config)
		running := newRunning(p.config)
		l.Pass = Pass{Statistics: Calibrate, Running: running}
		p.compare(t, l)
		statistics := p.layer.Forward(p.weights64, p.input64, nil).Statistics()
		p.layer.Frozen = statistics
		checkClose(t, "mean of Wx·x", running.MeanX, statistics.MeanX, 1e-5)
		checkClose(t, "variance of Wx·x", running.VarianceX, statistics.VarianceX, 1e-5)
		checkClose(t, "mean of Wh·h", running.MeanH, statistics.MeanH, 1e-5)
		checkClose(t, "variance of Wh·h", running.VarianceH, statistics.VarianceH, 1e-5)
		checkClose(t, "mean of c", running.MeanC, statistics.MeanC, 1e-5)
		checkClose(t, "variance of c", running.VarianceC, statistics.VarianceC, 1e-5)
		l.Pass = Pass{Statistics: Frozen, Running: running}
		// Wh·h_0 is the same in every sequence and normalises to 0; frozen
		// statistics say so to the oracle by an infinite variance.
		for j := range statistics.VarianceH[0] {
			statistics.VarianceH[0][j] = math.Inf(1)
		}
		p.compare(t, l)
	})
}

// compare runs l forward and backward and holds it against the oracle.
func (p problem) compare(t *testing.T, l *LSTM) {
	t.Helper()
	if err := l.Forward(p.weights, p.input); err != nil {
		t.Fatal(err)
	}
	trace := p.layer.Forward(p.weights64, p.input64, nil)
	checkClose(t, "h", l.Hidden(), trace.H, 2e-5)

	dw := newWeights(p.config)
	var dInput []float32
	if !p.config.Tokens {
		dInput = make([]float32, len(p.input.Features))
	}
	if err := l.Backward(p.weights, p.input, p.gradient, dw, dInput); err != nil {
		t.Fatal(err)
	}
	want, dX := p.layer.Backward(p.weights64, trace, p.gradient64)
	if dInput != nil {
		checkClose(t, "gradient of x", dInput, dX, 2e-4)
	}
	named := dw.named()
	for name, gradient := range want.Named() {
		switch name {
		case "gamma_h", "gamma_x", "gamma_c", "beta_c":
			if !p.config.BatchNorm {
				continue
			}
		}
		checkClose(t, "gradient of "+name, named[name], [][]float64{gradient}, 2e-4)
	}
}

func newRunning(c LSTMConfig) *Running {
	n, m := c.Steps*4*c.Units, c.Steps*c.Units
	return &Running{
		MeanH: make([]float32, n), VarianceH: make([]float32, n), MeanX: make([]float32, n), VarianceX: make([]float32, n),
		MeanC: make([]float32, m), VarianceC: make([]float32, m),
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

// TestLSTMShared gathers pooled statistics in two passes and runs frozen with
// them, as the oracle does with the same rows at every step.
func TestLSTMShared(t *testing.T) {
	eachConfig(t, func(t *testing.T, p problem, workers *team.Team) {
		if !p.config.BatchNorm || p.config.Steps == 1 {
			return
		}
		p.config.Shared = true
		l := NewLSTM(workers, p.config)
		one := p.config
		one.Steps = 1
		running := newRunning(one)
		l.Pass = Pass{Statistics: Calibrate, Running: running}
		for range 2 { // the same sequences twice have the statistics of once
			if err := l.Forward(p.weights, p.input); err != nil {
				t.Fatal(err)
			}
		}
		s := p.layer.Forward(p.weights64, p.input64, nil).Statistics()
		// Wh·h_0 is a constant and not pooled.
		s.MeanH, s.VarianceH = pooled(s.MeanH, s.VarianceH, 1)
		s.MeanX, s.VarianceX = pooled(s.MeanX, s.VarianceX, 0)
		s.MeanC, s.VarianceC = pooled(s.MeanC, s.VarianceC, 0)
		checkClose(t, "mean of Wh·h", running.MeanH, s.MeanH[:1], 1e-5)
		checkClose(t, "variance of Wh·h", running.VarianceH, s.VarianceH[:1], 1e-5)
		checkClose(t, "mean of Wx·x", running.MeanX, s.MeanX[:1], 1e-5)
		checkClose(t, "variance of Wx·x", running.VarianceX, s.VarianceX[:1], 1e-5)
		checkClose(t, "mean of c", running.MeanC, s.MeanC[:1], 1e-5)
		checkClose(t, "variance of c", running.VarianceC, s.VarianceC[:1], 1e-5)

		l.Pass.Statistics = Frozen
		s.VarianceH[0] = slices.Repeat([]float64{math.Inf(1)}, 4*p.config.Units) // Wh·h_0 normalises to 0
		p.layer.Frozen = s
		p.compare(t, l)
	})
}

// pooled returns the mean and variance over all rows from first on, once for
// every row.
func pooled(mean, variance [][]float64, first int) (means, variances [][]float64) {
	width, n := len(mean[0]), float64(len(mean)-first)
	m, v := make([]float64, width), make([]float64, width)
	for j := range width {
		for row := first; row < len(mean); row++ {
			m[j] += mean[row][j] / n
			v[j] += (variance[row][j] + mean[row][j]*mean[row][j]) / n
		}
		v[j] -= m[j] * m[j]
	}
	return slices.Repeat([][]float64{m}, len(mean)), slices.Repeat([][]float64{v}, len(mean))
}
