// Package vecmath holds the float32 vector kernels of training that are not
// matrix products: activations, softmax with cross entropy, optimiser updates,
// dropout, rounding and transposition.
//
// Every kernel but Round exists in portable Go, which is its specification, and in
// AVX2 and AVX-512 assembly written by accel/_gen; most exist for NEON too. Package isa
// chooses once per process. An element's result never depends on where in a slice it lies,
// so work may be cut anywhere without changing a bit. Levels may differ from
// each other in the last bits, within the bounds each function states.
//
// Slices of unequal length are a programmer's error and panic with both
// lengths. Where a destination and a source are both given they may be the
// same slice but must not overlap otherwise.
package vecmath
