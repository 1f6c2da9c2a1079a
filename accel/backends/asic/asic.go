// Package asic simulates recurrent accelerators of the shape that "Learning
// Recurrent Binary/Ternary Weights" (Ardakani et al., ICLR 2019, arXiv
// 1809.11086, section 6) reports: a column of multiply-accumulate (MAC) units for each
// width of weights, with activations in 12-bit fixed point. A [Design], which is the
// content of a design file, gives units, clock, node, memories and all other
// parameters. Two designs, the paper's own, come with the program. The paper's
// figures are recalled, not read in the paper: everything that shows them says
// "unverified".
//
// # Which column
//
// The recurrent weights of all graphs of the network decide which column they run on:
//
//	binary     all planes of the weights have two levels
//	ternary    some planes have two levels and 0 between them; scales may differ from row to row
//	12-bit     anything else; the weights are rounded to 12-bit fixed point
//
// A plane of up to 16 levels that are sums of signs, such as whole numbers of 4 bits times a
// step, counts as one plane of two levels for each bit of its codes.
//
// The column multiplies by one plane at a time. That is a pass. The lanes multiply the results
// of each pass by its α and add them up. If the two levels of a
// plane differ in size, {−a, +b} or {−a, 0, +b}, a unit needs two
// accumulators, one for each level, and the pass has two results: the lanes multiply one by a and
// the other by b. A level of 0 needs no accumulator. The second accumulator takes no energy or
// area here, as a unit still makes one addition a cycle.
//
// Matrices that are not recurrent, such as the output layer and embeddings, always have
// 12-bit weights and run on a 12-bit column beside the recurrent one.
// A weight whose own format the column is not made for is a Substitution of the Cost.
//
// # Cycles
//
// A column of N units multiplies a matrix of R rows by a vector of C elements in
// blocks of N rows: in each cycle one element is broadcast to the units, and each unit
// adds its product. A time step of a graph takes
//
//	MatVec                          ⌈R/N⌉·C·s for each pass
//	Lookup (one column is read)     ⌈R/N⌉·s for each pass
//	α and further passes            ⌈R/L⌉ for each multiplication by an α that no table contains,
//	                                and for each sum of two results
//	Slice, Concat (wiring)          0
//	Normalize                       6·⌈Size/L⌉ + 2·⌈log₂ min(Size, L)⌉ + 1 + Q
//	every other operation           ⌈Size/L⌉
//
// where s = ⌈N · bits of a weight / bits that the weight memory gives in a cycle⌉. L is the
// number of lanes and Q the cycles of a root, both of the Design. A sequence of T steps takes,
// beside its scans,
//
//	softmax                         5·⌈T/L⌉ + 2·⌈log₂ min(T, L)⌉ + Q
//	weighted-sum                    ⌈Size/L⌉ for each step
//
// The lanes, each with a 12-bit multiplier, an adder and a
// table, are an assumption: the paper as recalled does not say how normalization and
// gates are computed.
//
// Scans go one after the other. A scan takes a time step of its
// graph for each step of the stream, or one time step if the graph is run once. A vector that
// is the same at every step is multiplied at every step. Within a scan an operation
// starts as soon as its operands are there and its circuit is free. If nothing overlaps
// there is one circuit, and a scan takes the sum of its operations. With "lanes" in the design's
// overlap the lanes are a circuit of their own. With "layers" the 12-bit column of other layers
// is one, with lanes of its own.
//
// If a design names a DRAM, weights that exceed the memory of their column come from it
// each time they are used. Such a product takes the longer of its own cycles and the
// transfer's. Without a DRAM all weights count as on the chip, and a note says how many do not
// fit. Another note says which sums may have more bits than the accumulators of their column.
//
// # Vectors
//
// Layer normalization and attention need sums over a vector or over the steps, a root and
// a division. The paper's designs as recalled have no circuits for them. Those here are ours,
// and a design file says with the key root whether a machine has them. Without it a network that
// has such an operation is not supported.
//
// A lane has a wide register too, of 64 bits, and can add the register of another lane to its own:
// after a pass over the elements ⌈log₂ L⌉ such cycles give the sum of all lanes, or the largest.
//
// The root unit takes a whole number A of up to 63 bits, counts its leading zeros to write it as
// a·4^p with 1 ≤ a < 4, and keeps 22 fraction bits of a. A table of 192 words of 12 bits,
// addressed by the first bits of a, has g₀ ≈ 1/√a. A step of Newton's method,
// g = g₀·(3 − a·g₀²)/2, makes it 1/√a within 2·2⁻¹⁶, for every a. 1/A is the square of
// that. Results are factors, numbers like the scales of a table: a mantissa from 1024 to 2047 and
// a power of two.
//
// A Normalize of n elements goes over them in passes of the lanes:
//
//	1 pass      Σx, exactly, and in the root unit the mean: Σx times 1/n, a constant of 24 bits
//	4 passes    d = x − mean, saturated to an accumulator; Σd², exactly, as each square of a
//	            24-bit number takes three products of 12 bits
//	root        the factor √n / √(Σd² + n·ε); √n is a constant of 16 bits, and n·ε a whole
//	            number of at least 1, in units of d²
//	1 pass      d times the factor, as a ScaleShift without offset
//
// The factor is within 2⁻¹⁰ of itself. At most 32,768 elements can be normalised: then no sum
// overflows.
//
// A softmax goes over the scores of all steps:
//
//	1 pass      the largest score m
//	1 pass      (m − x)·log₂ e, as a product by 1813/4096 and a sum, rounded to 12 fraction bits: k + f
//	1 pass      e^(x−m) = 2^−f · 2^−k, a mantissa from a function table of 4,096 inputs f
//	1 pass      Σ e^(x−m), exactly, in units of 2⁻²⁶
//	root        the factor 1/Σ e^(x−m)
//	1 pass      the weights: products of two factors
//
// A weight is stored with a shift of 4 bits, so below 2⁻¹⁶ its mantissa has fewer bits; 1 saturates
// to 1 − 2⁻¹¹. A weight of at least 2⁻⁸ is within 2⁻⁹ of itself, and a smaller one is off by at most
// 2⁻¹⁷. A weighted sum multiplies the vector of each step by the step's weight, rounds the products
// to accumulators, and adds them up. Steps beyond the length of a sequence take no part. Candidates
// are a mask on the logits; the reader of the logits takes the softmax over those.
//
// # Energy and area
//
// Energy is counted events × a table (package energy), in the process of the design.
// Explain lists the formulas, every figure with its source, and how far the model is from
// what was published of real designs. Units that have no row in the last block are clocked and
// fetch no weights. The lanes clock a register for each result. Columns and lanes that have
// nothing to do are not clocked. Leakage is that of the recurrent column, the lanes, the
// activation memory and, if the network uses it, the root unit, for the time of the sequence.
// What other layers do is one part for each of embedding, attention and output
// layer, and the leakage of their column is another part.
//
// A function table has fewer words than the 4,096 inputs: that a symmetric one with
// interpolation gives the same values is an assumption.
//
// The paper's areas are taken to be those of the recurrent column, units and weight memory.
// Outside of that are the activation memory, the lanes, the 12-bit column of other layers, the
// "root unit and wide sums", if the network uses them, and "further memory": tables, states and,
// without a DRAM, weights that do not fit. The energy of other layers and of the DRAM is
// outside too. Counters of leading zeros and shifters are left out.
//
// Unless the option calibration is "none" the figures of the table are multiplied by four
// constants, those of calibration/factors.csv, which are fitted to the paper's five designs.
//
// # Memory
//
// Memory is in bytes, as the datapath stores it, without padding, over all graphs. A weight
// that several graphs use counts once.
//
//	recurrent codes         in the column's width
//	levels                  every α, of 16 bits, that no table contains
//	normalisation tables    16 bits for a scale and 24 for an offset, for every time step that a
//	                        graph gives them for
//	state                   a register and an initial value, 12 bits each, for each element
//	embedding, output layer 12-bit weights
//	workspace               what a graph leaves to a later one, 12 or 24 bits, of a softmax 16, for
//	                        every step of the sequence or once; the accumulators of a weighted sum
//
// Reading and writing the workspace is in clock and control. Scales that are given for one time
// step only and are all equal are kept once, and not at all if they are 1. The published area
// is not said to hold all of that.
//
// # Arithmetic
//
// Execute computes what this datapath computes, bit for bit, with whole numbers. All rounding is
// to the nearest, ties to even, and all overflow saturates, to −2ⁿ⁻¹ or 2ⁿ⁻¹−1 of n bits.
//
// Formats:
//
//   - An activation has 12 bits: a sign, m integer and 11−m fraction bits (Q m.11−m).
//   - An accumulator has 24 bits: a sign, 11 integer and 12 fraction bits (Q11.12).
//   - Weights are −1, 0, +1 with an α for each row, a sum of several such, or 12-bit integers
//     over one power of two for the matrix: if the largest weight has the size f·2ᵉ, ½ ≤ f < 1, the
//     integer of a weight is weight·2¹¹⁻ᵉ, rounded; 2048 saturates to 2047. α is then 1.
//   - A scale is a 12-bit mantissa and a 4-bit shift below the largest exponent of its
//     table. A scale of the size f·2ᵉ, ½ ≤ f < 1, has the mantissa scale·2¹¹⁻ᵉ, rounded.
//     If that is 2048 it saturates to 2047, and the exponent stays; −2048 is kept. If e
//     is more than 15 below the largest of the table, it counts as 15 below, and the
//     mantissa has fewer bits. If a ScaleShift reads a MatVec or Lookup itself, its scales are
//     multiplied by α before they are rounded.
//   - An offset is an accumulator.
//
// Integer bits: m of an activation is the smallest with bound ≤ 2ᵐ, but at most the
// option integer-bits. A bound of exactly 2ᵐ takes m, so 2ᵐ itself saturates. Bounds
// are on the size of values. They are found from the graph for all time steps at once, from
// scales, offsets and α before rounding and 12-bit weights after it:
//
//	features         ∞
//	stage            if an earlier stage gives the value, the bound of that stage's output
//	MatVec           bound of the operand · largest sum of the sizes of a row's weights
//	Lookup           size of the largest weight
//	ScaleShift       bound of the operand · size of the largest scale + size of the largest offset
//	Add, Mul         sum, product of the bounds; 0 · ∞ is 0
//	Slice, Concat    bound of the operand, the larger bound
//	Sigmoid, Tanh    1
//	Round            1, but of 1 bit 1 + 2⁻⁵², which takes an integer bit
//	Normalize        √Size
//	softmax          1
//	weighted-sum     bound of the vectors if the weights are a softmax's, else ∞
//	state            size of the largest initial value, raised to the bound of the next value;
//	                 all bounds are computed again until no state is raised. A state that is
//	                 raised after the fifth round or later is ∞
//
// So gates and hidden states are Q0.11. A cell is added to itself and has the bound ∞:
// the option decides, Q3.8 by default. What an earlier stage gives enters a graph in
// the format that it has, bit for bit; the weights of a softmax enter a scan as activations, and
// features are rounded to activations.
//
// Operations:
//
//   - A MatVec adds exactly: its sum is as wide as it takes. A Lookup is a sum of one.
//   - A ScaleShift multiplies by the scale, rounds and saturates to an accumulator, adds
//     the offset and saturates again. In the recurrent part of the graph, which is all
//     that the states depend on, the result is then rounded to an activation by its own
//     bound. After that part it stays an accumulator, and so outputs such as logits are
//     accumulators.
//   - If an operation other than a ScaleShift reads a sum (an Add, a Slice, a table), or if it is
//     a state or the output, the sum is first multiplied by its α, as a ScaleShift without offset
//     does. It is an accumulator from there on, in the recurrent part too. So is every result of a
//     weight that has several; they are added, and saturated, as accumulators.
//   - If only Normalizes read such an accumulator, directly or through Slices, it has 24 bits with
//     as many fraction bits as its bound leaves, 12 to 23, so that small sums keep their digits.
//   - A Normalize takes activations and accumulators as they are. The result is an accumulator.
//   - An Add takes activations and accumulators as they are and adds exactly. The result
//     is rounded once, to an activation by its own bound in the recurrent part and
//     to an accumulator after it.
//   - What enters a multiplier (the operand of a MatVec, both of a Mul), a table or a
//     register has 12 bits: accumulators are rounded to activations by the bound of the
//     value, and the next value of a state to the format of the state. The product
//     of a Mul is exact, and is rounded to an activation by its own bound.
//   - The scores of a softmax enter as they are. Weights of a weighted sum that are no softmax's
//     are activations. The accumulators of a weighted sum have as many fraction bits as its bound
//     leaves, 12 to 23, and its result is an activation by that bound.
//   - Each sequence reads its tables at its own position, counted from where it started
//     fresh.
//   - Sigmoid and tanh are tables of all 4,096 inputs, correctly rounded to Q0.11.
//   - So is Round: the level of the 12-bit input, which near the middle between two
//     levels need not be that of the exact value. With 1 bit it is in Q1.10 and the
//     levels −1 and +1 are exact, unless integer-bits is 0. With more, a level is an
//     odd number over 2^Bits − 1. Q0.11 holds only −1 exactly: the others are off by
//     at most 2⁻¹², and +1 saturates to 1 − 2⁻¹¹. A state of such values takes 12
//     bits as any other.
//   - A Slice keeps the format of its operand. The result of a Concat is an accumulator if one
//     operand is one; else it has the format of the operand with more integer bits.
package asic
