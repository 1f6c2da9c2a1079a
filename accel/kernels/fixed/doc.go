// Package fixed is the elementwise arithmetic of a fixed-point datapath. Numbers are int32; the
// caller chooses how many bits and fraction bits they have. Sums of products are float64 that
// hold whole numbers.
//
// Results are rounded to the nearest number, ties to even, and saturate on overflow. Every kernel exists in portable Go, which is its specification, and in AVX2
// and AVX-512 assembly, and gives the same numbers in all. Slices too short are a
// programmer's error and panic.
package fixed
