package elementwise

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/quantizers/internal/parallel"
)

// Sizes around those of the parts and of the additions side by side.
var groupSizes = []int{1, 2, 3, 4, 5, 7, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 5}

// backwards runs the parts in the opposite order.
func backwards(n int, work func(int)) {
	for i := n - 1; i >= 0; i-- {
		work(i)
	}
}

func randomWeights(n int) []float32 {
	random := rand.New(rand.NewPCG(uint64(n), 3))
	latent := make([]float32, n)
	for i := range latent {
		latent[i] = float32(0.05 * random.NormFloat64())
	}
	return latent
}

// Reductions are those of a simple loop, and the same to the bit however their parts are
// run.
func TestReductions(t *testing.T) {
	t.Parallel()
	const threshold = 0.04
	for _, n := range groupSizes {
		latent := randomWeights(n)
		latent[n/2] = -0.9 // the largest, also beyond the threshold
		sum, above, count := 0.0, 0.0, 0
		for _, w := range latent {
			size := math.Abs(float64(w))
			sum += size
			if float32(size) > threshold {
				above += size
				count++
			}
		}
		for _, run := range []runner{serial, backwards, parallel.Each} {
			g := Group{Latent: latent, run: run}
			for name, c := range map[string][3]float64{
				"MeanSize":      {g.MeanSize(), sum / float64(n), Group{Latent: latent, run: serial}.MeanSize()},
				"MeanSizeAbove": {g.MeanSizeAbove(threshold), above / float64(count), Group{Latent: latent, run: serial}.MeanSizeAbove(threshold)},
			} {
				if got, want, alone := c[0], c[1], c[2]; math.Abs(got/want-1) > 1e-12 || got != alone {
					t.Errorf("%s of %d weights = %v, want %v, and %v as in one goroutine", name, n, got, want, alone)
				}
			}
			if largest, at := g.MaxSize(); largest != 0.9 || at != n/2 {
				t.Errorf("MaxSize of %d weights = %v at %d, want 0.9 at %d", n, largest, at, n/2)
			}
		}
	}
}

// The first of the largest counts, in whatever part it is, and all zeros have one too.
func TestMaxSizeIsTheFirst(t *testing.T) {
	t.Parallel()
	latent := make([]float32, 3*chunkSize)
	g := Group{Latent: latent, run: backwards}
	if largest, at := g.MaxSize(); largest != 0 || at != 0 {
		t.Errorf("MaxSize of zeros = %v at %d, want 0 at 0", largest, at)
	}
	latent[chunkSize+3], latent[chunkSize+9], latent[2*chunkSize+1] = -2, 2, 2
	if largest, at := g.MaxSize(); largest != 2 || at != chunkSize+3 {
		t.Errorf("MaxSize = %v at %d, want 2 at %d", largest, at, chunkSize+3)
	}
}

func TestReductionsOfWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, at := range []int{0, 5, chunkSize, chunkSize + 4} {
			latent := randomWeights(chunkSize + 5)
			latent[at] = float32(bad)
			g := Group{Latent: latent, run: parallel.Each}
			if mean := g.MeanSize(); finite(float32(mean)) {
				t.Errorf("MeanSize with %v at %d = %v, want it not finite", bad, at, mean)
			}
			if largest, _ := g.MaxSize(); finite(largest) {
				t.Errorf("MaxSize with %v at %d = %v, want it not finite", bad, at, largest)
			}
		}
	}
}

// Every element lies in one part.
func TestParts(t *testing.T) {
	t.Parallel()
	for _, n := range groupSizes {
		seen := make([]int, n)
		Group{Latent: make([]float32, n), run: parallel.Each}.Parts(func(from, to int) {
			for i := from; i < to; i++ {
				seen[i]++
			}
		})
		if slices.Max(seen) != 1 || slices.Min(seen) != 1 {
			t.Errorf("of %d elements some are in %d parts and some in %d, want 1", n, slices.Min(seen), slices.Max(seen))
		}
	}
}
