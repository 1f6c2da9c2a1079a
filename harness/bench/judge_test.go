package bench

import (
	"math"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/isa"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 2, 8}, 3}} {
		if got := (Sample{Values: c.values}).Median(); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.values, got, c.want)
		}
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	nine := estimate([]float64{9, 1, 8, 2, 7, 3, 6, 4, 5})
	if nine.Median != 5 || nine.Low != 2 || nine.High != 8 || nine.N != 9 {
		t.Errorf("nine values: got %+v, want 5 and from the second to the eighth", nine)
	}
	outliers := estimate([]float64{1e9, 1e-9, 8, 2, 7, 3, 6, 4, 5})
	if outliers.Low != 2 || outliers.High != 8 {
		t.Errorf("an outlier on either side: got %+v, want the same interval", outliers)
	}
	if five := estimate([]float64{1, 2, 3, 4, 5}); five.Bounded() || five.Median != 3 {
		t.Errorf("five values: got %+v, want no interval", five)
	}
	if six := estimate([]float64{1, 2, 3, 4, 5, 6}); six.Low != 1 || six.High != 6 {
		t.Errorf("six values: got %+v, want the least and the largest", six)
	}
}

// TestIntervalsCoverTheMedian checks on made-up runs that as many intervals have the true ratio in
// them as they should. The machine's speed drifts, which must not widen the ratios' intervals.
func TestIntervalsCoverTheMedian(t *testing.T) {
	t.Parallel()
	const trials, n, shift = 4000, 9, 1.3
	random := rand.New(rand.NewPCG(1, 2))
	covered, widest := 0, 0.0
	for range trials {
		ours, other := Sample{Values: make([]float64, n)}, Sample{Values: make([]float64, n)}
		for i := range n {
			drift := 1 + float64(i) // the last round is nine times as slow as the first
			noise := math.Exp(0.05 * random.NormFloat64())
			ours.Values[i], other.Values[i] = drift, shift*noise*drift
		}
		e := estimate(ratios(ours, other, false))
		if e.Low <= shift && shift <= e.High {
			covered++
		}
		widest = max(widest, e.High/e.Low)
	}
	if share := float64(covered) / trials; share < 0.95 || share > 0.975 {
		t.Errorf("%.3f of the intervals have the true ratio, want 0.961", share)
	}
	if widest > 2 {
		t.Errorf("an interval was %.2f times as high as low: the drift is in it", widest)
	}
}

// TestJudge plants a shift, none, and one too small to tell.
func TestJudge(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	ratio := func(center float64) Estimate {
		values := make([]float64, 9)
		for i := range values {
			values[i] = center * math.Exp(0.03*random.NormFloat64())
		}
		return estimate(values)
	}
	for _, test := range []struct {
		name   string
		center float64
		least  bool
		want   Outcome
	}{
		{"much faster than asked", 2.5, true, Reached},
		{"as fast as asked", 2, true, CannotTell},
		{"much slower than asked", 1.6, true, Missed},
		{"much less than allowed", 1.6, false, Reached},
		{"as much as allowed", 2, false, CannotTell},
		{"much more than allowed", 2.5, false, Missed},
	} {
		e := ratio(test.center)
		if got := (Goal{Least: test.least, Bound: 2}).judge(e); got != test.want {
			t.Errorf("%s: got %s for %+v, want %s", test.name, got, e, test.want)
		}
	}
	few := estimate([]float64{5, 5, 5})
	if got := (Goal{Least: true, Bound: 2}).judge(few); got != CannotTell {
		t.Errorf("three runs: got %s, want ~", got)
	}
	if got := (Goal{Bound: 2}).judge(few); got != CannotTell {
		t.Errorf("three runs: got %s, want ~", got)
	}
	edge := Estimate{N: 9, Median: 2, Low: 2, High: 2}
	if (Goal{Least: true, Bound: 2}).judge(edge) != Reached || (Goal{Bound: 2}).judge(edge) != Reached {
		t.Error("a value at the bound must reach it")
	}
}

func TestRatiosAreOfRounds(t *testing.T) {
	t.Parallel()
	ours, other := Sample{Values: []float64{1, 2, 4}}, Sample{Values: []float64{3, 6, 12}}
	for _, r := range ratios(ours, other, false) {
		if r != 3 {
			t.Errorf("as fast: got %v, want 3", r)
		}
	}
	for _, r := range ratios(ours, other, true) {
		if r != 1.0/3 {
			t.Errorf("times its time: got %v, want a third", r)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		microarchitecture, best, inUse string
		want                           Class
	}{
		{"Zen 5", "avx512", "avx512", "zen5"},
		{"Zen 4", "avx512", "avx512", "zen4"},
		{"Emerald Rapids", "avx512", "avx512", "sapphire-rapids"},
		{"Sapphire Rapids", "avx512", "avx512", "sapphire-rapids"},
		{"Ice Lake", "avx512", "avx512", "avx512"},
		{"", "avx512", "avx512", "avx512"},
		{"Zen 3", "avx2", "avx2", "avx2"},
		{"Zen 5", "avx512", "avx2", ""}, // forced
		{"Zen 5", "avx2", "avx2", "avx2"},
		{"", "neon", "neon", "arm64"},
		{"", "portable", "portable", ""},
	} {
		got, reason := classify(isa.Processor{Microarchitecture: test.microarchitecture, Best: test.best, InUse: test.inUse})
		if got != test.want || (reason == "") != (got != "") {
			t.Errorf("%+v: got %q and %q", test, got, reason)
		}
	}
	if got := FileName(isa.Processor{Name: "Foo(R) 7 @ 2.1 GHz", Best: "portable", InUse: "portable"}); got != "foo-r-7-2-1-ghz-portable" {
		t.Errorf("a processor of no class: got the file name %q", got)
	}
}
