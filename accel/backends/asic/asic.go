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
// The recurrent weights decide. Where all of them are ±α it is the binary column,
// where they are ±α or 0 the ternary one (α may differ from row to row), else the
// 12-bit one, for which weights are rounded to 12-bit fixed point. Matrices that are
// not recurrent, such as the output layer and embeddings, always take 12-bit weights
// and run on a 12-bit column beside the recurrent one.
//
// # Cycles
//
// A column of N units multiplies a matrix of R rows by a vector of C elements in
// blocks of N rows: each cycle one element is broadcast to the units, and each unit
// adds its product.
//
//	MatVec                          ⌈R/N⌉·C
//	Lookup (one column is read)     ⌈R/N⌉
//	Slice, Concat (wiring)          0
//	Softmax                         not supported: there is no divider
//	every other operation           ⌈Size/L⌉, on L lanes
//
// L is the Design's Lanes. The lanes, each with a 12-bit multiplier, an adder and a
// table, are an assumption: the paper as recalled does not say how normalisation and
// gates are computed. They do not overlap with the column, which is cautious.
//
//	seconds = cycles / clock
//
// # Energy
//
// Recurrent work takes the column's published power for its time, P·t. Its parts
// are estimated from below with the table paper-recalled-65nm, and what is left is
// called "clock and control", so that they always sum to P·t:
//
//	weight fetch           bits read · SRAM read
//	multiply-accumulate    MACs · (multiply + add), or · add with binary and ternary weights
//	activations            12 bits · (buffer read for each cycle of a MatVec and each operand,
//	                       buffer write for each result of an operation)
//	normalisation tables   bits of one row of each table · SRAM read
//	elementwise            what the lanes compute: multiply, add, table read
//	clock and control      P·t − all of the above
//
// Where the estimates alone exceed P·t they are scaled down to it, and a note gives
// the ratio. The other layers are whole parts: P·t of the 12-bit column.
//
// The table scales figures published for 45 nm by 1.31, which is the quotient of
// energies at 65 nm and 45 nm (low power), both at 1.0 V, by Stillmaker & Baas
// (Integration 58, 2017):
//
//	12-bit multiply   0.58 pJ       fits to Horowitz (ISSCC 2014) in google/qkeras 78ea90f
//	12-bit add        0.049 pJ      the same
//	SRAM read         0.66 pJ/bit   CACTI, 128 KB (timeloop-accelergy-exercises 2d55108)
//	buffer read       0.051 pJ/bit  CACTI, 384 bytes; also a sigmoid or tanh table
//	buffer write      0.125 pJ/bit  CACTI, 384 bytes
//
// # Memory
//
// In bytes, as the datapath stores it, without padding: recurrent codes of the
// column's width; levels, the α of 16 bits that no table takes in; normalisation
// tables, 16 bits for a scale and 24 for an offset, for every time step the graph
// gives them for; states, a register and an initial value of 12 bits for each
// element; embedding and output layer with 12-bit weights. The published area is
// not said to hold all of that.
//
// # Arithmetic
//
// Execute computes what this datapath computes, bit for bit. All rounding is to the
// nearest, ties to even, and all overflow saturates.
//
//   - An activation has 12 bits: a sign, m integer and 11−m fraction bits (Q m.11−m).
//     m is the smallest that holds every value the graph can give, where that can be
//     shown (gates and hidden states: Q0.11), and at most the option integer-bits
//     (cell states and pre-activations: Q3.8).
//   - Weights are −1, 0, +1, or 12-bit integers over a power of two per matrix.
//   - A MatVec adds exactly: its sum is as wide as it takes.
//   - A sum is multiplied by its scale and given its offset in an accumulator of 24
//     bits (Q11.12). In the recurrent part of the graph, which is all that the states
//     depend on, the result is then rounded to an activation; after it, additions
//     and scale-shifts stay in accumulators, and outputs such as logits leave so.
//   - A scale is a 12-bit mantissa with a 4-bit shift below the largest of its table.
//     α is part of it: where a scale-shift follows a MatVec they are one table. An
//     offset has 24 bits (Q11.12).
//   - Sigmoid and tanh are tables of all 4,096 inputs, correctly rounded to Q0.11.
//   - States, and everything else that enters a multiplier or a table, have 12 bits.
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
