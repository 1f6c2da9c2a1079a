package elementwise

import "math"

// Group is a set of weights that share a scale: a whole matrix, or one of its rows.
//
// Its sums are computed over parts of a fixed size and added in order, so that they do not
// depend on the number of goroutines.
type Group struct {
	Rows, Cols int // of the matrix
	Latent     []float32
	Grad       []float32 // nil unless the rule has a Backward
	Moments    []float32 // Adam's second moments; nil unless the rule needs them

	// Learned are the numbers that the rule learns, in the rule's order. Backward writes
	// the gradients with respect to them into LearnedGrad.
	Learned, LearnedGrad []float32

	weight, first int
	run           runner
}

// runner calls work for 0 … n−1, in any order and possibly at once.
type runner func(n int, work func(int))

func serial(n int, work func(int)) {
	for i := range n {
		work(i)
	}
}

// Parts calls work for consecutive parts of the group, from ≤ element < to, in any order and
// possibly at once.
func (g Group) Parts(work func(from, to int)) {
	g.run(g.count(), func(i int) { work(g.part(i)) })
}

func (g Group) count() int { return (len(g.Latent) + chunkSize - 1) / chunkSize }

func (g Group) part(i int) (from, to int) {
	return i * chunkSize, min((i+1)*chunkSize, len(g.Latent))
}

// Sum adds up the values that part returns for the parts of the group.
func (g Group) Sum(part func(from, to int) float64) float64 {
	sum, _ := g.Sums(func(from, to int) (float64, float64) { return part(from, to), 0 })
	return sum
}

// Sums is Sum for two numbers at a time.
func (g Group) Sums(part func(from, to int) (a, b float64)) (a, b float64) {
	if g.count() == 1 {
		return part(g.part(0))
	}
	sums := make([][2]float64, g.count())
	g.run(len(sums), func(i int) { sums[i][0], sums[i][1] = part(g.part(i)) })
	for _, sum := range sums {
		a += sum[0]
		b += sum[1]
	}
	return a, b
}

// MeanSize returns the mean of |w|. It is not finite if a latent weight is not.
func (g Group) MeanSize() float64 {
	return g.Sum(func(from, to int) float64 {
		var sums [4]float64 // apart, since additions wait for each other
		latent := g.Latent[from:to]
		for ; len(latent) >= len(sums); latent = latent[len(sums):] {
			sums[0] += math.Abs(float64(latent[0]))
			sums[1] += math.Abs(float64(latent[1]))
			sums[2] += math.Abs(float64(latent[2]))
			sums[3] += math.Abs(float64(latent[3]))
		}
		for lane, w := range latent {
			sums[lane] += math.Abs(float64(w))
		}
		return sums[0] + sums[1] + sums[2] + sums[3]
	}) / float64(len(g.Latent))
}

// MeanSizeAbove returns the mean of |w| over the weights with |w| > threshold, of which there
// must be at least one.
func (g Group) MeanSizeAbove(threshold float32) float64 {
	sum, count := g.Sums(func(from, to int) (float64, float64) {
		sum, count := sumAbove(g.Latent[from:to], threshold)
		return sum, float64(count)
	})
	return sum / count
}

// sumAbove adds up and counts the |w| above a threshold. It chooses by sign bits, as
// kernels do.
func sumAbove(latent []float32, threshold float32) (sum float64, count int) {
	var sums [4]float64 // apart, since additions wait for each other
	add := func(lane int, w float32) {
		bits := math.Float32bits(w) &^ signBit
		above := uint32(int32(math.Float32bits(threshold-math.Float32frombits(bits))) >> 31) // all ones where |w| > threshold
		sums[lane] += float64(math.Float32frombits(bits & above))
		count -= int(int32(above))
	}
	for ; len(latent) >= len(sums); latent = latent[len(sums):] {
		add(0, latent[0])
		add(1, latent[1])
		add(2, latent[2])
		add(3, latent[3])
	}
	for lane, w := range latent {
		add(lane, w)
	}
	return sums[0] + sums[1] + sums[2] + sums[3], count
}

// MaxSize returns the largest |w| and the index of the first weight of that size. It is not
// finite if a latent weight is not.
func (g Group) MaxSize() (largest float32, at int) {
	type candidate struct {
		bits uint32 // of |w|; they sort as the values do, with infinity and NaN last
		at   int
	}
	found := make([]candidate, g.count())
	g.run(len(found), func(i int) {
		from, to := g.part(i)
		best := candidate{0, from}
		for i, w := range g.Latent[from:to] {
			if bits := math.Float32bits(w) &^ signBit; bits > best.bits {
				best = candidate{bits, from + i}
			}
		}
		found[i] = best
	})
	best := found[0]
	for _, c := range found[1:] {
		if c.bits > best.bits {
			best = c
		}
	}
	return math.Float32frombits(best.bits), best.at
}

func finite(w float32) bool { return overflow(math.Float32bits(w)) < signBit }
