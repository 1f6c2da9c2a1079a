package quantizers_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/binaryconnect"
	"bittern/quantizers/bwn"
	"bittern/quantizers/dorefa"
	"bittern/quantizers/ternaryconnect"
)

// Quantized weights computed by hand, of matrices of 2×3.
func TestByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting string
		latent  [6]float32
		want    [6]float32
	}{
		{"binaryconnect scale=one", [6]float32{-1, 2, 0, 0.25, -0.5, 0.5}, [6]float32{-1, 1, 1, 1, -1, 1}},
		// The mean size is 1, so the threshold is 0.7.
		{"ternaryconnect of Hou et al.", [6]float32{-0.5, 2, 0.75, -1.25, 0.65, -0.85}, [6]float32{0, 1, 1, -1, 0, -1}},
		// Means of the rows 2 and 0.5, of the matrix 1.25; 0 counts as positive.
		{"bwn", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{-2, 2, 2, 0.5, -0.5, 0.5}},
		{"bwn scale=matrix", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{-1.25, 1.25, 1.25, 1.25, -1.25, 1.25}},
		// The mean size is 1.25, the threshold 0.875; 1, 2, 3 and 1 lie beyond, of mean 1.75.
		{"twn", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{-1.75, 1.75, 1.75, 0, -1.75, 0}},
		// Thresholds of the rows are 1.4 and 0.35; beyond lie 2 and 3, and 1 and 0.5.
		{"twn scale=row", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{0, 2.5, 2.5, 0, -0.75, 0.75}},
		// γ = 1.25; what is above half of it becomes ±γ.
		{"absmean", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{-1.25, 1.25, 1.25, 0, -1.25, 0}},
		// The largest is 3, so 2 bits hold −4, −2, 0, 2 in steps of 2; 3/2 rounds to 2 and is
		// clipped to 1, the halves ±½ round to 0.
		{"fixed-point bits=2", [6]float32{-1, 2, 3, 0, -3, 1.25}, [6]float32{0, 2, 2, 0, -4, 2}},
		// The largest is 1 in size, so 12 bits have steps of 2⁻¹¹: 0.5 + 2⁻¹³ rounds to 0.5, and
		// 1 − 2⁻¹³ rounds to 1, which is clipped.
		{"fixed-point", [6]float32{-1, 1 - 0x1p-13, 0.5 + 0x1p-13, 0x1.8p-12, -0x1p-12, 0.25}, [6]float32{-1, 1 - 0x1p-11, 0.5, 0x1p-11, 0, 0.25}},
		{"dorefa bits=1", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{-1.25, 1.25, 1.25, 1.25, -1.25, 1.25}},
		// tanh(w)/M = −0.765, 0.969, 1, 0, −0.765 and 0.464 with M = 0.995; levels are −1, −⅓, ⅓
		// and 1, and 0 lies halfway: u = ½, 3·u = 1.5, which rounds to 2.
		{"dorefa", [6]float32{-1, 2, 3, 0, -1, 0.5}, [6]float32{-1, 1, 1, third, -1, third}},
		// tanh(w)/M = −0.63, 1, 0.34, −1, 0.05 and −0.3.
		{"dorefa scale=max", [6]float32{
			-float32(math.Atanh(0.19)), float32(math.Atanh(0.3)), float32(math.Atanh(0.102)),
			-float32(math.Atanh(0.3)), float32(math.Atanh(0.015)), -float32(math.Atanh(0.09)),
		}, [6]float32{-0.1, 0.3, 0.1, -0.3, 0.1, -0.1}},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			w := weight("w", 2, 3)
			copy(w.Latent, c.latent[:])
			quantize(t, opened(t, settings[c.setting], []quantizer.Weight{w}), quantizer.Draw{})
			for i, got := range w.Quantized {
				if math.Abs(float64(got-c.want[i])) > 2e-7 {
					t.Errorf("%v became %v, want %v", c.latent, w.Quantized, c.want)
					break
				}
			}
		})
	}
}

const third = 1. / 3

// The mean of many draws of a weight is the weight clipped to ±α, for both rules: within
// five standard deviations, which are at most α over the root of their number.
func TestDrawsHaveTheLatentWeightAsMean(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stochastic-binary", "stochastic-ternary", "binaryconnect sampling=stochastic", "ternaryconnect"} {
		const draws = 3000
		w := weight("w", 7, 9)
		q := opened(t, settings[name], []quantizer.Weight{w})
		sums, a := make([]float64, len(w.Latent)), alpha(7, 9)
		for step := range uint64(draws) {
			quantize(t, q, quantizer.Draw{Seed: 3, Step: step})
			for i, v := range w.Quantized {
				sums[i] += float64(v)
			}
		}
		for i, sum := range sums {
			want := max(-a, min(a, float64(w.Latent[i])))
			if got := sum / draws; math.Abs(got-want) > 5*a/math.Sqrt(draws) {
				t.Errorf("%s: draws of %v have the mean %v, want %v (α = %v)", name, w.Latent[i], got, want, a)
			}
		}
	}
}

func backward(t *testing.T, s setting, w quantizer.Weight) {
	t.Helper()
	q := opened(t, s, []quantizer.Weight{w})
	quantize(t, q, quantizer.Draw{})
	if err := q.Backward(context.Background(), quantizer.Backward{}); err != nil {
		t.Fatal(err)
	}
}

// By hand: rows of 3 with the scales 2 and 0.5, and a gradient of 6 throughout. Beyond a
// size of 1 only 6/3 is left.
func TestBackwardOfBWN(t *testing.T) {
	t.Parallel()
	for options, want := range map[string][6]float32{
		"scale=row":    {14, 2, 2, 5, 5, 5},
		"scale=matrix": {8.5, 1, 1, 8.5, 8.5, 8.5}, // 6·(1/6 + 1.25), 6/6
	} {
		w := weight("w", 2, 3)
		copy(w.Latent, []float32{-1, 2, 3, 0, -1, 0.5})
		for i := range w.Grad {
			w.Grad[i] = 6
		}
		backward(t, setting{make: bwn.New, options: plugins.Values{"scale": options[len("scale="):]}}, w)
		for i, got := range w.Grad {
			if math.Abs(float64(got-want[i])) > 1e-5 {
				t.Errorf("%s: the gradient became %v, want %v", options, w.Grad, want)
				break
			}
		}
	}
}

// The backward of dorefa is the gradient of Σ grad·f(w) with f the rule without its
// rounding, by central differences of the same in float64.
func TestBackwardOfDorefa(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dorefa", "dorefa bits=8", "dorefa scale=max"} {
		w := weight("w", 3, 301) // more than are treated at a time
		for i := range w.Latent {
			w.Latent[i] *= 8 // up to 0.8
		}
		w.Latent[500] = -1.2 // the largest
		grads := slices.Clone(w.Grad)
		largest := math.Tanh(1.2)
		cost := func(latent []float64) float64 {
			sum, m := 0.0, largest // a constant where the scale is M
			if name != "dorefa scale=max" {
				m = 0
				for _, v := range latent {
					m = max(m, math.Abs(math.Tanh(v)))
				}
			}
			for i, v := range latent {
				f := math.Tanh(v) / m
				if name == "dorefa scale=max" {
					f *= largest
				}
				sum += float64(grads[i]) * f
			}
			return sum
		}
		backward(t, settings[name], w)
		latent := make([]float64, len(w.Latent))
		for i, v := range w.Latent {
			latent[i] = float64(v)
		}
		for _, i := range []int{0, 1, 255, 256, 300, 301, 499, 500, 501, 902} {
			const h = 1e-5
			was := latent[i]
			latent[i] = was + h
			up := cost(latent)
			latent[i] = was - h
			down := cost(latent)
			latent[i] = was
			want := (up - down) / (2 * h)
			if got := float64(w.Grad[i]); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("%s: the gradient of latent weight %d (%v) is %v, want %v by differences", name, i, w.Latent[i], got, want)
			}
		}
	}
}

// A quantizer with a backward and an option that has none leaves the gradient alone.
func TestBackwardStraightThrough(t *testing.T) {
	t.Parallel()
	for _, s := range []setting{
		{make: bwn.New, options: plugins.Values{"gradient": "straight-through"}}, {make: dorefa.New, options: plugins.Values{"bits": "1"}},
		{make: binaryconnect.New}, {make: ternaryconnect.New},
	} {
		w := weight("w", 5, 7)
		backward(t, s, w)
		if want := weight("w", 5, 7).Grad; !slices.Equal(w.Grad, want) {
			t.Errorf("%v: the gradient became %v, want %v as before", s.options, w.Grad, want)
		}
	}
}

// Weights whose scale is at either end of what float32 has.
func TestFixedPointOfExtremes(t *testing.T) {
	t.Parallel()
	for _, bits := range []string{"2", "12", "16"} {
		for _, size := range []float32{math.SmallestNonzeroFloat32, 0x1p-126, 1e-30, 1e30, 0x1p127} {
			w := weight("w", 1, 2)
			w.Latent[0], w.Latent[1] = size, -size
			s := setting{make: settings["fixed-point"].make, options: plugins.Values{"bits": bits}}
			q := opened(t, s, []quantizer.Weight{w})
			quantize(t, q, quantizer.Draw{})
			for i, v := range w.Quantized {
				step := max(0x1p-126, float64(size)*math.Pow(2, map[string]float64{"2": 0, "12": -10, "16": -14}[bits]))
				if difference := math.Abs(float64(v) - float64(w.Latent[i])); !(difference <= step) {
					t.Errorf("%s bits: %v became %v, want it within %v", bits, w.Latent[i], v, step)
				}
			}
			if _, err := q.Freeze(context.Background(), quantizer.Draw{}); err != nil {
				t.Error(fmt.Errorf("%s bits, %v: %w", bits, size, err))
			}
		}
	}
}
