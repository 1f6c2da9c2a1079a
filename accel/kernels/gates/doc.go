// Package gates holds the elementwise kernels of normalised LSTM and GRU layers,
// forward and backward: everything in a time step that is not a matrix
// product. The LSTM's equations are those of Ardakani et al., "Learning Recurrent
// Binary/Ternary Weights" (ICLR 2019):
//
//	a = BN(Wh·h₋₁; γh, β) + BN(Wx·x; γx, 0)     (g,f,i,o) = (tanh,σ,σ,σ)(a)
//	c = f∘c₋₁ + i∘g                             h = o∘tanh(BN(c; γc, βc))
//
// A step of one worker runs forward through Moments and Fold for both products
// of each gate, Gates.Forward, Moments and Fold for the cell, Output.Forward;
// and backward through OutputGradient, GatesGradient and one
// AffinePairGradient per gate. Where the activations were not kept, Gates.Forward
// computes them again first. A step of a GRU runs forward through Gate.Forward for r and
// z, Candidate.Forward and Update.Forward; and backward through UpdateGradient,
// AffinePairGradient for r and z and AffineGradient for each product of n.
//
// # Layout
//
// Rows are the sequences of a minibatch and columns hidden units. Normalisation
// takes its statistics over the rows of one column, so columns are independent
// and a worker calls the kernels on its own range of them. A Matrix may be
// part of a larger one. The four gates g, f, i, o of a matrix or a vector lie
// Spacing floats apart: gate k of unit j is element k·Spacing+j of a row.
//
// The kernels go down one block of columns at a time, 16 wide at most; calling
// them for 16 columns after another keeps what one kernel wrote in the first
// cache for the next. Strides that are a multiple of 1024 floats put all rows
// in the same few sets of that cache: pad them by 16.
//
// A step hands on the gradients of gates, cell and hidden state. Package flush replaces
// those by 0 that are too small to matter.
//
// Every kernel exists in portable Go, which is its specification, and in AVX2,
// AVX-512 and NEON assembly, which agree to the bit; package isa chooses once per
// process. The result of a column does not depend on which columns are computed with it. Slices too
// short for their shape are a programmer's error and panic naming both.
package gates
