// Package mcu simulates a microcontroller: one Cortex-M4F core of the STM32L4 series with
// its flash and SRAM. What it computes is said by package integer, of 8 bits: whole-number
// products, everything else in float32 on the floating-point unit.
//
// Cycles are counted by hand from the instructions of each loop and the cycles of each
// instruction (part.go says which are read in a manual and which are recalled); nothing
// is measured. A sequence is run by itself, step by step.
//
// # Products
//
// The loop is that of CMSIS-NN's arm_nn_vec_mat_mult_t_s8 (ARM-software/CMSIS-NN 058a6a1)
// for cores with SIMD of 16 bits: of two rows and four elements of the vector it loads and
// extends the elements (4 cycles), unpacks the weights of both rows (u each), multiplies
// and adds pairs (4) and goes on (4). It takes
//
//	⌈R/2⌉ · (⌈C/4⌉·(12 + 2u) + 13) + 9R     for each plane of a matrix of R rows, C columns
//
// and 3R more where the plane is not the first. How the codes of a plane are kept says u;
// the first three are look-ups of our own, as CMSIS-NN has none for 1 and 2 bits, and
// are assumptions:
//
//	1 bit             u = 4.25   four codes make an entry of two pairs, 128 bytes
//	2 bits            u = 4.5    likewise, 2 KiB
//	3 and 4 bits      u = 7      two codes make an entry of a pair, 1 KiB; 4 bits in flash
//	5 to 8 bits       u = 4      bytes; with weights=bytes all of the above are
//	above ±127        u = 4      16 bits
//
// # Other operations
//
// Of each element, in cycles, with loads, stores and the loop, unrolled four times:
//
//	rounding of a vector that is multiplied   16, and 14 a vector, once for all products of it
//	Lookup                                    10 for each plane, 3 more for further ones
//	Add, Mul                                  8
//	ScaleShift                                5, and 3 for each of scale and shift
//	Sigmoid, Tanh                             41, 43: e^x takes 20, an assumption
//	Round                                     20
//	Normalize                                 17, and 56 a vector
//	Concat                                    5
//	Slice                                     0
//	softmax over steps                        42 a step, and 14
//	weighted-sum                              11 at each step
//
// # Flash
//
// Weights and tables are read from flash, and each 64 bits hold the core up for the option
// wait-states. Code is taken to be in its cache.
//
// # Memory
//
// Flash holds codes, with rows that begin at a word, their look-up tables, scales, tables
// of normalisation and initial values of states, and 32 KiB of code. SRAM holds states, the
// values of the graph that has the most, what stages leave to each other for a whole
// sequence, and 4 KiB of stack. A network or a sequence that does not fit is refused.
//
// # Energy
//
// Cycles times the current of the whole part a MHz times the supply; the core draws the
// same whatever it does. The parts of the energy are those of the cycles. The part has no
// area in its data sheet.
package mcu
