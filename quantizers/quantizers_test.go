// Package quantizers_test holds what every quantizer of this folder promises.
package quantizers_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"bittern/plugins"
	"bittern/plugins/plugintest"
	"bittern/plugins/quantizer"
	"bittern/quantizers/absmean"
	"bittern/quantizers/alternating"
	"bittern/quantizers/binaryconnect"
	"bittern/quantizers/bwn"
	"bittern/quantizers/dorefa"
	"bittern/quantizers/fixedpoint"
	"bittern/quantizers/lab"
	"bittern/quantizers/laq"
	"bittern/quantizers/lat"
	"bittern/quantizers/lsq"
	"bittern/quantizers/none"
	"bittern/quantizers/stochasticbinary"
	"bittern/quantizers/stochasticternary"
	"bittern/quantizers/ternaryconnect"
	"bittern/quantizers/ttq"
	"bittern/quantizers/twn"
)

// setting is a quantizer with options, and what is expected of it.
type setting struct {
	make    func() quantizer.Quantizer
	options plugins.Values
	bits    int
	levels  int
	random  bool
	clipped scale // what latent weights are clipped to; nil for nothing
	derived bool  // Quantize derives a scale or threshold from the latent weights
	perRow  bool
	planes  int  // 1 where it is 0
	moments bool // needs Adam's second moments
}

// scale is that of a matrix.
type scale func(rows, cols int) float64

func alpha(rows, cols int) float64 { return 0.5 * math.Sqrt(6/float64(rows+cols)) }
func one(int, int) float64         { return 1 }

var settings = map[string]setting{
	"none":              {make: none.New, bits: 32},
	"stochastic-binary": {make: stochasticbinary.New, bits: 1, levels: 2, random: true},
	"stochastic-binary sampling=deterministic":  {make: stochasticbinary.New, options: plugins.Values{"sampling": "deterministic"}, bits: 1, levels: 2},
	"stochastic-ternary":                        {make: stochasticternary.New, bits: 2, levels: 3, random: true},
	"stochastic-ternary sampling=deterministic": {make: stochasticternary.New, options: plugins.Values{"sampling": "deterministic"}, bits: 2, levels: 3},
	"binaryconnect":                             {make: binaryconnect.New, bits: 1, levels: 2, clipped: alpha},
	"binaryconnect sampling=stochastic":         {make: binaryconnect.New, options: plugins.Values{"sampling": "stochastic"}, bits: 1, levels: 2, random: true, clipped: alpha},
	"binaryconnect scale=one":                   {make: binaryconnect.New, options: plugins.Values{"scale": "one"}, bits: 1, levels: 2, clipped: one},
	"binaryconnect clip=false":                  {make: binaryconnect.New, options: plugins.Values{"clip": "false"}, bits: 1, levels: 2},
	"ternaryconnect":                            {make: ternaryconnect.New, bits: 2, levels: 3, random: true, clipped: alpha},
	"ternaryconnect sampling=deterministic":     {make: ternaryconnect.New, options: plugins.Values{"sampling": "deterministic"}, bits: 2, levels: 3, clipped: alpha},
	"ternaryconnect of Hou et al.": {
		make: ternaryconnect.New, options: plugins.Values{"sampling": "deterministic", "scale": "one", "clip": "false"}, bits: 2, levels: 3,
	},
	"fixed-point":                   {make: fixedpoint.New, bits: 12, levels: 1 << 12, derived: true},
	"fixed-point bits=2":            {make: fixedpoint.New, options: plugins.Values{"bits": "2"}, bits: 2, levels: 4, derived: true},
	"fixed-point bits=16":           {make: fixedpoint.New, options: plugins.Values{"bits": "16"}, bits: 16, levels: 1 << 16, derived: true},
	"bwn":                           {make: bwn.New, bits: 1, levels: 2, derived: true, perRow: true},
	"bwn scale=matrix":              {make: bwn.New, options: plugins.Values{"scale": "matrix"}, bits: 1, levels: 2, derived: true},
	"bwn gradient=straight-through": {make: bwn.New, options: plugins.Values{"gradient": "straight-through"}, bits: 1, levels: 2, derived: true, perRow: true},
	"twn":                           {make: twn.New, bits: 2, levels: 3, derived: true},
	"twn scale=row":                 {make: twn.New, options: plugins.Values{"scale": "row"}, bits: 2, levels: 3, derived: true, perRow: true},
	"absmean":                       {make: absmean.New, bits: 2, levels: 3, derived: true},
	"dorefa":                        {make: dorefa.New, bits: 2, levels: 4, derived: true},
	"dorefa bits=1":                 {make: dorefa.New, options: plugins.Values{"bits": "1"}, bits: 1, levels: 2, derived: true},
	"dorefa bits=8":                 {make: dorefa.New, options: plugins.Values{"bits": "8"}, bits: 8, levels: 256, derived: true},
	"alternating":                   {make: alternating.New, bits: 2, levels: 4, planes: 2, derived: true, perRow: true, clipped: one},
	"alternating bits=3":            {make: alternating.New, options: plugins.Values{"bits": "3", "cycles": "5"}, bits: 3, levels: 6, planes: 3, derived: true, perRow: true, clipped: one},
	"alternating bits=4":            {make: alternating.New, options: plugins.Values{"bits": "4"}, bits: 4, levels: 8, planes: 4, derived: true, perRow: true, clipped: one},
	"alternating solver=greedy":     {make: alternating.New, options: plugins.Values{"bits": "3", "solver": "greedy"}, bits: 3, levels: 6, planes: 3, derived: true, perRow: true, clipped: one},
	"alternating solver=refined":    {make: alternating.New, options: plugins.Values{"bits": "4", "solver": "refined"}, bits: 4, levels: 8, planes: 4, derived: true, perRow: true, clipped: one},
	"lab":                           {make: lab.New, bits: 1, levels: 2, derived: true, moments: true, clipped: one},
	"lat":                           {make: lat.New, bits: 2, levels: 3, derived: true, moments: true, clipped: one},
	"lat solver=exact":              {make: lat.New, options: plugins.Values{"solver": "exact"}, bits: 2, levels: 3, derived: true, moments: true, clipped: one},
	"laq":                           {make: laq.New, bits: 3, levels: 7, derived: true, moments: true, clipped: one},
	"laq bits=2":                    {make: laq.New, options: plugins.Values{"bits": "2"}, bits: 2, levels: 3, derived: true, moments: true, clipped: one},
	"laq bits=2 logarithmic":        {make: laq.New, options: plugins.Values{"bits": "2", "levels": "logarithmic"}, bits: 2, levels: 3, derived: true, moments: true, clipped: one},
	"laq bits=2 published code":     {make: laq.New, options: plugins.Values{"bits": "2", "scale": "published-code"}, bits: 2, levels: 3, derived: true, moments: true, clipped: one},
	"laq bits=8 logarithmic":        {make: laq.New, options: plugins.Values{"bits": "8", "levels": "logarithmic"}, bits: 8, levels: 255, derived: true, moments: true, clipped: one},
	"laq bits=8":                    {make: laq.New, options: plugins.Values{"bits": "8"}, bits: 8, levels: 255, derived: true, moments: true, clipped: one},
	"laq levels=logarithmic":        {make: laq.New, options: plugins.Values{"levels": "logarithmic"}, bits: 3, levels: 7, derived: true, moments: true, clipped: one},
	"laq scale=published-code":      {make: laq.New, options: plugins.Values{"scale": "published-code"}, bits: 3, levels: 7, derived: true, moments: true, clipped: one},
	"ttq":                           {make: ttq.New, bits: 2, levels: 3, derived: true},
	"ttq initial=mean":              {make: ttq.New, options: plugins.Values{"initial": "mean", "threshold": "0.4"}, bits: 2, levels: 3, derived: true},
	"lsq":                           {make: lsq.New, bits: 2, levels: 4},
	"lsq bits=1":                    {make: lsq.New, options: plugins.Values{"bits": "1"}, bits: 1, levels: 2},
	"lsq bits=4":                    {make: lsq.New, options: plugins.Values{"bits": "4"}, bits: 4, levels: 16},
	"lsq range=symmetric":           {make: lsq.New, options: plugins.Values{"range": "symmetric"}, bits: 2, levels: 3},
	"lsq bits=3 scale=row":          {make: lsq.New, options: plugins.Values{"bits": "3", "range": "symmetric", "scale": "row"}, bits: 3, levels: 7, perRow: true},
	"lsq bits=1 scale=row":          {make: lsq.New, options: plugins.Values{"bits": "1", "scale": "row"}, bits: 1, levels: 2, perRow: true},
	"dorefa scale=max":              {make: dorefa.New, options: plugins.Values{"scale": "max"}, bits: 2, levels: 4, derived: true},
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

// weight makes a matrix whose latent weights run evenly from −1.5α to 1.5α, and whose
// gradient is that of a wave.
func weight(name string, rows, cols int) quantizer.Weight {
	n := rows * cols
	w := quantizer.Weight{
		Shape:  quantizer.Shape{Name: name, Rows: rows, Cols: cols},
		Latent: make([]float32, n), Quantized: make([]float32, n), Grad: make([]float32, n), Moment2: make([]float32, n),
	}
	for i := range w.Latent {
		place := (float64(i) + 0.4) / float64(n) * 3
		w.Latent[i] = float32((place - 1.5) * alpha(rows, cols))
		w.Grad[i] = float32(math.Sin(float64(i)))
		w.Moment2[i] = w.Grad[i] * w.Grad[i]
	}
	return w
}

// weights are of odd sizes, one longer than what a goroutine treats at a time.
func weights() []quantizer.Weight {
	return []quantizer.Weight{
		weight("layer0.Wx", 1, 1), weight("layer0.Wh", 3, 5), weight("layer1.Wx", 17, 33), weight("layer1.Wh", 131, 259),
	}
}

// opened hands over weights with states as training may have left them: learned numbers
// are α.
func opened(t testing.TB, s setting, weights []quantizer.Weight) quantizer.Quantizer {
	t.Helper()
	q := s.make()
	for i, w := range weights {
		states, err := q.Plan(context.Background(), s.options, []quantizer.Shape{w.Shape})
		if err != nil {
			t.Fatalf("Plan: %v", err)
		}
		weights[i].State = make(map[string]quantizer.StateTensors)
		for _, state := range states {
			learned := slices.Repeat([]float32{float32(alpha(w.Rows, w.Cols))}, state.Shape[0])
			weights[i].State[state.Name] = quantizer.StateTensors{Value: learned, Grad: make([]float32, len(learned))}
		}
	}
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

// A call that a quantizer asks for costs time at every step, so it asks for those alone
// that do something with some options.
func TestTraits(t *testing.T) {
	t.Parallel()
	backward, project := map[string]bool{"bwn": true, "dorefa": true, "ttq": true, "lsq": true}, map[string]bool{
		"binaryconnect": true, "ternaryconnect": true, "alternating": true, "lab": true, "lat": true, "laq": true,
	}
	for _, s := range settings {
		d, err := s.make().Describe(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(d.Traits, quantizer.TraitBackward); got != backward[d.Name] {
			t.Errorf("%s: a backward is claimed: %v, want %v", d.Name, got, !got)
		}
		if got := slices.Contains(d.Traits, quantizer.TraitProject); got != project[d.Name] {
			t.Errorf("%s: a projection is claimed: %v, want %v", d.Name, got, !got)
		}
		if got := slices.Contains(d.Traits, quantizer.TraitSecondMoments); got != s.moments {
			t.Errorf("%s: second moments are claimed: %v, want %v", d.Name, got, !got)
		}
	}
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
			levels, scales, wantScales := 0, 0, len(m.Planes)
			if s.perRow {
				wantScales *= w[i].Rows
			}
			for _, p := range m.Planes {
				levels, scales = levels+len(p.Levels), scales+len(p.Scales)
				if !slices.IsSorted(p.Levels) {
					t.Errorf("%s: levels %v do not ascend", f.Name, p.Levels)
				}
			}
			if f.Name != w[i].Name || m.Bits() != s.bits || levels != s.levels || scales != wantScales || len(m.Planes) > max(1, s.planes) {
				t.Errorf("%s: frozen as %q with %d bits, %d levels, %d scales, %d planes; want %d bits, %d levels, %d scales",
					w[i].Name, f.Name, m.Bits(), levels, scales, len(m.Planes), s.bits, s.levels, wantScales)
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
			bound := float32(math.Inf(1))
			if s.clipped != nil {
				bound = float32(s.clipped(m.Rows, m.Cols))
			}
			for i, was := range weight(m.Name, m.Rows, m.Cols).Latent {
				want := max(-bound, min(bound, was))
				if m.Latent[i] != want {
					t.Fatalf("%s[%d] = %v became %v, want %v (clipped to %v)", m.Name, i, was, m.Latent[i], want, bound)
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

// Where the scale is derived from the latent weights, zeros have none.
func TestLatentWeightsThatAreAllZero(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		refused := func(w []quantizer.Weight, want string) {
			t.Helper()
			q := opened(t, s, w)
			err := q.Quantize(context.Background(), quantizer.Draw{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Quantize: error %v, want one with %q", err, want)
			}
			if _, err := q.Freeze(context.Background(), quantizer.Draw{}); err == nil {
				t.Error("Freeze: no error")
			}
			if err := q.Backward(context.Background(), quantizer.Backward{}); err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("Backward: error %v, want none or one with %q", err, want)
			}
		}
		w := weights()
		clear(w[2].Latent)
		switch {
		case s.derived && s.perRow:
			refused(w, "latent weight layer1.Wx is all zero in row 0")
			w = weights()
			clear(w[3].Latent[130*259 : 131*259])
			refused(w, "latent weight layer1.Wh is all zero in row 130")
		case s.derived:
			refused(w, "latent weight layer1.Wx is all zero")
		default:
			quantize(t, opened(t, s, w), quantizer.Draw{})
		}
	})
}

// A quantizer that needs second moments says where they are missing or not finite; to any
// other they are nothing.
func TestSecondMoments(t *testing.T) {
	each(t, func(t *testing.T, s setting) {
		without := weights()
		for i := range without {
			without[i].Moment2 = nil
		}
		if !s.moments {
			opened(t, s, without)
			return
		}
		err := s.make().Open(context.Background(), s.options, without)
		if err == nil || !strings.Contains(err.Error(), "layer0.Wx is 1×1 and has 0 second moments of Adam") {
			t.Errorf("Open without second moments: error %v, want one that names them", err)
		}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			w := weights()
			w[3].Moment2[20001] = bad
			err := opened(t, s, w).Quantize(context.Background(), quantizer.Draw{})
			if err == nil || !strings.Contains(err.Error(), "the second moment of layer1.Wh[20001]") {
				t.Errorf("Quantize with a second moment of %v: error %v, want one that names it", bad, err)
			}
		}
		// They count: other moments give other weights.
		w := weights()
		q := opened(t, s, w)
		quantize(t, q, quantizer.Draw{})
		was := slices.Clone(w[3].Quantized)
		for i := range w[3].Moment2 {
			w[3].Moment2[i] = float32(i)
		}
		quantize(t, q, quantizer.Draw{})
		if slices.Equal(was, w[3].Quantized) {
			t.Error("other second moments give the same quantized weights")
		}
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
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		b.Run(name, func(b *testing.B) {
			w := []quantizer.Weight{weight("layer0.Wx", 2048, 87), weight("layer0.Wh", 2048, 512)}
			q := opened(b, settings[name], w)
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
