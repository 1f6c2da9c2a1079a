// Package quantizers_test holds what every quantizer of this folder promises.
package quantizers_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
	"bittern/quantizers/binaryconnect"
	"bittern/quantizers/none"
	"bittern/quantizers/stochasticbinary"
	"bittern/quantizers/stochasticternary"
)

// setting is a quantizer with options, and what is expected of it.
type setting struct {
	make    func() quantizer.Quantizer
	options plugins.Values
	bits    int
	levels  int
	random  bool
	clips   bool
}

var settings = map[string]setting{
	"none":              {none.New, nil, 32, 0, false, false},
	"stochastic-binary": {stochasticbinary.New, nil, 1, 2, true, false},
	"stochastic-binary sampling=deterministic":  {stochasticbinary.New, plugins.Values{"sampling": "deterministic"}, 1, 2, false, false},
	"stochastic-ternary":                        {stochasticternary.New, nil, 2, 3, true, false},
	"stochastic-ternary sampling=deterministic": {stochasticternary.New, plugins.Values{"sampling": "deterministic"}, 2, 3, false, false},
	"binaryconnect":                             {binaryconnect.New, nil, 1, 2, false, true},
	"binaryconnect sampling=stochastic":         {binaryconnect.New, plugins.Values{"sampling": "stochastic"}, 1, 2, true, true},
}

// each runs check for every setting.
func each(t *testing.T, check func(t *testing.T, s setting)) {
	t.Parallel()
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, s)
		})
	}
}

// weight makes a matrix whose latent weights run evenly from −1.5α to 1.5α.
func weight(name string, rows, cols int) quantizer.Weight {
	n := rows * cols
	w := quantizer.Weight{
		Shape:  quantizer.Shape{Name: name, Rows: rows, Cols: cols},
		Latent: make([]float32, n), Quantized: make([]float32, n), Grad: make([]float32, n),
	}
	for i := range w.Latent {
		place := (float64(i) + 0.5) / float64(n) * 3
		w.Latent[i] = float32((place - 1.5) * alpha(rows, cols))
	}
	return w
}

func alpha(rows, cols int) float64 { return 0.5 * math.Sqrt(6/float64(rows+cols)) }

// weights are of odd sizes, one longer than what a goroutine treats at a time.
func weights() []quantizer.Weight {
	return []quantizer.Weight{
		weight("layer0.Wx", 1, 1), weight("layer0.Wh", 3, 5), weight("layer1.Wx", 17, 33), weight("layer1.Wh", 131, 259),
	}
}

func opened(t *testing.T, s setting, weights []quantizer.Weight) quantizer.Quantizer {
	t.Helper()
	q := s.make()
	if err := q.Open(context.Background(), s.options, weights); err != nil {
		t.Fatalf("Open: %v", err)
	}
	return q
}

func quantize(t *testing.T, q quantizer.Quantizer, draw quantizer.Draw) {
	t.Helper()
	if err := q.Quantize(context.Background(), draw); err != nil {
		t.Fatalf("Quantize(%+v): %v", draw, err)
	}
}

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, s setting) { plugintest.Quantizer(t, s.make, s.options) })
}

func TestTraits(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		d, err := s.make().Describe(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(d.Traits, quantizer.TraitBackward) {
			t.Errorf("traits %v claim a backward, the gradient passes straight through", d.Traits)
		}
		if slices.Contains(d.Traits, quantizer.TraitProject) != s.clips {
			t.Errorf("traits %v: a quantizer asks for Project where it clips, and only there: it is a call at every step", d.Traits)
		}
	})
}

func TestEqualDrawsGiveEqualBytes(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		first, second := weights(), weights()
		a, b := opened(t, s, first), opened(t, s, second)
		draw := quantizer.Draw{Seed: 7, Step: 41}
		quantize(t, a, draw)
		for step := range uint64(3) { // whatever was called before
			quantize(t, b, quantizer.Draw{Seed: 1, Step: step})
		}
		quantize(t, b, draw)
		for i := range first {
			if !slices.Equal(first[i].Quantized, second[i].Quantized) {
				t.Errorf("%s: replaying draw %+v gave other weights", first[i].Name, draw)
			}
			if !slices.Equal(first[i].Latent, weights()[i].Latent) {
				t.Errorf("%s: Quantize changed the latent weights", first[i].Name)
			}
		}
	})
}

func TestDrawsOfOtherSeedsAndStepsDifferWhereSampled(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		w := weights()
		q := opened(t, s, w)
		quantize(t, q, quantizer.Draw{Seed: 7, Step: 41})
		was := slices.Clone(w[3].Quantized)
		for _, draw := range []quantizer.Draw{{Seed: 7, Step: 42}, {Seed: 8, Step: 41}, {Seed: 41, Step: 7}} {
			quantize(t, q, draw)
			if same := slices.Equal(was, w[3].Quantized); same == s.random {
				t.Errorf("draw %+v: equal to another draw is %v, want %v", draw, same, !s.random)
			}
		}
	})
}

func TestFreezeIsWhatQuantizeDraws(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		w := weights()
		q := opened(t, s, w)
		draw := quantizer.Draw{Seed: 3, Step: 99}
		quantize(t, q, quantizer.Draw{Seed: 3, Step: 98})
		before := slices.Clone(w[3].Quantized)
		frozen, err := q.Freeze(context.Background(), draw)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, w[3].Quantized) {
			t.Error("Freeze changed the quantized weights")
		}
		quantize(t, q, draw)
		if len(frozen) != len(w) {
			t.Fatalf("Freeze gave %d weights, want %d", len(frozen), len(w))
		}
		for i, f := range frozen {
			m, err := f.Pack(w[i].Rows, w[i].Cols)
			if err != nil {
				t.Fatal(err)
			}
			levels := 0
			for _, p := range m.Planes {
				levels += len(p.Levels)
				if !slices.IsSorted(p.Levels) {
					t.Errorf("%s: levels %v do not ascend", f.Name, p.Levels)
				}
			}
			if f.Name != w[i].Name || m.Bits() != s.bits || levels != s.levels || len(m.Planes) > 1 {
				t.Errorf("%s: frozen as %q with %d bits, %d levels, %d planes; want %d bits, %d levels of at most one",
					w[i].Name, f.Name, m.Bits(), levels, len(m.Planes), s.bits, s.levels)
				continue
			}
			if !slices.Equal(m.Decode(), w[i].Quantized) {
				t.Errorf("%s: the frozen weights are not those Quantize draws", f.Name)
			}
		}
	})
}

func TestLevelsAreMultiplesOfAlpha(t *testing.T) {
	// Hand-computed: War & Peace with 512 units and 87 symbols, and one cell of
	// 100 units on pixels; ½·sqrt(6/(512+2048)) and so on.
	for _, c := range []struct {
		rows, cols int
		want       float64
	}{
		{4 * 512, 512, 0.024206145913796356},
		{4 * 512, 87, 0.026506152350203113},
		{4 * 100, 1, 0.061160840241549732},
	} {
		t.Run(fmt.Sprintf("%d×%d", c.rows, c.cols), func(t *testing.T) {
			t.Parallel()
			w := []quantizer.Weight{weight("w", c.rows, c.cols)}
			q := opened(t, settings["stochastic-ternary"], w)
			frozen, err := q.Freeze(context.Background(), quantizer.Draw{})
			if err != nil {
				t.Fatal(err)
			}
			plane := frozen[0].Planes[0]
			levels := plane.Levels
			if got := float64(plane.Scales[0]); math.Abs(got/c.want-1) > 1e-6 {
				t.Errorf("α = %v, want %v", got, c.want)
			}
			if !slices.Equal(levels, []float32{-1, 0, 1}) {
				t.Errorf("levels are %v, want −1, 0, 1", levels)
			}
		})
	}
}

func TestProjectClipsLatentWeights(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		w := weights()
		q := opened(t, s, w)
		if err := q.Project(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, m := range w {
			bound := float32(alpha(m.Rows, m.Cols))
			for i, was := range weight(m.Name, m.Rows, m.Cols).Latent {
				want := was
				if s.clips {
					want = max(-bound, min(bound, was))
				}
				if m.Latent[i] != want {
					t.Fatalf("%s[%d] = %v became %v, want %v (α = %v)", m.Name, i, was, m.Latent[i], want, bound)
				}
			}
		}
	})
}

func TestLatentWeightsThatAreNotFiniteAreErrors(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			for _, index := range []int{0, 131*259 - 1, 20001} {
				w := weights()
				w[3].Latent[index] = bad
				q := opened(t, s, w)
				err := q.Quantize(context.Background(), quantizer.Draw{})
				want := fmt.Sprintf("layer1.Wh[%d]", index)
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Quantize with %v at %d: error %v, want one that names %s", bad, index, err, want)
				}
				if _, err := q.Freeze(context.Background(), quantizer.Draw{}); err == nil {
					t.Errorf("Freeze with %v at %d: no error", bad, index)
				}
			}
		}
		w := []quantizer.Weight{weight("w", 2, 3)}
		w[0].Latent[3] = math.MaxFloat32
		quantize(t, opened(t, s, w), quantizer.Draw{})
	})
}

func TestOpenRefuses(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		short := weight("w", 4, 4)
		short.Quantized = short.Quantized[:15]
		for want, c := range map[string]struct {
			options plugins.Values
			weights []quantizer.Weight
		}{
			"4×4":          {s.options, []quantizer.Weight{short}},
			"twice":        {s.options, []quantizer.Weight{weight("w", 1, 2), weight("w", 2, 1)}},
			"at least one": {s.options, []quantizer.Weight{weight("w", 0, 2)}},
			"no option":    {plugins.Values{"bogus": "1"}, nil},
		} {
			err := s.make().Open(context.Background(), c.options, c.weights)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Open: error %v, want one with %q", err, want)
			}
		}
		if err := s.make().Quantize(context.Background(), quantizer.Draw{}); err == nil {
			t.Error("Quantize before Open: no error")
		}
		cancelled, cancel := context.WithCancel(context.Background())
		cancel()
		if err := opened(t, s, weights()).Quantize(cancelled, quantizer.Draw{}); err == nil {
			t.Error("Quantize with a cancelled context: no error")
		}
	})
}

// BenchmarkQuantize treats the weights of the War & Peace model, 1.2 million.
func BenchmarkQuantize(b *testing.B) {
	for _, name := range []string{"none", "stochastic-binary", "stochastic-ternary", "binaryconnect"} {
		b.Run(name, func(b *testing.B) {
			w := []quantizer.Weight{weight("layer0.Wx", 2048, 87), weight("layer0.Wh", 2048, 512)}
			q := settings[name].make()
			if err := q.Open(context.Background(), nil, w); err != nil {
				b.Fatal(err)
			}
			step := uint64(0)
			for b.Loop() {
				if err := q.Quantize(context.Background(), quantizer.Draw{Step: step}); err != nil {
					b.Fatal(err)
				}
				step++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(2048*(87+512)), "ns/weight")
		})
	}
}
