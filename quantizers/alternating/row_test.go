package alternating

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func newRow(planes int, weights ...float32) *row {
	return &row{
		weights: weights, codes: make([]uint8, len(weights)), scales: make([]float32, planes),
		residual: make([]float32, len(weights)),
	}
}

// randomRow has some weights of 0 and some that are equal.
func randomRow(planes, n int, seed uint64) *row {
	r := rand.New(rand.NewPCG(seed, 2))
	weights := make([]float32, n)
	for i := range weights {
		weights[i] = float32(0.2 * r.NormFloat64())
		switch r.IntN(9) {
		case 0:
			weights[i] = 0
		case 1:
			weights[i] = -weights[r.IntN(i+1)]
		}
	}
	return newRow(planes, weights...)
}

func (r *row) error2() (total float64) {
	values := sums(r.scales)
	for i, w := range r.weights {
		off := float64(w) - float64(values[r.codes[i]])
		total += off * off
	}
	return total
}

func (r *row) check(t *testing.T, name string, codes []uint8, scales ...float64) {
	t.Helper()
	if !slices.Equal(r.codes, codes) {
		t.Errorf("%s: codes %v, want %v", name, r.codes, codes)
	}
	for i, want := range scales {
		if math.Abs(float64(r.scales[i])-want) > 1e-6 {
			t.Errorf("%s: scales %v, want %v", name, r.scales, scales)
			return
		}
	}
}

// By hand, two planes of 8, −4, 3 and −1. Greedily the first scale is 16/4 = 4 and leaves
// 4, 0, −1 and 3; the second is 8/4 = 2 with the signs +, + (of 0), −, +.
// Refined: with these B, BᵀB = [4 −2; −2 4] and Bᵀw = (16, 0): α = (16/3, 8/3).
// Alternating: the codes for 16/3 and 8/3 have the values ±8 and ±8/3: 3 and −1 take 8/3 and
// −8/3, −4 takes −8/3 (bound 16/3). B is now + − + − and + + − + ... which are the greedy
// codes but for −4, whose second sign is +. So nothing changes any more.
func TestByHand(t *testing.T) {
	t.Parallel()
	r := newRow(2, 8, -4, 3, -1)
	r.greedy()
	r.check(t, "greedy", []uint8{3, 2, 1, 2}, 4, 2)
	r.refined()
	r.check(t, "refined", []uint8{3, 2, 1, 2}, 16./3, 8./3)
	for cycles := 1; cycles < 4; cycles++ {
		r.alternating(cycles)
		r.check(t, "alternating", []uint8{3, 2, 1, 2}, 16./3, 8./3)
	}
	// Weights that two planes represent exactly.
	r = newRow(2, 1.25, -0.75, 0.75, -1.25, 1.25, 1.25)
	r.alternating(2)
	r.check(t, "exact", []uint8{3, 2, 1, 0, 3, 3}, 1, 0.25)
}

// TestCyclesNeverAddError: a cycle is two steps that each minimise the error.
func TestCyclesNeverAddError(t *testing.T) {
	t.Parallel()
	improved := 0
	for seed := range uint64(60) {
		for planes := 2; planes <= maxPlanes; planes++ {
			r := randomRow(planes, 1+int(seed*seed%601), seed)
			r.greedy()
			start := r.error2()
			was := start
			for cycles := 1; cycles <= 6; cycles++ {
				r.alternating(cycles)
				now := r.error2()
				if now > was*(1+1e-5)+1e-12 {
					t.Errorf("seed %d, %d planes, cycle %d: the error rises from %v to %v", seed, planes, cycles, was, now)
				}
				was = now
			}
			if was < start*0.95 {
				improved++
			}
			r.refined()
			fewer := newRow(planes-1, r.weights...)
			fewer.refined()
			if now, was := r.error2(), fewer.error2(); now > was*(1+1e-5)+1e-12 {
				t.Errorf("seed %d, refined: %d planes have the error %v, one less has %v", seed, planes, now, was)
			}
		}
	}
	if improved < 100 {
		t.Errorf("cycles take 5 %% off the error of %d of 180 rows, want most", improved)
	}
}

// TestLeastSquaresIsAMinimum moves each scale a little: no other may be better. Rows shorter
// than their planes are many have planes that depend on others.
func TestLeastSquaresIsAMinimum(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		for planes := 1; planes <= maxPlanes; planes++ {
			r := randomRow(planes, 1+int(seed), seed)
			random := rand.New(rand.NewPCG(seed, 9))
			for i := range r.codes {
				r.codes[i] = uint8(random.IntN(1 << planes))
			}
			r.statistics().leastSquares(r.scales)
			best := r.error2()
			for i := range r.scales {
				for _, step := range []float32{-0.003, 0.003} {
					r.scales[i] += step
					if moved := r.error2(); moved < best*(1-1e-6)-1e-9 {
						t.Errorf("seed %d, %d planes: scale %d moved by %v takes the error from %v to %v", seed, planes, i, step, best, moved)
					}
					r.scales[i] -= step
				}
			}
		}
	}
}

// TestTreeFindsTheNearestCode compares with every code, also where the scales are not in
// the order of a binary number, where two are equal and where some are 0.
func TestTreeFindsTheNearestCode(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 4))
	cases := [][]float32{
		{1, 1}, {1, 0}, {0, 0}, {0.5, 0.4, 0.3}, {1, 1, 1, 1}, {0.5, 0.5, 0.25, 0}, {1, 0.1, 0.01, 0.001}, {3, 2, 1, 0},
	}
	for range 200 {
		scales := make([]float32, 2+random.IntN(3))
		for i := range scales {
			scales[i] = random.Float32()
		}
		slices.Sort(scales)
		slices.Reverse(scales)
		cases = append(cases, scales)
	}
	for _, scales := range cases {
		r := newRow(len(scales), 0, float32(math.Copysign(0, -1)), 9, -9, math.MaxFloat32, -math.MaxFloat32)
		for range 300 {
			r.weights = append(r.weights, 3*(random.Float32()-0.5))
		}
		for _, v := range sums(scales) {
			r.weights = append(r.weights, v)
		}
		r.codes = make([]uint8, len(r.weights))
		got := newTree(scales).code(r)
		if want := r.statistics(); *got != *want {
			t.Errorf("scales %v: the statistics are %+v, want %+v", scales, got, want)
		}
		values := sums(scales)
		for i, w := range r.weights {
			off := func(code int) float64 { return math.Abs(float64(values[code]) - float64(w)) }
			best := 0
			for code := range 1 << len(scales) {
				if off(code) < off(best) {
					best = code
				}
			}
			if got := int(r.codes[i]); off(got) > off(best)+1e-7 {
				t.Fatalf("scales %v: %v has the code %b (off by %v), want %b (off by %v)", scales, w, got, off(got), best, off(best))
			}
		}
	}
}

// BenchmarkRows treats the weights of the War & Peace model, 1.2 million.
func BenchmarkRows(b *testing.B) {
	for name, solve := range map[string]func(*row){
		"greedy": (*row).greedy, "refined": (*row).refined, "alternating": func(r *row) { r.alternating(2) },
	} {
		for planes := 2; planes <= maxPlanes; planes++ {
			b.Run(name+"/"+string(rune('0'+planes)), func(b *testing.B) {
				r := randomRow(planes, 600, 1)
				for b.Loop() {
					for range 2048 {
						solve(r)
					}
				}
			})
		}
	}
}
