package datapath

import (
	"fmt"
	"math/bits"
	"slices"

	"bittern/plugins/stepgraph"
)

// product compiles a MatVec or a Lookup. If the weight is one matrix the result is exact sums. If
// it is several, the sums of each are multiplied by its α, and the products added, as accumulators.
func (c *compiler) product(n stepgraph.Node, work *Work) operand {
	parts := c.matrices(n)
	work.Recurrent = n.Recurrent
	work.Columns, work.Width = parts[0].cols, parts[0].width
	if n.Op == stepgraph.MatVec {
		work.SumBits = sumBits(parts)
	}
	if !c.counted[n.Weight] {
		c.counted[n.Weight] = true
		for _, m := range parts {
			if !m.second {
				work.WeightBits += m.rows * m.cols * int(m.width)
			}
		}
	}
	result := c.exactSums(n, parts[0], 0)
	if len(parts) == 1 {
		return result
	}
	total := c.multiplyAlpha(n, n.Recurrent, result)
	for i, m := range parts[1:] {
		if !m.second {
			further := *work
			further.WeightBits, further.Name = 0, fmt.Sprintf("%s, part %d", n.Name, i+1)
			c.Work = append(c.Work, further)
		}
		part := c.multiplyAlpha(n, n.Recurrent, c.exactSums(n, m, i+1))
		next := c.newValue(n.Size, c.sumFormat(n))
		c.emit(add{total, part, next})
		c.Work = append(c.Work, Work{Name: fmt.Sprintf("sum of %s, part %d", n.Name, i+1), Op: stepgraph.Add, Recurrent: n.Recurrent, Rows: n.Size, Operands: 2})
		total = next
	}
	return operand{view: total}
}

// sumBits returns how many bits hold the sum of every row for any 12-bit operands, with the sign.
func sumBits(parts []matrix) int {
	largest := 0
	for _, m := range parts {
		for row := range slices.Chunk(m.integers, m.cols) {
			size := 0
			for _, integer := range row {
				size += max(int(integer), -int(integer))
			}
			largest = max(largest, size)
		}
	}
	return bits.Len(uint(largest*largestIn)) + 1
}

// exactSums compiles a MatVec or a Lookup with one of the matrices of its weight.
func (c *compiler) exactSums(n stepgraph.Node, m matrix, part int) operand {
	if n.Op == stepgraph.Lookup {
		sum := c.newSum(m.rows, m.fraction, m.alpha)
		token := slices.IndexFunc(c.graph.Inputs, func(in stepgraph.Input) bool { return in.Name == n.Inputs[0] })
		c.emit(lookup{m, m.columns(), token, sum.view})
		return sum
	}
	x := c.narrow(n.Inputs[0])
	sum := c.newSum(m.rows, m.fraction+x.format.fraction, m.alpha)
	key := matrixKey{n.Weight, n.Recurrent, part}
	if c.packed[key] == nil {
		c.packed[key] = pack(m)
	}
	c.emit(matVec{x, sum.view, m, c.packed[key], n.Recurrent})
	return sum
}

// onlyScaled reports whether every reader of a sum is a scale-shift. Then α becomes part of the
// scales in its table.
func (c *compiler) onlyScaled(name string) bool {
	if name == c.graph.Output {
		return false
	}
	for _, s := range c.graph.States {
		if s.Next == name {
			return false
		}
	}
	for _, n := range c.graph.Nodes {
		if n.Op != stepgraph.ScaleShift && slices.Contains(n.Inputs, name) {
			return false
		}
	}
	return true
}

// onlyNormalized reports whether every reader of a value is a normalization, directly or through
// slices.
func (c *compiler) onlyNormalized(name string) bool {
	if name == c.graph.Output || slices.ContainsFunc(c.graph.States, func(s stepgraph.State) bool { return s.Next == name }) {
		return false
	}
	for _, n := range c.graph.Nodes {
		if slices.Contains(n.Inputs, name) && n.Op != stepgraph.Normalize && (n.Op != stepgraph.Slice || !c.onlyNormalized(n.Name)) {
			return false
		}
	}
	return true
}

// sumFormat returns the format of the sums of a MatVec or a Lookup, times α. The result of a
// normalization does not depend on how large its operand is, so a small operand gets as many
// fraction bits as its bound allows.
func (c *compiler) sumFormat(n stepgraph.Node) format {
	if c.onlyNormalized(n.Name) {
		return accumulatorFor(c.bounds[n.Name])
	}
	return accumulator
}

// multiplyAlpha compiles the multiplication of sums by their α, which makes accumulators of them.
func (c *compiler) multiplyAlpha(n stepgraph.Node, recurrent bool, sum operand) view {
	to := c.sumFormat(n)
	table := newScales(sum.alpha, n.Size, sum.format.fraction, to)
	result := c.newValue(n.Size, to)
	c.emit(scaleShift{sum.view, true, table.bits == 0, table, newOffsets(nil, n.Size), result})
	if table.bits > 0 { // else every α is 1, and the column's sum is the value
		c.Work = append(c.Work, Work{
			Name: "α of " + n.Name, Op: stepgraph.ScaleShift, Recurrent: recurrent, Rows: n.Size, Operands: 1, Alpha: true,
			TableBits: table.bits, RowBits: table.rowBits,
		})
	}
	return result
}
