// Package datapath is the arithmetic of the accelerators of package asic: a step
// graph turned into integer instructions, run bit for bit, and what each of them
// asks of the hardware. The number formats are described there.
package datapath

import (
	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// Width is the bits of a weight that a column of MAC units is built for.
type Width int

// The columns there are.
const (
	Binary    Width = 1
	Ternary   Width = 2
	TwelveBit Width = 12
)

func (w Width) String() string {
	switch w {
	case Binary:
		return "binary"
	case Ternary:
		return "ternary"
	default:
		return "12-bit"
	}
}

// Key is the width's in a design file.
func (w Width) Key() string {
	if w == TwelveBit {
		return "twelve_bit"
	}
	return w.String()
}

// weights is what the column multiplies, in words.
func (w Width) weights() string {
	switch w {
	case Binary:
		return "±α in 1 bit"
	case Ternary:
		return "±α or 0 in 2 bits"
	default:
		return "12-bit fixed point"
	}
}

// Program is a network compiled for the datapath. It does not change.
type Program struct {
	// Recurrent is the column that the recurrent weights run on.
	Recurrent Width
	Graphs    []*Graph // of the stages, in their order
	// Substitutions lists the weights whose column is not made for their format.
	Substitutions []backend.Substitution

	// Root is the operation that needs the root unit, with its place; empty where none does.
	Root string

	program    *program.Program
	operations map[string]func() program.Operation // of the stages that are no scans
}

// Graph is the step graph of a scan, or a stage over all steps of a sequence.
type Graph struct {
	Stream string // that it is scanned along; empty where it is run once
	Work   []Work // of one time step; of a softmax that of all steps, in rows

	attention    *attention // nil for a scan
	inputs       []view     // in their order; tokens have none
	states       []state
	instructions []instruction
	output       view
	gives        string  // stream of what the stage gives; empty for a vector
	kept         bool    // a later stage reads that
	bound        float64 // on its size

	values []int // elements of each buffer of values, per sequence
	sums   []int // the same of the exact sums
}

// Work is what one operation of a time step asks of the hardware.
type Work struct {
	Name string
	Op   stepgraph.Op // or Softmax or WeightedSum
	// Recurrent says that it belongs to the part of the graph that the states
	// depend on or, for a MatVec or Lookup, that its weights are recurrent. The
	// rest runs on the 12-bit column.
	Recurrent bool
	Rows      int // elements of the result
	Columns   int // MatVec and Lookup: elements of the operand
	Operands  int // values read for each element of the result

	// After and Since are the indexes in the graph's Work of what must be done before, of
	// this time step and of the one before.
	After, Since []int
	Width        Width // MatVec and Lookup: bits of a weight

	SumBits int // MatVec: of the widest sum there can be, with its sign

	// Alpha marks a multiplication by α that no scale-shift of the graph takes in.
	Alpha bool

	WeightBits int // storage of the weights, where no earlier Work of the network counts them
	TableBits  int // storage of scales and offsets
	RowBits    int // the part of TableBits that one time step reads
}

// Schedule is the work of a sequence with the given steps of each stream, and how often it is done.
func (g *Graph) Schedule(steps map[string]int) (work []Work, times int) {
	if g.Stream == "" {
		return g.Work, 1
	}
	if times = steps[g.Stream]; g.attention == nil || g.attention.op != network.Softmax {
		return g.Work, times
	}
	all := g.Work[0]
	all.Rows = times
	return []Work{all}, 1
}

// state is a vector of 12-bit registers.
type state struct {
	register view
	init     []int32
	next     view
}

// StateBits is the storage of the states: a register and an initial value of 12
// bits for each element.
func (p *Program) StateBits() int {
	bits := 0
	for _, g := range p.Graphs {
		for _, s := range g.states {
			bits += 2 * ActivationBits * s.register.size
		}
	}
	return bits
}

// KeptBits is the storage of what graphs give to later stages, in its own format, and of
// weighted sums while they are added up, for one sequence with so many steps of each stream.
func (p *Program) KeptBits(steps map[string]int) int {
	bits := 0
	for _, g := range p.Graphs {
		if !g.kept {
			continue
		}
		rows := 1
		if g.gives != "" {
			rows = steps[g.gives]
		}
		bits += rows * g.output.size * g.output.format.bits
	}
	for _, g := range p.Graphs {
		if g.attention != nil && g.attention.op == network.WeightedSum {
			bits += g.output.size * accumulatorBits
		}
	}
	return bits
}

// view is some elements of a buffer, which holds stride elements per sequence.
type view struct {
	buffer, offset, size, stride int
	format                       format
}

// of returns the elements for one sequence.
func (v view) of(buffer []int32, sequence int) []int32 {
	from := sequence*v.stride + v.offset
	return buffer[from : from+v.size]
}
