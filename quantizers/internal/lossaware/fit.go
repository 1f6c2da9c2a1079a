// Package lossaware finds the scale and the codes of weights when an error in one weight costs
// more than in another. It is what the quantizers of Hou, Yao & Kwok ("Loss-aware Binarization of Deep
// Networks", ICLR 2017, LAB) and Hou & Kwok ("Loss-aware Weight Quantization of Deep
// Networks", ICLR 2018, LAT and LAQ) have in common.
//
// A proximal Newton step of the loss, with a diagonal approximation of its Hessian,
// ends at the weights w of a matrix quantized as
//
//	α, b = argmin Σᵢ dᵢ·(α·bᵢ − wᵢ)²,  b from a set of levels
//
// where d, the diagonal, is the square root of Adam's second moment of the gradient. As
// in the authors' published code (github.com/houlu369) d = sqrt(v) + 10⁻⁸ with v not
// corrected for its start at zero, which would scale every d alike and change nothing.
// So before the first update, when v is zero, every error costs the same.
//
// Sums are float64 and added in an order that the number of goroutines does not change.
package lossaware

import (
	"math"

	"bittern/quantizers/internal/parallel"
)

// cost returns d of a second moment. The constant keeps it positive.
func cost(moment float32) float32 { return float32(math.Sqrt(float64(moment))) + 1e-8 }

// sums are over some weights: of d, d·|w| and |w|.
type sums struct{ weight, product, size float64 }

func (s sums) plus(t sums) sums {
	return sums{s.weight + t.weight, s.product + t.product, s.size + t.size}
}

// alpha is that of the weights that were added, where b is 1 or −1.
func (s sums) alpha() float64 { return s.product / s.weight }

// Weigh returns Σd and Σ d·|w| over some weights. Over those of a matrix, the second
// divided by the first is α of the levels ±1, ‖d∘w‖₁ / ‖d‖₁; b is the sign of w.
func Weigh(latent, moments []float32) (weight, product float64) {
	moments = moments[:len(latent)]
	for i, w := range latent {
		d := float64(cost(moments[i]))
		weight += d
		product += d * math.Abs(float64(w))
	}
	return weight, product
}

// A size is the 31 bits of a float32 without its sign, which ascend with it. Weights are
// sorted into buckets by the upper ones.
const (
	sizeBits   = 31
	bucketBits = 13
	shift      = sizeBits - bucketBits
	buckets    = 1 << bucketBits
	groups     = 8 // of weights, whose places in the buckets are found at the same time
)

func sizeOf(w float32) uint32 { return math.Float32bits(w) &^ (1 << sizeBits) }

// element is one weight.
type element struct {
	size uint32
	cost float32 // d
}

func (e element) sums() sums {
	d, size := float64(e.cost), float64(math.Float32frombits(e.size))
	return sums{d, d * size, size}
}

// A Fit holds the weights of a matrix, sorted into buckets by size, with the cost of an error
// in each. To sum over all weights above a threshold, it only has to look at the weights of
// one bucket. The zero Fit is ready for use.
type Fit struct {
	elements []element
	starts   [buckets + 1]int // of each bucket's elements
	within   [buckets]sums
	above    [buckets]sums // each bucket: over all larger weights
	total    sums
	counts   [groups][buckets]int // of elements, then where the next one goes
}

// Alpha loads latent weights with their second moments and returns the α that find computes for
// them. Without calling find, it returns a number that is not finite if a weight or a moment
// is not, and 0 if all weights are 0.
func (f *Fit) Alpha(latent, moments []float32, find func(*Fit) float64) float64 {
	f.load(latent, moments)
	if alpha := f.total.alpha(); alpha == 0 || math.IsNaN(alpha) || math.IsInf(alpha, 0) {
		return alpha
	}
	return find(f)
}

func (f *Fit) load(latent, moments []float32) {
	if cap(f.elements) < len(latent) {
		f.elements = make([]element, len(latent))
	}
	f.elements = f.elements[:len(latent)]
	share := (len(latent) + groups - 1) / groups
	of := func(group int) (from, to int) {
		return min(group*share, len(latent)), min((group+1)*share, len(latent))
	}
	parallel.Each(groups, func(group int) {
		counts := &f.counts[group]
		clear(counts[:])
		from, to := of(group)
		for _, w := range latent[from:to] {
			counts[sizeOf(w)>>shift%buckets]++
		}
	})
	next := 0
	for bucket := range buckets {
		f.starts[bucket] = next
		for group := range groups {
			f.counts[group][bucket], next = next, next+f.counts[group][bucket]
		}
	}
	f.starts[buckets] = next
	parallel.Each(groups, func(group int) {
		places := &f.counts[group]
		from, to := of(group)
		moments := moments[from:to]
		for i, w := range latent[from:to] {
			size := sizeOf(w)
			place := &places[size>>shift%buckets]
			f.elements[*place] = element{size, cost(moments[i])}
			*place++
		}
	})
	const together = 64 // buckets
	parallel.Each(buckets/together, func(part int) {
		for bucket := part * together; bucket < (part+1)*together; bucket++ {
			var s sums
			for _, e := range f.bucket(uint32(bucket)) {
				s = s.plus(e.sums())
			}
			f.within[bucket] = s
		}
	})
	f.total = sums{}
	for bucket := buckets - 1; bucket >= 0; bucket-- {
		f.above[bucket], f.total = f.total, f.total.plus(f.within[bucket])
	}
}

// bucket returns the elements whose sizes begin with the given bits.
func (f *Fit) bucket(bits uint32) []element { return f.elements[f.starts[bits]:f.starts[bits+1]] }

// from returns the sums over the weights that are at least as large as the threshold,
// which is positive.
func (f *Fit) from(threshold float64) sums {
	least := float32(threshold)
	if float64(least) < threshold {
		least = math.Nextafter32(least, float32(math.Inf(1)))
	}
	size := sizeOf(least)
	s := f.above[size>>shift]
	for _, e := range f.bucket(size >> shift) {
		// Weights are random, and a mispredicted branch costs more than an addition:
		// those that are smaller are added as zeros.
		counts := ^uint32(int32(e.size-size) >> 31)
		s = s.plus(element{e.size & counts, math.Float32frombits(math.Float32bits(e.cost) & counts)}.sums())
	}
	return s
}
