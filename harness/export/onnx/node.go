package onnx

import (
	"fmt"
	"slices"

	"bittern/plugins/stepgraph"
)

// place is where a node is made: in a graph, of which the time step is known, int64
// [steps, sequences] or in the body of a Scan [sequences].
type place struct {
	*block
	position func() string
}

// node makes a node of the step graph.
func (s *scan) node(p place, n stepgraph.Node, operands []value) (value, error) {
	out := value{size: n.Size}
	names := make([]string, len(operands))
	for i, v := range operands {
		names[i] = v.name
		out.stepped = out.stepped || v.stepped
	}
	wanted := s.path(n.Name)
	switch n.Op {
	case stepgraph.MatVec, stepgraph.Lookup:
		w, err := s.matrix(n.Weight, columns)
		if err != nil {
			return value{}, err
		}
		if n.Op == stepgraph.MatVec {
			out.name = p.op("MatMul", wanted, []string{names[0], w})
		} else {
			out.name = p.op("Gather", wanted, []string{w, names[0]}, integer("axis", 0))
		}
	case stepgraph.Add:
		out.name = p.op("Add", wanted, names)
	case stepgraph.Mul:
		out.name = p.op("Mul", wanted, names)
	case stepgraph.Sigmoid:
		out.name = p.op("Sigmoid", wanted, names)
	case stepgraph.Tanh:
		out.name = p.op("Tanh", wanted, names)
	case stepgraph.ScaleShift:
		out.name = names[0]
		for _, part := range []struct {
			operator string
			table    stepgraph.Table
		}{{"Mul", n.Scale}, {"Add", n.Shift}} {
			if part.table.Rows > 0 {
				row, stepped := s.row(p, wanted, part.table, n.Size)
				out.name = p.op(part.operator, wanted, []string{out.name, row})
				out.stepped = out.stepped || stepped
			}
		}
	case stepgraph.Slice:
		out.name = p.op("Slice", wanted, []string{names[0], s.list(int64(n.Offset)), s.list(int64(n.Offset + n.Size)), s.list(-1)})
	case stepgraph.Concat:
		for i, v := range operands {
			if out.stepped && !v.stepped {
				names[i] = s.expand(v, s.stream).name
			}
		}
		out.name = p.op("Concat", wanted, names, integer("axis", -1))
	case stepgraph.Normalize:
		ones := s.once(fmt.Sprintf("ones/%d", n.Size), func(name string) string {
			return s.floats(name, slices.Repeat([]float32{1}, n.Size), n.Size)
		})
		out.name = p.op("LayerNormalization", wanted, []string{names[0], ones}, integer("axis", -1), number("epsilon", n.Epsilon))
	case stepgraph.Round:
		out.name = s.round(p, wanted, names[0], n.Bits)
	default:
		return value{}, inexpressible(s.stage.Name, fmt.Sprintf("the operation %q of the node %q", n.Op, n.Name))
	}
	return out, nil
}

// row is the one of a table for the time step at hand.
func (s *scan) row(p place, wanted string, t stepgraph.Table, size int) (name string, stepped bool) {
	if t.Rows == 1 || s.stream == "" {
		return s.floats(wanted+"/table", t.Row(0, size), size), false
	}
	table := s.floats(wanted+"/table", t.Values, t.Rows, size)
	at := p.op("Min", wanted+"/at", []string{p.position(), s.index(int64(t.Rows - 1))})
	return p.op("Gather", wanted+"/row", []string{table, at}, integer("axis", 0)), true
}

// round is [stepgraph.Rounded].
func (s *scan) round(p place, wanted, x string, bits int) string {
	n := float32(int(1)<<bits - 1)
	x = p.op("Floor", wanted, []string{p.op("Mul", wanted, []string{x, s.scalar(n / 2)})})
	x = p.op("Add", wanted, []string{p.op("Mul", wanted, []string{x, s.scalar(2)}), s.scalar(1)})
	return p.op("Clip", wanted, []string{p.op("Div", wanted, []string{x, s.scalar(n)}), s.scalar(-1), s.scalar(1)})
}
