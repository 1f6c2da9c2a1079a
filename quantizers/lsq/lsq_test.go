package lsq

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// open hands a quantizer one matrix with these latent weights, and initialises it.
func open(t testing.TB, options plugins.Values, rows, cols int, latent ...float32) (quantizer.Quantizer, quantizer.Weight, error) {
	t.Helper()
	w := quantizer.Weight{
		Shape: quantizer.Shape{Name: "Wh", Rows: rows, Cols: cols}, Latent: latent,
		Quantized: make([]float32, len(latent)), Grad: make([]float32, len(latent)),
	}
	q := New()
	states, err := q.Plan(t.Context(), options, []quantizer.Shape{w.Shape})
	if err != nil || len(states) != 1 {
		t.Fatalf("states %v, error %v, want one state", states, err)
	}
	n := states[0].Shape[0]
	w.State = map[string]quantizer.StateTensors{states[0].Name: {Value: make([]float32, n), Grad: make([]float32, n)}}
	if err := q.Open(t.Context(), options, []quantizer.Weight{w}); err != nil {
		t.Fatal(err)
	}
	return q, w, q.Initialise(t.Context())
}

// By hand: means of |w| of 1.25 and 0.375, of the matrix 0.8125; a first step of twice the
// mean over sqrt(Q_P); a gradient scale of 1/sqrt(4·Q_P).
func TestOneStepByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options plugins.Values
		steps   []float32
		// Of steps ½ and ¼, or of ½ alone, with gradients 1, 2, 4 and 8.
		quantized, grad, stepGrad []float32
		levels                    []float32
		bits                      int
	}{
		// w/s = −4, 1, 0.5, −1: 1 is the upper end, −4 is beyond the lower. ½·(−2·1 + 1·2 − 0.5·4 + 0·8)
		{"2 bits", plugins.Values{bits: "2"}, []float32{1.625}, []float32{-1, 0.5, 0, -0.5}, []float32{0, 0, 4, 8}, []float32{-1}, []float32{-2, -1, 0, 1}, 2},
		// −4, 1, 1, −2, the last at the lower end: ½·(−2 + 2) and ½·(4 − 16)
		{"2 bits per row", plugins.Values{bits: "2", elementwise.Scale: elementwise.PerRow}, []float32{2.5, 0.75}, []float32{-1, 0.5, 0.25, -0.5}, []float32{0, 0, 0, 0}, []float32{0, -6}, []float32{-2, -1, 0, 1}, 2},
		// ½·(−1 + 2 + 4 − 8); |w| ≤ ½ for the last three
		{"1 bit", plugins.Values{bits: "1"}, []float32{0.8125}, []float32{-0.5, 0.5, 0.5, -0.5}, []float32{0, 2, 4, 8}, []float32{-1.5}, []float32{-1, 1}, 1},
		// 0.5 goes to 0, and the ends are −1 and 1: ½·(−1 + 2 − 2 − 8)
		{"2 bits, symmetric", plugins.Values{bits: "2", span: symmetric}, []float32{1.625}, []float32{-0.5, 0.5, 0, -0.5}, []float32{0, 0, 4, 0}, []float32{-4.5}, []float32{-1, 0, 1}, 2},
	} {
		q, w, err := open(t, c.options, 2, 2, -2, 0.5, 0.25, -0.5)
		if err != nil {
			t.Fatal(err)
		}
		step := w.State["step"]
		if !slices.Equal(step.Value, c.steps) {
			t.Errorf("%s: steps start at %v, want %v", c.name, step.Value, c.steps)
		}
		copy(step.Value, []float32{0.5, 0.25})
		if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.Quantized, c.quantized) {
			t.Errorf("%s: %v became %v, want %v", c.name, w.Latent, w.Quantized, c.quantized)
		}
		copy(w.Grad, []float32{1, 2, 4, 8})
		if err := q.Backward(t.Context(), quantizer.Backward{}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.Grad, c.grad) || !slices.Equal(step.Grad, c.stepGrad) {
			t.Errorf("%s: gradients %v and of the step %v, want %v and %v", c.name, w.Grad, step.Grad, c.grad, c.stepGrad)
		}
		frozen, err := q.Freeze(t.Context(), quantizer.Draw{})
		if err != nil {
			t.Fatal(err)
		}
		if p := frozen[0].Planes[0]; p.Bits != c.bits || !slices.Equal(p.Levels, c.levels) || !slices.Equal(p.Scales, step.Value) {
			t.Errorf("%s: frozen with %d bits, levels %v and scales %v, want %d, %v and %v", c.name, p.Bits, p.Levels, p.Scales, c.bits, c.levels, step.Value)
		}
	}
}

// A step that training pushed below 0 is taken as 1e-5, where weights are at the ends, and
// its gradient is the one there, so that it can grow again.
func TestAStepBelowZeroCanGrowAgain(t *testing.T) {
	t.Parallel()
	q, w, err := open(t, nil, 1, 2, -2, 1)
	if err != nil {
		t.Fatal(err)
	}
	step := w.State["step"]
	step.Value[0] = -3
	if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{-2e-5, 1e-5}; !slices.Equal(w.Quantized, want) {
		t.Errorf("quantized %v, want %v", w.Quantized, want)
	}
	copy(w.Grad, []float32{1, -1}) // the loss falls as the step grows
	if err := q.Backward(t.Context(), quantizer.Backward{}); err != nil {
		t.Fatal(err)
	}
	if want := float32(-3 / math.Sqrt2); step.Grad[0] != want || step.Value[0] != -3 {
		t.Errorf("gradient of the step %v and step %v, want %v and the step left alone", step.Grad[0], step.Value[0], want)
	}
}

func TestWeightsWithoutAScaleAreErrors(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, c := range []struct {
		latent []float32
		step   float32 // in place of the first one, unless 0
		scale  string
		want   string
	}{
		{[]float32{0, 0, 0, 0}, 0, elementwise.PerMatrix, "latent weight Wh is all zero"},
		{[]float32{1, 2, 0, 0}, 0, elementwise.PerRow, "latent weight Wh is all zero in row 1"},
		{[]float32{1, 2, 3, nan}, 0, elementwise.PerMatrix, "latent weight Wh[3]"},
		{[]float32{1, float32(math.Inf(1)), 3, 4}, 0, elementwise.PerRow, "latent weight Wh[1]"},
		{[]float32{1, 2, 3, 4}, nan, elementwise.PerMatrix, "the learned step of Wh is NaN"},
		{[]float32{1, 2, 3, 4}, float32(math.Inf(-1)), elementwise.PerRow, "the learned step of Wh is -Inf"},
	} {
		for _, width := range []string{"1", "2"} {
			q, w, err := open(t, plugins.Values{bits: width, elementwise.Scale: c.scale}, 2, 2, c.latent...)
			if err == nil {
				w.State["step"].Value[0] = c.step
				err = q.Quantize(t.Context(), quantizer.Draw{})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s bits: error %v of the weights %v and the step %v, want one with %q", width, err, c.latent, c.step, c.want)
			}
		}
	}
}

// Weights that are not finite are found at any step, not only where the step starts.
func TestLatentWeightsThatBecomeNaN(t *testing.T) {
	t.Parallel()
	for _, width := range []string{"1", "3"} {
		q, w, err := open(t, plugins.Values{bits: width}, 1, 3, 1, 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		w.Latent[2] = float32(math.NaN())
		if err := q.Quantize(t.Context(), quantizer.Draw{}); err == nil || !strings.Contains(err.Error(), "Wh[2]") {
			t.Errorf("%s bits: error %v, want one that names Wh[2]", width, err)
		}
	}
}

// The sums of a large matrix are the same for any number of goroutines.
func TestGradientsDoNotDependOnGoroutines(t *testing.T) {
	const rows, cols = 131, 259
	gradients := func(goroutines int) (float32, []float32) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(goroutines))
		latent := make([]float32, rows*cols)
		for i := range latent {
			latent[i] = float32(math.Sin(1.7 * float64(i)))
		}
		q, w, err := open(t, nil, rows, cols, latent...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range w.Grad {
			w.Grad[i] = float32(math.Cos(0.9 * float64(i)))
		}
		if err := q.Backward(t.Context(), quantizer.Backward{}); err != nil {
			t.Fatal(err)
		}
		return w.State["step"].Grad[0], w.Grad
	}
	want, wantAll := gradients(1)
	if got, all := gradients(4); got != want || !slices.Equal(all, wantAll) || want == 0 {
		t.Errorf("the gradient of the step is %v with four goroutines and %v with one", got, want)
	}
}

func TestOptionsAreBounded(t *testing.T) {
	t.Parallel()
	for _, options := range []plugins.Values{{bits: "0"}, {bits: "5"}, {span: "wide"}, {elementwise.Scale: "gate"}} {
		if _, err := New().Plan(t.Context(), options, nil); err == nil {
			t.Errorf("options %v: no error", options)
		}
	}
}
