// Package mcu simulates a microcontroller: one Cortex-M4F core of the STM32L4 series with
// its flash and SRAM. Package integer says what it computes, with 8 bits: products of
// whole numbers, and everything else in float32 on the floating-point unit.
//
// Cycles are counted by hand, from the instructions of each loop and the cycles of each
// instruction; part.go says which of these were read in a manual and which are recalled.
// Nothing is measured. A sequence runs by itself, step by step.
//
// # Products
//
// The loop is that of CMSIS-NN's arm_nn_vec_mat_mult_t_s8 (ARM-software/CMSIS-NN 058a6a1)
// for cores with SIMD of 16 bits. For two rows and four elements of the vector it loads the
// elements and extends them to 16 bits (4 cycles), unpacks the weights of both rows (u
// each), multiplies and adds pairs (4) and ends the loop (4). A product takes
//
//	⌈R/2⌉ · (⌈C/4⌉·(12 + 2u) + 13) + 9R     for each plane of a matrix of R rows, C columns
//
// and 3R more for each plane but the first. u depends on how the codes of a plane are kept.
// The first three are look-ups that are ours and so are assumed, as CMSIS-NN has no kernel
// for 1 and 2 bits:
//
//	1 bit             u = 4.25   four codes choose two pairs, from a table of 128 bytes
//	2 bits            u = 4.5    likewise, from 2 KiB
//	3 and 4 bits      u = 7      two codes choose a pair, from 1 KiB; 4 bits in flash
//	5 to 8 bits       u = 4      bytes; with weights=bytes all of the above too
//	beyond ±127       u = 4      16 bits
//
// # Other operations
//
// For each element, in cycles, with loads, stores and the loop, which is unrolled four times:
//
//	rounding a vector that is multiplied      16, and 14 a vector, once for all products of it
//	Lookup                                    10 for each plane, 3 more for each but the first
//	Add, Mul                                  8
//	ScaleShift                                5, and 3 for each of scale and shift
//	Sigmoid, Tanh                             41, 43: e^x takes 20, an assumption
//	Round                                     20
//	Normalize                                 17, and 56 a vector: three divisions and a root
//	Concat                                    5
//	Slice                                     0
//	softmax over steps                        42 a step, and a division of 14
//	weighted-sum                              11 at each step
//
// # Flash
//
// Weights and tables are read from flash. For each 64 bits, the core waits for as many cycles
// as the option wait-states says. Code is assumed to be in the cache.
//
// # Memory
//
// Flash holds codes, with rows that begin at a word, and their look-up tables; scales; tables
// of normalization; initial values of states; and 32 KiB of code. SRAM holds states; the
// values of the graph that has the most; what stages leave to each other for a whole
// sequence; and 4 KiB of stack. A network or a sequence that has no room is refused.
//
// # Energy
//
// Cycles times the current of the whole part for each MHz times the supply: the core draws
// the same whatever it does. So the parts of the energy are those of the cycles:
//
//	arithmetic        products, with the rounding of vectors; Lookup, Add, Mul, Concat
//	weight memory     waiting for weights
//	normalization     ScaleShift and Normalize, and waiting for their tables
//	nonlinear units   Sigmoid, Tanh, Round
//	embedding, output layer, attention
//	                  all of the above, softmax and weighted-sum, of layers that are not
//	                  recurrent
//
// The data sheet gives no area of the chip.
package mcu
