package datapath

import (
	"fmt"
	"slices"

	"bittern/plugins/backend"
)

// microcompiler lays a graph out in the memories.
type microcompiler struct {
	*Graph
	Microcode
	values, sums []int          // address of each buffer; −1 where it is none
	moves        map[int][]move // into buffers that are wiring
	wired        map[int]view   // by buffer of sums: the value that they are
	states       map[int]view   // by buffer of the register: the next value
	matrices     map[*int16]int // by first integer
	tables       map[*functionTable]int
}

// Microcode returns the graph as microcode, or a *backend.ErrUnsupported that says what the
// machine has no wires for.
func (g *Graph) Microcode() (*Microcode, error) {
	if g.attention != nil {
		return nil, noCircuit("attention")
	}
	c := &microcompiler{
		Graph: g, moves: map[int][]move{}, wired: map[int]view{}, states: map[int]view{},
		matrices: map[*int16]int{}, tables: map[*functionTable]int{},
	}
	for _, i := range g.instructions {
		switch i := i.(type) {
		case move:
			c.moves[i.y.buffer] = append(c.moves[i.y.buffer], i)
		case scaleShift:
			if i.wiring {
				c.wired[i.x.buffer] = i.y
			}
		}
	}
	for _, s := range g.states {
		c.states[s.register.buffer] = s.next
	}
	for buffer, size := range g.values {
		address := -1
		if _, register := c.states[buffer]; !register && c.moves[buffer] == nil {
			address = c.ValueWords
			c.ValueWords += size
		}
		c.values = append(c.values, address)
	}
	for buffer, size := range g.sums {
		address := -1
		if _, value := c.wired[buffer]; !value {
			address = c.SumWords
			c.SumWords += size
		}
		c.sums = append(c.sums, address)
	}
	for _, i := range g.instructions {
		if err := c.instruction(i); err != nil {
			return nil, err
		}
	}
	return &c.Microcode, c.edges()
}

// edges are what the machine is given and what it gives.
func (c *microcompiler) edges() error {
	for _, in := range c.inputs {
		address := -1
		if in.size > 0 {
			address = c.values[in.buffer]
		}
		c.Inputs = append(c.Inputs, address)
	}
	taken := map[int]int{}
	for number, s := range c.Graph.states {
		found, err := c.resolve(s.next)
		if err != nil {
			return err
		}
		if len(found) != 1 || found[0].Space != Values || found[0].Shift != 0 || found[0].Bits != asItIs || s.next.format != s.register.format {
			return unwired("state %d is not kept in the format and the place of its next value", number)
		}
		for k, v := range s.init {
			if other, ok := taken[found[0].Address+k]; ok && other != int(v) {
				return unwired("state %d has another initial value than one with the same next value", number)
			}
			taken[found[0].Address+k] = int(v)
		}
		c.States = append(c.States, found[0])
	}
	output := c.output
	if next, ok := c.states[output.buffer]; ok { // what the register holds after the step
		next.offset, next.size = next.offset+output.offset, output.size
		output = next
	}
	var err error
	c.Output, err = c.resolve(output)
	return err
}

// noCircuit is the error of an operation that the machine in SystemVerilog has no circuit for.
func noCircuit(what string) error {
	return &backend.ErrUnsupported{Reason: "the machine in SystemVerilog has no circuit for " + what}
}

func unwired(format string, args ...any) error {
	return &backend.ErrUnsupported{Reason: "the machine in SystemVerilog has no wires for it: " + fmt.Sprintf(format, args...)}
}

// resolve finds where a value is read.
func (c *microcompiler) resolve(v view) ([]Segment, error) {
	if next, ok := c.states[v.buffer]; ok {
		if _, register := c.states[next.buffer]; register {
			return nil, unwired("the next value of a state is another state")
		}
		next.offset, next.size = next.offset+v.offset, v.size
		found, err := c.resolve(next)
		for i := range found {
			found[i].Space = Previous
		}
		return found, err
	}
	moves, ok := c.moves[v.buffer]
	if !ok {
		return []Segment{{v.size, Operand{Values, c.values[v.buffer] + v.offset, 0, asItIs}}}, nil
	}
	var all []Segment
	for _, m := range moves {
		from, to := max(v.offset, m.y.offset), min(v.offset+v.size, m.y.offset+m.y.size)
		if from >= to {
			continue
		}
		x := m.x
		x.offset += from - m.y.offset
		x.size = to - from
		found, err := c.resolve(x)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if s.Operand, err = converted(s.Operand, m.x.format, m.y.format); err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// converted is an operand after a further conversion.
func converted(o Operand, from, to format) (Operand, error) {
	shift := from.fraction - to.fraction
	switch {
	case from == to:
	case o.Shift == 0 && o.Bits == asItIs && shift <= 0 && from.bits-shift <= to.bits:
		o.Shift = shift // changes no value
	case o.Shift <= 0 && o.Bits == asItIs:
		o.Shift, o.Bits = o.Shift+shift, to.bits
	default:
		return o, unwired("a value is rounded twice without an operation in between")
	}
	return o, nil
}

// one resolves a value that is read in one way.
func (c *microcompiler) one(v view) (Operand, error) {
	found, err := c.resolve(v)
	if err == nil && len(found) != 1 {
		err = unwired("an operand of the lanes is put together of %d parts", len(found))
	}
	if err != nil {
		return Operand{}, err
	}
	return found[0].Operand, nil
}

// to is where a result goes, after a conversion from a format.
func (c *microcompiler) to(v view, from format) Operand {
	return Operand{Values, c.values[v.buffer] + v.offset, from.fraction - v.format.fraction, v.format.bits}
}

func (c *microcompiler) instruction(i instruction) error {
	switch i := i.(type) {
	case move:
		return nil
	case lookup:
		return c.product(Micro{Op: MicroLookup, Token: i.input}, i.weights, i.sum)
	case matVec:
		x, err := c.resolve(i.x)
		if err != nil {
			return err
		}
		if len(x) > 2 {
			return unwired("the operand of a product is put together of %d parts", len(x))
		}
		return c.product(Micro{Op: MicroMatVec, X: x}, i.weights, i.sum)
	case scaleShift:
		if i.wiring {
			return nil
		}
		return c.scale(i)
	case add:
		left := func(v view) int { return accumulator.fraction - v.format.fraction }
		return c.lanes(Micro{Op: MicroAdd, Rows: i.z.size, XLeft: left(i.x), YLeft: left(i.y), Z: c.to(i.z, accumulator)}, i.x, &i.y)
	case multiply:
		product := format{fraction: i.x.format.fraction + i.y.format.fraction}
		return c.lanes(Micro{Op: MicroMultiply, Rows: i.z.size, Z: c.to(i.z, product)}, i.x, &i.y)
	case function:
		number, ok := c.tables[i.table]
		if !ok {
			number = len(c.Tables)
			c.tables[i.table] = number
			c.Tables = append(c.Tables, i.table)
		}
		return c.lanes(Micro{Op: MicroTable, Rows: i.y.size, Table: number, Z: c.to(i.y, i.y.format)}, i.x, nil)
	case normalize:
		return noCircuit("a normalization over a vector")
	default:
		return unwired("instruction %T", i)
	}
}

// lanes emits an instruction of the lanes with its operands.
func (c *microcompiler) lanes(m Micro, x view, y *view) error {
	first, err := c.one(x)
	if err != nil {
		return err
	}
	m.X = []Segment{{x.size, first}}
	if y != nil {
		if m.Y, err = c.one(*y); err != nil {
			return err
		}
	}
	c.Instructions = append(c.Instructions, m)
	return nil
}

// product emits a MatVec or a Lookup. The second sums of a pass are written by the
// instruction of the first.
func (c *microcompiler) product(m Micro, weights matrix, sum view) error {
	z := Operand{Sums, c.sums[sum.buffer], 0, asItIs}
	value, wired := c.wired[sum.buffer]
	if wired {
		z = c.to(value, sum.format)
	}
	if weights.second {
		if wired {
			return unwired("second sums that are values")
		}
		first := c.lastProduct()
		first.Both, first.SecondAddress = true, z.Address
		c.Matrices[first.Matrix].join(weights)
		return nil
	}
	number, ok := c.matrices[&weights.integers[0]]
	if !ok {
		number = len(c.Matrices)
		c.matrices[&weights.integers[0]] = number
		c.Matrices = append(c.Matrices, newMatrix(weights))
	}
	m.Rows, m.Matrix, m.Z = weights.rows, number, z
	c.Instructions = append(c.Instructions, m)
	return nil
}

func newMatrix(w matrix) Matrix {
	return Matrix{Width: w.width, Rows: w.rows, Cols: w.cols, Codes: w.integers, Signs: slices.Contains(w.integers, -1)}
}

// lastProduct is the pass that is written last.
func (c *microcompiler) lastProduct() *Micro {
	for i := len(c.Instructions) - 1; ; i-- {
		if c.Instructions[i].Op <= MicroLookup {
			return &c.Instructions[i]
		}
	}
}

// join makes one code of what the two accumulators of a unit add up: +1 for the first, −1
// for the second.
func (m *Matrix) join(second matrix) {
	if m.Both {
		return // another instruction reads it too
	}
	m.Both = true
	m.Codes = slices.Clone(m.Codes)
	for i, integer := range second.integers {
		m.Codes[i] -= integer
	}
}

func (c *microcompiler) scale(i scaleShift) error {
	m := Micro{Op: MicroScale, Rows: i.y.size, Exponent: i.scales.exponent, Z: c.to(i.y, i.scales.to)}
	m.Scales = Rows{Address: len(c.Scales), Rows: i.scales.rows, RowWords: i.scales.size, Each: 1}
	entries := len(i.scales.mantissas)
	if i.scales.bits <= scaleBits && i.scales.rows == 1 {
		m.Scales.Each, entries = 0, 1
	}
	for k := range entries {
		c.Scales = append(c.Scales, Scale{i.scales.mantissas[k], i.scales.shifts[k]})
	}
	m.Offsets = Rows{Address: len(c.Offsets), Rows: max(1, i.offsets.rows), RowWords: i.offsets.size, Each: 1}
	if i.offsets.rows == 0 {
		m.Offsets.Each = 0
		c.Offsets = append(c.Offsets, 0)
	} else {
		c.Offsets = append(c.Offsets, i.offsets.values...)
	}
	if i.exact {
		m.X = []Segment{{i.x.size, Operand{Sums, c.sums[i.x.buffer] + i.x.offset, 0, asItIs}}}
		c.Instructions = append(c.Instructions, m)
		return nil
	}
	return c.lanes(m, i.x, nil)
}

// OutputBits is the width of what the graph gives out.
func (g *Graph) OutputBits() int { return g.output.format.bits }
