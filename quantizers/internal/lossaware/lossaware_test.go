package lossaware

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// error2 is the error Σ d(αb − w)² with b as the levels nearest to w/α.
func error2(f *Fit, levels Levels, alpha float64) float64 {
	latent := make([]float32, len(f.elements))
	for i, e := range f.elements {
		latent[i] = math.Float32frombits(e.size)
	}
	codes := make([]uint16, len(latent))
	levels.Code(codes, latent, levels.Unit(alpha))
	multiples, total := levels.Multiples(), 0.0
	unit := alpha
	if !levels.Logarithmic {
		unit /= float64(levels.Steps)
	}
	for i, w := range latent {
		off := unit*float64(multiples[codes[i]]) - float64(w)
		total += float64(f.elements[i].cost) * off * off
	}
	return total
}

// random makes n weights, some of them equal and some zero, and their second moments.
func random(n int, seed uint64) (latent, moments []float32) {
	r := rand.New(rand.NewPCG(seed, 1))
	latent, moments = make([]float32, n), make([]float32, n)
	for i := range latent {
		latent[i] = float32(0.1 * r.NormFloat64())
		switch r.IntN(8) {
		case 0:
			latent[i] = latent[r.IntN(i+1)]
		case 1:
			latent[i] = -latent[r.IntN(i+1)]
		case 2:
			latent[i] = 0
		}
		moments[i] = float32(math.Pow(10, -2-4*r.Float64()))
	}
	latent[n-1] = 0.05
	return latent, moments
}

func loaded(t testing.TB, latent, moments []float32) *Fit {
	t.Helper()
	f := new(Fit)
	if alpha := f.Alpha(latent, moments, func(*Fit) float64 { return 1 }); alpha != 1 {
		t.Fatalf("α = %v before any is looked for", alpha)
	}
	return f
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Max(math.Abs(a), math.Abs(b)) }

// By hand: d is 3, 1, 2 and 1; ‖d∘w‖₁ = 3·1 + 1·3 + 2·0.5 + 1·2 = 9 and ‖d‖₁ = 7.
// Without moments every error costs the same: α is the mean of |w|, 6.5/4.
func TestBinaryByHand(t *testing.T) {
	t.Parallel()
	latent := []float32{1, -3, 0.5, -2}
	if got := binary(latent, []float32{9, 1, 4, 1}); !near(got, 9./7) {
		t.Errorf("α = %v, want 9/7", got)
	}
	if got := binary(latent, make([]float32, 4)); !near(got, 6.5/4) {
		t.Errorf("α without moments = %v, want 6.5/4", got)
	}
}

// binary is α of the levels ±1.
func binary(latent, moments []float32) float64 {
	weight, product := Weigh(latent, moments)
	return product / weight
}

// By hand, with d = 1: of the sizes 10, 4, 3 and 1 the first alone gives 10²/1 = 100, two
// 14²/2 = 98, three 17²/3 = 96.3, four 18²/4 = 81: exactly, α = 10. By turns, weights
// above 0.7·4.5 = 3.15 give α = 7; above 3.5 again 10 and 4; it stays there.
// With d = 1, 9, 1, 1 two give (10+36)²/10 = 211.6, three 49²/11 = 218.3, four 50²/12 =
// 208.3: exactly, α = 49/11. By turns 4.6 (10 and 4), then 3 > 2.3 counts: 49/11.
func TestTernaryByHand(t *testing.T) {
	t.Parallel()
	latent := []float32{4, -10, 1, -3}
	for _, c := range []struct {
		moments      []float32
		exact, turns float64
	}{
		{[]float32{1, 1, 1, 1}, 10, 7},
		{[]float32{81, 1, 1, 1}, 49. / 11, 49. / 11},
	} {
		f := loaded(t, latent, c.moments)
		if got := f.Exact(); !near(got, c.exact) {
			t.Errorf("moments %v: exactly, α = %v, want %v", c.moments, got, c.exact)
		}
		if got := f.Alternate(Ternary, LeastSquares); !near(got, c.turns) {
			t.Errorf("moments %v: by turns, α = %v, want %v", c.moments, got, c.turns)
		}
	}
}

// TestExactIsTheBestOfAllSupports tries every choice of the weights that are not 0, and on
// larger matrices every threshold.
func TestExactIsTheBestOfAllSupports(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		latent, moments := random(1+int(seed%10), seed)
		f := loaded(t, latent, moments)
		got, best := error2(f, Ternary, f.Exact()), math.Inf(1)
		for support := 1; support < 1<<len(latent); support++ {
			var weight, product, rest float64
			for i, w := range latent {
				if d, size := float64(cost(moments[i])), math.Abs(float64(w)); support>>i&1 != 0 {
					weight, product = weight+d, product+d*size
				}
				rest += float64(cost(moments[i])) * float64(w) * float64(w)
			}
			best = min(best, rest-product*product/weight)
		}
		if got > best+1e-6*f.total.product {
			t.Errorf("seed %d: error %v, the best of all supports has %v", seed, got, best)
		}
	}
	for seed := range uint64(20) {
		latent, moments := random(2000+int(seed)*997, seed)
		f := loaded(t, latent, moments)
		alpha := f.Exact()
		order := make([]int, len(latent))
		for i := range order {
			order[i] = i
		}
		size := func(i int) float64 { return math.Abs(float64(latent[i])) }
		slices.SortFunc(order, func(a, b int) int {
			switch {
			case size(a) > size(b):
				return -1
			case size(a) < size(b):
				return 1
			}
			return 0
		})
		var weight, product, best, want float64
		for _, i := range order {
			weight += float64(cost(moments[i]))
			product += float64(cost(moments[i])) * size(i)
			if gain := product * product / weight; gain > best {
				best, want = gain, product/weight
			}
		}
		if math.Abs(alpha-want) > 1e-9*want {
			t.Errorf("seed %d: α = %v, by sorting %v", seed, alpha, want)
		}
		if exact, other := error2(f, Ternary, alpha), error2(f, Ternary, f.Alternate(Ternary, LeastSquares)); exact > other*(1+1e-9) {
			t.Errorf("seed %d: the exact error %v is larger than %v by turns", seed, exact, other)
		}
	}
}

// Equal weights are in one bucket to the last bit; very different ones are in buckets of
// their own.
func TestExactOfUnusualWeights(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		latent []float32
		want   float64
	}{
		"one":       {[]float32{-0.25}, 0.25},
		"equal":     {slices.Repeat([]float32{0.3, -0.3}, 5000), float64(float32(0.3))},
		"neighbour": {[]float32{1, math.Nextafter32(1, 2), 0}, (1 + float64(math.Nextafter32(1, 2))) / 2},
		"huge":      {[]float32{math.MaxFloat32, 1}, math.MaxFloat32},
		"tiny":      {[]float32{math.SmallestNonzeroFloat32, 0, 0}, math.SmallestNonzeroFloat32},
	} {
		if got := loaded(t, c.latent, make([]float32, len(c.latent))).Exact(); !near(got, c.want) {
			t.Errorf("%s: α = %v, want %v", name, got, c.want)
		}
	}
}

// allLevels are sets of levels of up to 8 bits.
func allLevels() (all []Levels) {
	for bits := 2; bits <= 8; bits++ {
		all = append(all, Levels{Steps: 1<<(bits-1) - 1}, Levels{Steps: 1<<(bits-1) - 1, Logarithmic: true})
	}
	return all
}

// TestRoundsNeverAddError: with least squares each half of a round minimises the error.
func TestRoundsNeverAddError(t *testing.T) {
	t.Parallel()
	for _, levels := range allLevels() {
		latent, moments := random(20011, uint64(levels.Steps))
		f := loaded(t, latent, moments)
		alpha := f.first()
		was := error2(f, levels, alpha)
		start := was
		for round := range 20 {
			alpha = f.round(levels, LeastSquares, alpha)
			now := error2(f, levels, alpha)
			if now > was*(1+1e-9) {
				t.Errorf("%+v, round %d: the error rises from %v to %v", levels, round, was, now)
			}
			was = now
		}
		if levels.Steps > 1 && was >= start {
			t.Errorf("%+v: 20 rounds leave the error at %v", levels, was)
		}
	}
}

// TestPublishedCode holds α against the formula for one round, by hand: sizes 1, 0.5 and
// 0.3 with d = 1 and three linear levels at α = 1 are b = 1, 2/3 (0.5·3 is halfway) and
// 1/3: Σbw = 1 + 1/3 + 0.1 and Σb = 2, Σb² = 1 + 4/9 + 1/9.
func TestScalesByHand(t *testing.T) {
	t.Parallel()
	f := loaded(t, []float32{-1, 0.5, 0.3}, []float32{1, 1, 1})
	levels := Levels{Steps: 3}
	if got, want := f.round(levels, PublishedCode, 1), (1+1./3+0.1)/2; !near(got, want) {
		t.Errorf("published code: α = %v, want %v", got, want)
	}
	if got, want := f.round(levels, LeastSquares, 1), (1+1./3+0.1)/(1+5./9); !near(got, want) {
		t.Errorf("least squares: α = %v, want %v", got, want)
	}
	// Three logarithmic levels: b = 1, ½ and ¼ (0.3 is nearer to 0.25 than to 0.5).
	levels.Logarithmic = true
	if got, want := f.round(levels, PublishedCode, 1), (1+0.25+0.075)/1.75; !near(got, want) {
		t.Errorf("published code, logarithmic: α = %v, want %v", got, want)
	}
	if got, want := f.round(levels, LeastSquares, 1), (1+0.25+0.075)/(1+0.25+0.0625); !near(got, want) {
		t.Errorf("least squares, logarithmic: α = %v, want %v", got, want)
	}
}

func TestTwoBitsAreTernary(t *testing.T) {
	t.Parallel()
	latent, moments := random(30011, 5)
	f := loaded(t, latent, moments)
	want := f.Alternate(Ternary, LeastSquares)
	for _, levels := range []Levels{{Steps: 1}, {Steps: 1, Logarithmic: true}} {
		for _, scale := range []Scale{LeastSquares, PublishedCode} {
			if got := f.Alternate(levels, scale); got != want {
				t.Errorf("%+v, scale %d: α = %v, want %v", levels, scale, got, want)
			}
		}
	}
}

// TestCodesAreNearest tries every level for weights of all sizes.
func TestCodesAreNearest(t *testing.T) {
	t.Parallel()
	const alpha = 0.37
	for _, levels := range allLevels() {
		multiples := levels.Multiples()
		if len(multiples) != 2*levels.Steps+1 || !slices.IsSorted(multiples) || multiples[levels.Steps] != 0 {
			t.Errorf("%+v: multiples %v, want %d ascending ones with 0 in the middle", levels, multiples, 2*levels.Steps+1)
		}
		unit := levels.Unit(alpha)
		if got := unit * multiples[2*levels.Steps]; math.Abs(float64(got)-alpha) > 1e-7 {
			t.Errorf("%+v: the largest level is %v, want α = %v", levels, got, alpha)
		}
		r := rand.New(rand.NewPCG(3, uint64(levels.Steps)))
		weights := []float32{0, float32(math.Copysign(0, -1)), alpha, -alpha, 9, -9, math.MaxFloat32, math.SmallestNonzeroFloat32}
		for range 3000 {
			weights = append(weights, float32(2*alpha*(r.Float64()-0.5)), float32(alpha*math.Exp2(-float64(levels.Steps+2)*r.Float64())))
		}
		codes := make([]uint16, len(weights))
		levels.Code(codes, weights, unit)
		for i, w := range weights {
			off := func(code int) float64 { return math.Abs(float64(unit)*float64(multiples[code]) - float64(w)) }
			best := 0
			for code := range multiples {
				if off(code) < off(best) {
					best = code
				}
			}
			if got := int(codes[i]); off(got) > off(best)*(1+1e-5) {
				t.Fatalf("%+v: %v has the code %d (off by %v), want %d (off by %v)", levels, w, got, off(got), best, off(best))
			}
		}
	}
}

// Weights that have no scale, and those that are not finite, are told by α.
func TestUnusualNumbersShow(t *testing.T) {
	t.Parallel()
	check := func(latent, moments []float32, sound func(alpha float64) bool) {
		t.Helper()
		if alpha := binary(latent, moments); !sound(alpha) {
			t.Errorf("%d weights: binary α = %v", len(latent), alpha)
		}
		if alpha := new(Fit).Alpha(latent, moments, (*Fit).Exact); !sound(alpha) {
			t.Errorf("%d weights: ternary α = %v", len(latent), alpha)
		}
	}
	notFinite := func(alpha float64) bool { return math.IsNaN(alpha) || math.IsInf(alpha, 0) }
	for _, n := range []int{1, 7, 8195} {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			latent, moments := random(n, 2)
			latent[n/2] = bad
			check(latent, moments, notFinite)
			latent, moments = random(n, 2)
			moments[n/2] = bad
			check(latent, moments, notFinite)
		}
		zeros := make([]float32, n)
		check(zeros, zeros, func(alpha float64) bool { return alpha == 0 })
		check(slices.Repeat([]float32{-math.MaxFloat32}, n), zeros, func(alpha float64) bool { return near(alpha, math.MaxFloat32) })
	}
}

// TestThreadsChangeNothing is not parallel: it sets the number of threads.
func TestThreadsChangeNothing(t *testing.T) {
	latent, moments := random(100003, 7)
	results := func(threads int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		f := loaded(t, latent, moments)
		return fmt.Sprint(f.total, binary(latent, moments), f.Exact(), f.Alternate(Ternary, LeastSquares), f.Alternate(Levels{Steps: 7}, LeastSquares))
	}
	want := results(1)
	for threads := 2; threads <= 5; threads++ {
		if got := results(threads); got != want {
			t.Errorf("%d threads give %s, one %s", threads, got, want)
		}
	}
}

// BenchmarkFit treats the weights of the War & Peace model, 1.2 million.
func BenchmarkFit(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	latent, moments := make([]float32, 2048*600), make([]float32, 2048*600)
	for i := range latent {
		latent[i] = float32(0.1 * r.NormFloat64())
		moments[i] = float32(math.Pow(10, -2-4*r.Float64()))
	}
	f := loaded(b, latent, moments)
	codes := make([]uint16, len(latent))
	for name, work := range map[string]func(){
		"binary":      func() { binary(latent, moments) },
		"load":        func() { f.load(latent, moments) },
		"exact":       func() { f.Exact() },
		"ternary":     func() { f.Alternate(Ternary, LeastSquares) },
		"linear-3":    func() { f.Alternate(Levels{Steps: 3}, LeastSquares) },
		"logarithm-3": func() { f.Alternate(Levels{Steps: 3, Logarithmic: true}, LeastSquares) },
		"linear-127":  func() { f.Alternate(Levels{Steps: 127}, LeastSquares) },
		"code":        func() { Ternary.Code(codes, latent, 0.15) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				work()
			}
		})
	}
}
