package lossaware

import "math"

// Exact returns the α of ternary levels at which the error is smallest of all.
//
// With the weights whose b is not 0 given, α = Σ d|w| / Σ d over them, and the error is
// smaller by (Σ d|w|)² / Σ d than that of all zeros. The largest weights are not 0: those
// above α/2. The paper sorts the weights by size and tries as many as there are. Sorting
// a million weights takes most of a training step, and is not needed: the buckets give
// both sums at their ends. The smallest error is at such an end, or else within a bucket
// that contains the half of its own α; only such buckets are looked into, by the next
// bits of the sizes, until all weights of a bucket are equal.
func (f *Fit) Exact() float64 {
	var best sums
	search(f.within[:], shift, 0, sums{}, &best, f.bucket)
	return best.alpha()
}

// gain returns by how much the error is smaller than that of all zeros if exactly the weights
// in s are not 0.
func (s sums) gain() float64 {
	if s.weight == 0 {
		return 0
	}
	return s.product * s.product / s.weight
}

// search goes through buckets from the largest sizes to the smallest. within are the sums of
// the buckets: bucket i holds the sizes which, shifted right by shift, are lowest + i. above
// are the sums of all larger weights. best becomes the sums with the largest gain.
func search(within []sums, shift int, lowest uint32, above sums, best *sums, inside func(bits uint32) []element) {
	for i := len(within) - 1; i >= 0; i-- {
		if within[i].weight == 0 {
			continue
		}
		through := above.plus(within[i])
		if through.gain() > best.gain() {
			*best = through
		}
		if bits := lowest + uint32(i); shift > 0 && hasHalf(bits, shift, above, through) {
			look(inside(bits), shift, bits, above, best)
		}
		above = through
	}
}

// hasHalf says whether the best set of nonzero weights may end within a bucket. Half of that
// set's α then lies between two weights of the bucket. Its α lies between the α of the weights
// above the bucket and the α with the bucket, since the mean of the largest weights falls as
// more are added.
func hasHalf(bits uint32, shift int, above, through sums) bool {
	const slack = 1e-9 // for the rounding of sums
	low := float64(math.Float32frombits(bits << shift))
	high := float64(math.Float32frombits((bits+1)<<shift - 1))
	largest := high / 2
	if above.weight > 0 {
		largest = above.alpha() / 2
	}
	smallest := through.alpha() / 2
	return smallest <= high*(1+slack) && largest*(1+slack) >= low
}

// look searches within a bucket, which it sorts by half of the bits that are left.
func look(elements []element, shift int, bits uint32, above sums, best *sums) {
	next := shift / 2
	within := make([]sums, 1<<(shift-next))
	lowest := bits << (shift - next)
	for _, e := range elements {
		s := &within[e.size>>next-lowest]
		*s = s.plus(e.sums())
	}
	search(within, next, lowest, above, best, func(bits uint32) []element {
		var narrower []element
		for _, e := range elements {
			if e.size>>next == bits {
				narrower = append(narrower, e)
			}
		}
		return narrower
	})
}
