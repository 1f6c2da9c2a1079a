// Package random gives quantizers random numbers that depend on where they are used, not on
// when: any training step can be replayed, and work may be split over any number of
// goroutines.
//
// It is SplitMix64 (Steele, Lea & Flood, "Fast Splittable Pseudorandom Number
// Generators", OOPSLA 2014) read as a counter-based generator. SplitMix64's
// n-th output is a bijection of start + n·γ, so any output can be had without those
// before it. The start of a stream is a hash of the seed, the step and the
// weight's name. Streams start at hashed places of one sequence of 2⁶⁴ numbers;
// that two streams of a million numbers overlap has a chance of about 2⁻⁴³.
package random

import (
	"hash/fnv"

	"bittern/accel/kernels/vecmath"
)

// Stream names the random numbers of one weight matrix at one step. It is the key of the
// sampling kernels in accel/kernels/vecmath, which use it as SplitMix64's state. Element 2n
// uses the low half of word n, and element 2n+1 the high half.
type Stream uint64

// NewStream returns the stream of a weight at a step. Names are hashed by
// 64-bit FNV-1a.
func NewStream(seed, step uint64, name string) Stream {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	start := vecmath.SplitMix64(seed, 0)
	start = vecmath.SplitMix64(start^step, 0)
	return Stream(vecmath.SplitMix64(start^hash.Sum64(), 0))
}
