// Package packed is the bit layout of deployed weights: what is stored, what
// crosses to a backend, and what the memory columns count.
package packed

// Matrix is a weight matrix as deployed: Rows outputs by Cols inputs.
//
// A Bits of 32 means full precision: Data then holds little-endian float32
// values row by row and there are no Levels.
type Matrix struct {
	Rows, Cols int
	Bits       int
	// Levels is the codebook in ascending code order: one for the matrix, or
	// Rows of them one after another where PerRow is set.
	Levels []float32
	PerRow bool
	Data   []byte
}
