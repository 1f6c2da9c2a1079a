// Package datapath is the arithmetic of the accelerators of package asic. It compiles a network
// to integer instructions, runs them bit for bit, and says what work each operation is for the
// hardware. The comment of package asic describes the number formats and the circuits.
package datapath

import (
	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// Width is how many bits of a weight a column of MAC units is built for.
type Width int

// The widths that columns are built for.
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

// Key is the name of the column in a design file.
func (w Width) Key() string {
	if w == TwelveBit {
		return "twelve_bit"
	}
	return w.String()
}

// weights says in words which weights the column multiplies.
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

	// Root names the first operation that needs the root unit; it is empty if none does.
	Root string

	program    *program.Program
	operations map[string]func() program.Operation // of the stages that are no scans
}

// Graph is the step graph of a scan, or a stage over all steps of a sequence.
type Graph struct {
	Stream string // that it is scanned along; empty if it is run once
	Work   []Work // of one time step; see Schedule

	attention    *attention // nil for a scan
	inputs       []view     // in their order; tokens have none
	states       []state
	instructions []instruction
	output       view
	gives        string  // the stream of the stage's value; empty for a vector
	kept         bool    // a later stage reads the value
	bound        float64 // on the size of the value

	values []int // elements of each buffer of values, per sequence
	sums   []int // elements of each buffer of exact sums
}

// Work is an operation of a time step, as far as its cost depends on it.
type Work struct {
	Name string
	Op   stepgraph.Op // or Softmax or WeightedSum
	// Recurrent says that the states depend on the operation or, for a MatVec or Lookup, that
	// its weights are recurrent. Other products run on the 12-bit column.
	Recurrent bool
	Rows      int // elements of the result
	Columns   int // MatVec and Lookup: elements of the operand
	Operands  int // values read for each element of the result

	// After and Since are indexes in the graph's Work: the operation waits for those in After of
	// the same time step, and for those in Since of the time step before.
	After, Since []int
	Width        Width // MatVec and Lookup: bits of a weight

	SumBits int // MatVec: bits of the largest sum there can be, with its sign

	// Alpha marks a multiplication by α that no table of a scale-shift contains.
	Alpha bool

	WeightBits int // storage of the weights; 0 if an earlier Work of the network counts them
	TableBits  int // storage of scales and offsets
	RowBits    int // the part of TableBits that one time step reads
}

// Schedule returns the operations of the graph for a sequence with the given steps of each stream,
// and how often they are done. A softmax is one operation with a row for each step.
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

// KeptBits is the storage of the values that later stages read, each in its own format, and of the
// accumulators of weighted sums, for one sequence with the given steps of each stream.
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

// view is a range of elements of a buffer that holds stride elements for each sequence.
type view struct {
	buffer, offset, size, stride int
	format                       format
}

// of returns the elements for one sequence.
func (v view) of(buffer []int32, sequence int) []int32 {
	from := sequence*v.stride + v.offset
	return buffer[from : from+v.size]
}
