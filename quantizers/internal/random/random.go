// Package random gives quantizers random numbers that are a function of where
// they are used, not of when: any training step can be replayed, and work may
// be split over any number of goroutines.
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

// Stream is the random numbers of one weight matrix at one step: the key of the
// sampling kernels of accel/kernels/vecmath, which read it as SplitMix64's state. Word n
// belongs to elements 2n, its low half, and 2n+1.
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
