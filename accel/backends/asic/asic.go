// Package asic simulates recurrent accelerators of the shape that "Learning
// Recurrent Binary/Ternary Weights" (Ardakani et al., ICLR 2019, arXiv
// 1809.11086, section 6) reports: a column of multiply-accumulate (MAC) units for each
// width of weights, with activations in 12-bit fixed point. A [Design], which is the
// content of a design file, gives units, clock, node, memories and all else that is a
// parameter; the paper's own designs are two that come with the program. The paper's
// figures are recalled, not read in the paper: everything that shows them says
// "unverified".
//
// # Which column
//
// The recurrent weights of all graphs of the network decide. Where all planes of them
// have two levels it is the binary column, where some have two and 0 between them the
// ternary one (scales may differ from row to row), else the 12-bit one, for which
// weights are rounded to 12-bit fixed point. A plane of up to 16 levels that are sums of
// signs, such as whole numbers of 4 bits times a step, counts as one of two levels for
// each bit of its codes.
//
// The column multiplies by one plane at a time, which is a pass: the results of several
// are each multiplied by their α and added up on the lanes. Where the two levels of a
// plane are of different size, {−a, +b} or {−a, 0, +b}, its units need a second
// accumulator, one for each level, and the lanes a second multiplication: the pass has
// two results, each multiplied by its own of a and b; one whose level is 0 is left out.
// The second accumulator takes no energy or area here, as no more is added up than in one.
// Matrices that are not recurrent, such as the output layer and embeddings, always take
// 12-bit weights and run on a 12-bit column beside the recurrent one.
// Where the column is not made for a weight's own format, that is a Substitution of
// the Cost.
//
// # Cycles
//
// A column of N units multiplies a matrix of R rows by a vector of C elements in
// blocks of N rows: each cycle one element is broadcast to the units, and each unit
// adds its product. A time step of a graph takes
//
//	MatVec                          ⌈R/N⌉·C·s for each pass
//	Lookup (one column is read)     ⌈R/N⌉·s for each pass
//	α of a pass, further passes     ⌈R/L⌉ for a multiplication by α that no table takes in and
//	                                for each sum of two results
//	Slice, Concat (wiring)          0
//	Normalize                       not supported: there is no mean over a vector, no square root and no divider
//	every other operation           ⌈Size/L⌉, on L lanes
//
// where s = ⌈N · bits of a weight / bits that the weight memory gives in a cycle⌉. Scans go
// one after the other: a time step of the
// graph for each step of the stream, or one where the graph is run once. A vector that
// is the same at every step is multiplied at every step. Within a scan the work is scheduled:
// each starts once what it waits for is done and its circuit is free. Where nothing overlaps
// there is one circuit, and a scan takes the sum. With "lanes" in the design's overlap the
// lanes are a circuit of their own, with "layers" the 12-bit column of other layers is, which has
// lanes of its own then. The operations over steps are
//
//	softmax                         not supported: there is no exponential and no divider
//	weighted-sum                    not supported: there is no sum of vectors over the steps
//
// L is the Design's Lanes. The lanes, each with a 12-bit multiplier, an adder and a
// table, are an assumption: the paper as recalled does not say how normalization and
// gates are computed.
//
// Where a design names a DRAM, the share of the weights that exceeds the memory of their column
// streams in whenever it is used: work then takes the longer of its own cycles and the
// transfer's. Without one all weights count as on the chip, and a note says how many are not.
//
// # Energy and area
//
// Energy is counted events × a table (package energy), in the process of the design;
// Explain lists the formulas, every figure with its source, and how far the model is from
// what was published of real designs. Idle units of a tail are clocked and fetch nothing. The lanes
// clock a register for each result, and columns and lanes that have nothing to do are
// not clocked. Leakage is that of the recurrent column, the lanes and the activation memory
// for the time of the sequence. What other layers do is a whole part each, and the leakage
// of their column another.
//
// A function table has fewer words than the 4,096 inputs: that a symmetric one with
// interpolation gives the same values is an assumption.
//
// The area of the recurrent column, units and weight memory, is what the paper's figures are
// taken to cover. Outside of that are the activation memory, the lanes, the 12-bit column of
// other layers, and "further memory": tables, states and, where no DRAM is named, weights
// that do not fit. The energy of other layers and of the DRAM is outside too.
//
// The figures of the table are multiplied by four constants unless the option calibration
// is "none": those of calibration/factors.csv, which are fitted to the paper's five designs.
//
// # Memory
//
// In bytes, as the datapath stores it, without padding, over all graphs, a weight
// that several use once: recurrent codes of the column's width; levels, the α of 16
// bits that no table takes in; normalisation tables, 16 bits for a scale and 24 for
// an offset, for every time step a graph gives them for; states, a register and an
// initial value of 12 bits for each element; embedding and output layer with 12-bit
// weights; workspace, what a graph leaves to a later one in its format of 12 or 24
// bits, for every step of the sequence or once. Writing and reading the workspace is
// in clock and control. Of scales that are given for one time step only and are all
// equal one is kept, and none where it is 1. The published area is not said to hold
// all of that.
//
// # Arithmetic
//
// Execute computes what this datapath computes, bit for bit. All rounding is to the
// nearest, ties to even, and all overflow saturates, to −2ⁿ⁻¹ or 2ⁿ⁻¹−1 of n bits.
//
// Formats:
//
//   - An activation has 12 bits: a sign, m integer and 11−m fraction bits (Q m.11−m).
//   - An accumulator has 24 bits: a sign, 11 integer and 12 fraction bits (Q11.12).
//   - Weights are −1, 0, +1 with an α for each row, a sum of several such, or 12-bit integers
//     over one power of two for the matrix: with the largest size f·2ᵉ, ½ ≤ f < 1, the integer of a weight
//     is weight·2¹¹⁻ᵉ, rounded; 2048 saturates to 2047. α is then 1.
//   - A scale is a 12-bit mantissa and a 4-bit shift below the largest exponent of its
//     table. A factor of the size f·2ᵉ, ½ ≤ f < 1, has the mantissa factor·2¹¹⁻ᵉ, rounded.
//     Where that is 2048 it saturates to 2047, the exponent stays; −2048 is kept. Where e
//     is more than 15 below the largest of the table, it counts as 15 below, and the
//     mantissa has fewer bits. α is part of the factor, before rounding, where the
//     scale-shift reads a MatVec or Lookup itself.
//   - An offset is an accumulator.
//
// Integer bits: m of an activation is the smallest with bound ≤ 2ᵐ, but at most the
// option integer-bits. A bound of exactly 2ᵐ takes m, so 2ᵐ itself saturates. Bounds
// are on the size of values, found from the graph for all time steps at once, from
// scales, offsets and α before rounding and 12-bit weights after it:
//
//	features         ∞
//	stage            of what an earlier stage gives, the bound of its graph's output
//	MatVec           bound of the operand · largest sum of the sizes of a row's weights
//	Lookup           size of the largest weight
//	ScaleShift       bound of the operand · size of the largest scale + size of the largest offset
//	Add, Mul         sum, product of the bounds; 0 · ∞ is 0
//	Slice, Concat    bound of the operand, the larger bound
//	Sigmoid, Tanh    1
//	Round            1, but of 1 bit 1 + 2⁻⁵², which takes an integer bit
//	state            size of the largest initial value, raised to the bound of the next value
//	                 after each of as many rounds over all nodes as it takes until none is
//	                 raised; a state that is raised after the fifth round or later is ∞
//
// So gates and hidden states are Q0.11. A cell is added to itself and has the bound ∞:
// the option decides, Q3.8 by default. What an earlier stage gives enters a graph in
// the format that it has, bit for bit; features are rounded to activations.
//
// Operations:
//
//   - A MatVec adds exactly: its sum is as wide as it takes. A Lookup is a sum of one.
//   - A ScaleShift multiplies by the scale, rounds and saturates to an accumulator, adds
//     the offset and saturates again. In the recurrent part of the graph, which is all
//     that the states depend on, the result is then rounded to an activation by its own
//     bound; after it, it stays an accumulator, and outputs such as logits leave so.
//   - A sum that anything but ScaleShifts reads (an Add, a Slice, a table, a state, the
//     output) is first multiplied by its α, as a ScaleShift without offset, and is an
//     accumulator from there on, in the recurrent part too. So is every result of a weight
//     that has several; they are added, and saturated, as accumulators.
//   - An Add takes activations and accumulators as they are and adds exactly. The result
//     is rounded once, to an activation by its own bound in the recurrent part and
//     to an accumulator after it.
//   - What enters a multiplier (the operand of a MatVec, both of a Mul), a table or a
//     register has 12 bits: accumulators are rounded to activations by the bound of the
//     value, and the next value of a state to the format of the state. The product
//     of a Mul is exact, and is rounded to an activation by its own bound.
//   - Each sequence reads its tables at its own position, counted from where it started
//     fresh.
//   - Sigmoid and tanh are tables of all 4,096 inputs, correctly rounded to Q0.11.
//   - So is Round: the level of the 12-bit input, which near the middle between two
//     levels need not be that of the exact value. With 1 bit it is in Q1.10 and the
//     levels −1 and +1 are exact, unless integer-bits is 0. With more, a level is an
//     odd number over 2^Bits − 1, of which Q0.11 holds −1 alone: the others are off by
//     at most 2⁻¹², and +1 saturates to 1 − 2⁻¹¹. A state of such values takes 12
//     bits as any other.
//   - A Slice keeps the format of its operand. A Concat takes an accumulator's where one
//     operand is one, else the activations' with more integer bits.
package asic
