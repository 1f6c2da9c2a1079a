// Package asic simulates recurrent accelerators of the shape that "Learning
// Recurrent Binary/Ternary Weights" (Ardakani et al., ICLR 2019, arXiv
// 1809.11086, section 6) reports: a column of multiply-accumulate (MAC) units in
// TSMC 65 nm at 400 MHz, with activations in 12-bit fixed point. A [Design] gives
// the units, area and power of the column for binary, ternary and 12-bit weights.
// The paper's figures are recalled, not read in the paper: everything that shows
// them says "unverified".
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
// The published area and power are said for units with one accumulator; the second adds
// nothing to them here, as no more is added up than in one. Matrices that are not recurrent, such as the output layer and embeddings,
// always take 12-bit weights and run on a 12-bit column beside the recurrent one.
// Where the column is not made for a weight's own format, that is a Substitution of
// the Cost.
//
// # Cycles
//
// A column of N units multiplies a matrix of R rows by a vector of C elements in
// blocks of N rows: each cycle one element is broadcast to the units, and each unit
// adds its product. A time step of a graph takes
//
//	MatVec                          ⌈R/N⌉·C for each pass
//	Lookup (one column is read)     ⌈R/N⌉ for each pass
//	α of a pass, further passes     ⌈R/L⌉ for a multiplication by α that no table takes in and
//	                                for each sum of two results
//	Slice, Concat (wiring)          0
//	Normalize                       not supported: there is no mean over a vector, no square root and no divider
//	every other operation           ⌈Size/L⌉, on L lanes
//
// and a sequence takes the sum over all scans, one after the other: a time step of the
// graph for each step of the stream, or one where the graph is run once. A vector that
// is the same at every step is multiplied at every step. The operations over steps are
//
//	softmax                         not supported: there is no exponential and no divider
//	weighted-sum                    not supported: there is no sum of vectors over the steps
//
// L is the Design's Lanes. The lanes, each with a 12-bit multiplier, an adder and a
// table, are an assumption: the paper as recalled does not say how normalisation and
// gates are computed. They do not overlap with the column, which is cautious.
//
//	seconds = cycles / clock
//
// # Energy
//
// Recurrent work is each MatVec and Lookup of recurrent weights, and each other
// operation that the states of its graph depend on. It takes the column's published
// power for its time, P·t. Its parts are estimated from below with the table
// paper-recalled-65nm, and what is left is called "clock and control", so that they
// always sum to P·t:
//
//	weight fetch           bits read · SRAM read: of a MatVec R·C weights, of a Lookup R,
//	                       in the column's width of 1, 2 or 12 bits, for each pass
//	multiply-accumulate    R·C of a MatVec · add for each pass, and · multiply too with 12-bit
//	                       weights
//	activations            12 bits · (buffer read for each cycle of a MatVec and for each
//	                       operand of each result of the lanes, buffer write for each
//	                       result of the lanes)
//	normalisation tables   bits of one row of each table · SRAM read
//	elementwise            for each result of the lanes: a ScaleShift multiply + add
//	                       whatever of the two it has, an Add add, a Mul multiply, a sigmoid,
//	                       tanh or Round 12 bits · buffer read
//	clock and control      P·t − all of the above
//
// A multiplication by an α that no table takes in is a ScaleShift. Where the
// estimates alone exceed P·t they are scaled down to it, and a note gives the
// ratio. The other layers are whole parts: P·t of the 12-bit column.
//
// The table scales figures published for 45 nm by 1.332/1.0177 = 1.3088334, which is
// the quotient of energies at 65 nm and 45 nm (low power), both at 1.0 V, by
// Stillmaker & Baas (Integration 58, 2017). Scaled, to seven digits:
//
//	12-bit multiply   0.5807949 pJ       fits to Horowitz (ISSCC 2014) in google/qkeras 78ea90f
//	12-bit add        0.04908126 pJ      the same
//	SRAM read         0.6603475 pJ/bit   CACTI, 128 KB (timeloop-accelergy-exercises 2d55108)
//	buffer read       0.05137172 pJ/bit  CACTI, 384 bytes; also a table of sigmoid, tanh or Round
//	buffer write      0.1251572 pJ/bit   CACTI, 384 bytes
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

import (
	"fmt"

	"bittern/accel/backends/asic/internal/datapath"
)

// Column is a column of MAC units for one width of weights, with the memories
// and control that the published area and power cover.
type Column struct {
	Units int
	Area  float64 // mm²
	Power float64 // W
}

// Design is an accelerator: its columns, of which the recurrent weights choose
// one.
type Design struct {
	Name       string
	Summary    string
	Technology string
	Source     string  // of the figures, with whether they are verified
	Clock      float64 // Hz
	Lanes      int     // for elementwise operations
	Binary     Column
	Ternary    Column
	TwelveBit  Column
}

// column is the one for a width of weights.
func (d Design) column(w datapath.Width) Column {
	switch w {
	case datapath.Binary:
		return d.Binary
	case datapath.Ternary:
		return d.Ternary
	default:
		return d.TwelveBit
	}
}

// throughput is in operations per second: a MAC counts as two.
func (d Design) throughput(c Column) float64 { return 2 * float64(c.Units) * d.Clock }

// describe is a column in words.
func (d Design) describe(c Column) string {
	return fmt.Sprintf("%d units, %.0f GOps/s, %.2f mm², %.0f mW",
		c.Units, d.throughput(c)/1e9, c.Area, c.Power*1e3)
}
