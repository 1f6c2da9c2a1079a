// Package recurrent holds the fused operators that the networks of this
// project are built from: a recurrent layer over whole sequences, and what comes
// before and after it, forward and backward, in single precision.
//
// Sequences are time-major: the rows of step t of a batch are rows t·Batch to
// (t+1)·Batch−1 of a matrix. The operators know nothing of each other; a
// network hands the output of one operator to the next.
//
// A [Layer] is an LSTM or a GRU with one of the [Normalizations]: its [Config]
// lists its parameters and buffers, [New] makes it, and it runs forward and
// backward and adds its time step to a step graph. What the kinds share is in
// layer.go and sweep.go; lstm.go and gru.go hold the elementwise work of a step.
//
// An operator keeps the memory it needs between passes and allocates nothing
// in them. What it computes depends on its inputs, the size of its team and
// the instruction set, and on nothing else.
package recurrent
