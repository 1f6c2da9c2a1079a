// Package systolic simulates a systolic array: a grid of processing elements, each of which
// multiplies a weight by an activation, adds the sum from the element above, and hands the
// activation and the sum on. Its cycles are those of SCALE-Sim (Samajdar et al., arXiv
// 1811.02883; "A Systematic Methodology for Characterizing Scalability of DNN Accelerators
// using SCALE-Sim", ISPASS 2020).
//
// Sizes, clock, widths, memories and process are options. Their defaults are assumptions: 32
// × 32 elements are SCALE-Sim's example, and 65 nm at 1.0 V and 400 MHz are those of the
// accelerators of package asic, so that both can be compared. Package integer says what the
// array computes: products of whole numbers, and everything else in float32.
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
// In a weight-stationary fold the array loads the weights for R cycles; the first sum leaves
// R cycles later, and the last one M + C − 2 after that. These are SCALE-Sim's cycles
// without stalls. Its reports print the number of the last cycle, which is one less, as they
// count from 0. A plane of b-bit codes takes ⌈b/precision⌉ passes over the array.
//
// # Schedule
//
// A sequence runs by itself. A product between a state and its next value has one vector, M
// = 1. All other products, such as those of an output layer or of a layer below, are done
// for steps-at-once time steps together, or for as many as the activation memory has room
// for, and for the rest of the sequence at its end.
//
// The vector unit has L lanes, each with a float32 multiplier, an adder and a table of
// straight segments, for sigmoid, tanh, e^x and roundings. The array waits while it works.
// On S elements it takes, in cycles,
//
//	rounding a vector that is multiplied          2⌈S/L⌉, once for all products of it
//	the scales of a product, a Lookup             ⌈S/L⌉ for each plane
//	Add, Mul, ScaleShift, Sigmoid, Tanh, Round    ⌈S/L⌉
//	Normalize                                     3⌈S/L⌉ + 2⌈log₂L⌉ + 16
//	softmax over S steps                          4⌈S/L⌉ + 2⌈log₂L⌉ + 16
//	weighted-sum                                  ⌈S/L⌉ for each step
//	Slice, Concat                                 0
//
// 2⌈log₂L⌉ cycles are two sums over the lanes, each in a tree; 16 are a root or a division,
// which are float32 too: two steps of Newton's method on a value that a table gives with 8
// bits. That is an assumption.
//
// # Memories
//
// Weights and tables that are read the most for each bit they take stay in the weight
// memory. To load them there once is not charged. What has no room is read from DRAM
// whenever it is used. Then the weight memory also keeps room for the weights that the array
// loads next, of one fold, or of two with double buffering. Inputs come from DRAM and
// logits go there, in 32 bits, and so does what a stage leaves to a later one and has no
// room in the activation memory.
//
// DRAM takes bits/(8·dram-bytes) cycles. With double buffering, these run beside those of
// array and vector unit, but for the DRAM cycles of the first fold, the first inputs and the
// last logits: the time is first + max(compute, all − first). Without it, the time is
// compute + all.
//
// # Energy
//
// Counted events times a table of package energy in the machine's process. Nothing is
// fitted. A memory is read and written by banks of at most 2,048 words of 64 bits.
//
//	arithmetic            for each product of a pass an addition of 32 bits and, with a
//	                      precision above 1, a multiplication of precision × activation-bits;
//	                      roundings, scales, Add, Mul and weighted sums in float32
//	weight memory         bits that are read, in the width of the codes, for every load of a
//	                      fold; bits that come from DRAM are written there too
//	activation memory     bits that are read and written: what the array takes in; its sums
//	                      of 32 bits, which are read again where a fold adds to them;
//	                      operands and results of the vector unit
//	normalization         ScaleShift and Normalize in float32, and 32 bits for each value that
//	                      is read from a table
//	nonlinear units       Sigmoid, Tanh, Round and softmax in float32; a segment is a
//	                      multiplication and an addition
//	clock and control     the registers that each element hands on, of 32 +
//	                      activation-bits, at each cycle of the array, used or not
//	DRAM                  bits times the energy of a bit
//	embedding, output     all of the parts above of layers that are not recurrent, each layer
//	layer, attention      one part; leakage is of the whole
//	leakage               of memories, elements and lanes, for the whole time
//
// A root takes 7 multiplications and 2 additions, a division 5 and 2. The clocks of the
// vector unit, its tables of segments and wires are left out.
//
// # Area
//
// Elements (multiplier, adder, registers), memories and lanes, by the same table. A lane is
// taken to be a multiplier and an adder of 32 bits, in place of those of float32. Control,
// wires and pads are left out.
package systolic
