// Package systolic simulates a systolic array: a grid of processing elements that each
// multiply a weight by an activation, add the sum from above and hand both on. Its cycles
// are those of SCALE-Sim (Samajdar et al., arXiv 1811.02883; "A Systematic Methodology for
// Characterizing Scalability of DNN Accelerators using SCALE-Sim", ISPASS 2020).
//
// Sizes, clock, widths and memories are options; their defaults are assumptions, of
// which 32 × 32 elements are SCALE-Sim's example. What it computes is said by package
// integer: whole-number products, everything else in float32.
//
// # Cycles of a product
//
// A product multiplies a matrix of N outputs and depth K by M vectors. An array of R rows
// and C columns covers it in folds, each of which takes
//
//	weight-stationary   ⌈K/R⌉·⌈N/C⌉ folds of 2R + C + M − 2
//	output-stationary   ⌈M/R⌉·⌈N/C⌉ folds of R + C + K − 2
//	input-stationary    ⌈K/R⌉·⌈M/C⌉ folds of 2R + C + N − 2
//
// In the first, R cycles load the weights, the first sum leaves after R more, and the last
// one M + C − 2 later. These are SCALE-Sim's cycles without stalls; its reports print the
// number of the last cycle, which is one less. A plane of b-bit codes takes ⌈b/precision⌉
// passes.
//
// # Schedule
//
// A sequence is run by itself. A product between a state and the next value of one is
// of one vector, M = 1. All others, such as an output layer's or of what a layer below
// gave out, are done for steps-at-once time steps together, or as many as the activation
// memory has room for, and the rest of the sequence at its end.
//
// The vector unit has L lanes, each with a float32 multiplier and an adder and a table of
// straight segments; it does not overlap with the array. Of S elements it takes, for
//
//	the rounding of a vector that is multiplied   2⌈S/L⌉, once for all products of it
//	the scales of a product, a Lookup             ⌈S/L⌉ for each plane
//	Add, Mul, ScaleShift, Sigmoid, Tanh, Round    ⌈S/L⌉
//	Normalize                                     3⌈S/L⌉ + 2⌈log₂L⌉ + 16
//	softmax over S steps                          4⌈S/L⌉ + 2⌈log₂L⌉ + 16
//	weighted-sum                                  ⌈S/L⌉ for each step
//	Slice, Concat                                 0
//
// # Memories
//
// What is read the most for each bit that it takes stays in the weight memory, for good:
// its first loading is not charged. What does not fit is read from DRAM at each use. Where
// not everything fits, room for the weights of the array is kept free, twice with double
// buffering. Inputs come from DRAM and logits go there, 32 bits each, and so does
// what stages leave to each other and has no room in the activation memory.
//
// DRAM takes bits/(8·dram-bytes) cycles. With double buffering they pass beside array and
// vector unit, all but those of the first fold, the first inputs and the last logits:
// the time is first + max(compute, all − first). Without, it is compute + all.
//
// # Energy
//
// Counted events times the table horowitz-cacti-45nm, of 45 nm; nothing is fitted:
//
//	weight memory         bits read of the weight memory, in the width of the codes, for
//	                      every load of a fold; bits that come from DRAM are written there too
//	arithmetic            for each product of a pass, an addition of 32 bits and, of a
//	                      precision above 1, a multiplication of precision × activation-bits
//	activation memory     bits read and written of the activation memory: what the array
//	                      takes in and, of 32 bits, its sums, which are read again where a
//	                      fold adds to them, and operands and results of the vector unit
//	normalization         bits read, 32 an element
//	elementwise           float32 multiplications and additions of the vector unit
//	clock and control     the registers that each element hands on, of 32 +
//	                      activation-bits, at each cycle of the array, used or not
//	DRAM                  bits times those of its type
//	leakage               of the memories, for the whole time
//
// The clocks of the vector unit, wires and the leakage of logic are left out.
//
// # Area
//
// Elements (multiplier, registers), memories and lanes, by the same table. Control, wires
// and pads are left out.
package systolic
