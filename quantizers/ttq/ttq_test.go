package ttq

import (
	"math"
	"slices"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// open hands a quantizer one matrix with these latent weights, and initialises it.
func open(t *testing.T, options plugins.Values, rows, cols int, latent ...float32) (quantizer.Quantizer, quantizer.Weight, error) {
	t.Helper()
	w := quantizer.Weight{
		Shape: quantizer.Shape{Name: "Wh", Rows: rows, Cols: cols}, Latent: latent,
		Quantized: make([]float32, len(latent)), Grad: make([]float32, len(latent)), State: map[string]quantizer.StateTensors{},
	}
	q := New()
	states, err := q.Plan(t.Context(), options, []quantizer.Shape{w.Shape})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if !slices.Equal(s.Shape, []int{1}) || !s.Trained || s.Weight != "Wh" {
			t.Errorf("state %+v, want one trained number of Wh", s)
		}
		w.State[s.Name] = quantizer.StateTensors{Value: make([]float32, 1), Grad: make([]float32, 1)}
	}
	if err := q.Open(t.Context(), options, []quantizer.Weight{w}); err != nil {
		t.Fatal(err)
	}
	return q, w, q.Initialise(t.Context())
}

func TestScalesStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		initial string
		want    float32
	}{
		{one, 1},
		{mean, 1.5}, // of 2, 1.75, 1.25 and 1, beyond the threshold 0.8
	} {
		_, w, err := open(t, plugins.Values{initial: c.initial, threshold: "0.4"}, 2, 3, -2, 1.75, -0.8, 0.5, 1.25, -1)
		if err != nil {
			t.Fatal(err)
		}
		for name, state := range w.State {
			if state.Value[0] != c.want {
				t.Errorf("initial: %s: %s starts at %v, want %v", c.initial, name, state.Value[0], c.want)
			}
		}
	}
}

// By hand: Δ = 0.4·2 = 0.8. The order of the scales in the codebook follows their values.
func TestOneStepByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		positive, negative float32
		quantized, latent  []float32
		levels             []float32
	}{
		{3, 5, []float32{-5, 3, 0, 0, 3, -5}, []float32{5, 6, 4, 8, 48, 160}, []float32{-5, 0, 3}},
		{-3, 5, []float32{-5, -3, 0, 0, -3, -5}, []float32{5, -6, 4, 8, -48, 160}, []float32{-5, -3, 0}},
	} {
		q, w, err := open(t, plugins.Values{threshold: "0.4"}, 2, 3, -2, 1.75, -0.8, 0.5, 1.25, -1)
		if err != nil {
			t.Fatal(err)
		}
		w.State["positive"].Value[0], w.State["negative"].Value[0] = c.positive, c.negative
		if err := q.Quantize(t.Context(), quantizer.Draw{}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.Quantized, c.quantized) {
			t.Errorf("Wp = %v, Wn = %v: %v became %v, want %v", c.positive, c.negative, w.Latent, w.Quantized, c.quantized)
		}
		copy(w.Grad, []float32{1, 2, 4, 8, 16, 32})
		if err := q.Backward(t.Context(), quantizer.Backward{}); err != nil {
			t.Fatal(err)
		}
		if p, n := w.State["positive"].Grad[0], w.State["negative"].Grad[0]; p != 18 || n != -33 {
			t.Errorf("gradients of the scales %v and %v, want 18 and −33", p, n)
		}
		if !slices.Equal(w.Grad, c.latent) {
			t.Errorf("Wp = %v, Wn = %v: gradients %v, want %v", c.positive, c.negative, w.Grad, c.latent)
		}
		frozen, err := q.Freeze(t.Context(), quantizer.Draw{})
		if err != nil {
			t.Fatal(err)
		}
		if p := frozen[0].Planes[0]; p.Bits != 2 || !slices.Equal(p.Levels, c.levels) || !slices.Equal(p.Scales, []float32{1}) {
			t.Errorf("frozen with %d bits, levels %v and scales %v, want 2, %v and 1", p.Bits, p.Levels, p.Scales, c.levels)
		}
	}
}

func TestWeightsWithoutAScaleAreErrors(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, c := range []struct {
		latent []float32
		scale  float32
		want   string
	}{
		{[]float32{0, 0}, 1, "latent weight Wh is all zero"},
		{[]float32{1, nan}, 1, "latent weight Wh[1]"},
		{[]float32{float32(math.Inf(-1)), 1}, 1, "latent weight Wh[0]"},
		{[]float32{1, 2}, nan, "the learned positive of Wh is NaN"},
	} {
		for _, start := range []string{one, mean} {
			q, w, err := open(t, plugins.Values{initial: start}, 1, 2, c.latent...)
			w.State["positive"].Value[0] = c.scale
			if err == nil {
				err = q.Quantize(t.Context(), quantizer.Draw{})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("initial: %s: error %v of the weights %v, want one with %q", start, err, c.latent, c.want)
			}
		}
	}
}

func TestOptionsAreBounded(t *testing.T) {
	t.Parallel()
	for _, options := range []plugins.Values{{threshold: "1"}, {threshold: "-0.1"}, {initial: "zero"}} {
		if _, err := New().Plan(t.Context(), options, nil); err == nil {
			t.Errorf("options %v: no error", options)
		}
	}
}
