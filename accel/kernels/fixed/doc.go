// Package fixed is the elementwise arithmetic of a fixed-point datapath: numbers are
// int32, of so many bits and fraction bits as the caller says, and sums of products are
// float64 that hold whole numbers.
//
// All rounding is to the nearest, to even where two are as near, and all overflow
// saturates. Every kernel exists in portable Go, which is its specification, and in AVX2
// and AVX-512 assembly, and gives the same numbers in all. Slices too short are a
// programmer's error and panic.
package fixed
