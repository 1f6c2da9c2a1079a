package datapath

import (
	"math"
	"slices"

	"bittern/accel/backends/internal/program"
	"bittern/accel/kernels/fixed"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// The operations over the steps of a sequence, as those of a [Work].
const (
	Softmax     = stepgraph.Op(network.Softmax)
	WeightedSum = stepgraph.Op(network.WeightedSum)
)

// attention is a stage that works over all steps of a sequence at once.
type attention struct {
	op      network.Op
	x       format // of the scores of a softmax, or of the weights of a weighted sum
	factors bool   // the weights are the factors of a softmax, and x does not count
	rows    format // of the vectors of a weighted sum
	sum     format // of its accumulators
	y       format
}

// attention compiles such a stage, with values of the given size, to a graph without instructions.
func (s *shared) attention(stage network.Stage, size int, inputs []input) *Graph {
	a := &attention{op: stage.Op, x: inputs[0].format}
	g := &Graph{attention: a, bound: 1}
	work := Work{Name: stage.Name, Op: stepgraph.Op(stage.Op), Rows: 1, Operands: 1}
	if stage.Op == network.Softmax {
		a.y = format{bits: scaleBits} // factors: only their storage counts
	} else {
		rows := inputs[1]
		g.bound = math.Inf(1)
		if a.factors = inputs[0].factors; a.factors {
			g.bound = rows.bound // the weights add up to 1
		} else if a.x.bits > ActivationBits {
			a.x = activation(inputs[0].bound, s.integerBits)
		}
		a.rows, a.sum, a.y = rows.format, accumulatorFor(g.bound), activation(g.bound, s.integerBits)
		work.Rows, work.Operands = size, 2
	}
	g.output = view{size: work.Rows, stride: work.Rows, format: a.y}
	g.Work = []Work{work}
	return g
}

// operation returns a function that computes the stage. It serves one caller at a time.
func (a *attention) operation() program.Operation {
	if a.op == network.Softmax {
		var values []int32
		var weights []factor
		return func(y, x []float32, _ [][]float32) {
			values, weights = grow(values, len(x)), grow(weights, len(x))
			encodeAll(values, x, a.x)
			softmax(weights, values, a.x.fraction)
			for t, weight := range weights {
				y[t] = float32(weight.value())
			}
		}
	}
	return (&weightedSum{attention: a}).run
}

// log2e is log₂ e with 12 fraction bits, 1 + 1813/4096: a lane multiplies by 1813 and adds.
const log2e = 1<<ActivationBits + 1813

// exponentials holds the mantissas of 2^−f for every f of 12 fraction bits from 0 to 1.
var exponentials = func() (table [1 << ActivationBits]uint64) {
	for i := range table {
		power := math.Exp2(-float64(i) / float64(len(table)))
		table[i] = uint64(min(1<<(mantissaBits-1)-1, math.RoundToEven(math.Ldexp(power, mantissaBits-1))))
	}
	return table
}()

// exponential returns e^−u as a factor, where u ≥ 0 has the given fraction bits. Written as
// 2^−(k+f), its mantissa is in a table at f, and k is its exponent.
func exponential(u int64, fraction int) factor {
	power := shifted(uint64(u)*log2e, fraction) // with 12 fraction bits
	return factor{exponentials[power%(1<<ActivationBits)], -int(power >> ActivationBits)}
}

// mostShift is the largest shift that a stored factor can have.
const mostShift = 1<<shiftBits - 1

// stored returns a factor as a mantissa of 12 bits and a shift of 4 bits hold it: a factor from 1
// on saturates to 1 − 2^−11, and one below 2^−16 loses bits of its mantissa.
func (f factor) stored() factor {
	if f.exponent > 0 {
		return factor{1<<(mantissaBits-1) - 1, 0}
	}
	if below := -f.exponent - mostShift; below > 0 {
		return factor{shifted(f.mantissa, below), -mostShift}
	}
	return f
}

// softmax sets weights to e^x / Σ e^x. The largest of x is subtracted first. The sum is exact, in
// units of 2^−26.
func softmax(weights []factor, x []int32, fraction int) {
	largest := int64(slices.Max(x))
	var sum uint64
	for t, v := range x {
		weights[t] = exponential(largest-int64(v), fraction).stored()
		sum += weights[t].mantissa << (mostShift + weights[t].exponent)
	}
	share := reciprocal(sum)
	share.exponent += mostShift + mantissaBits - 1
	for t := range weights {
		weights[t] = weights[t].times(share).stored()
	}
}

// weightedSum is the working memory of a weighted sum. The lanes multiply each vector by its
// weight, round the products to accumulators and add them up in the order of time.
type weightedSum struct {
	*attention
	row, sum []int32
	factors  []float64
}

func (w *weightedSum) run(y, x []float32, rows [][]float32) {
	a := w.attention
	w.row, w.sum, w.factors = grow(w.row, len(y)), grow(w.sum, len(y)), grow(w.factors, len(y))
	clear(w.sum)
	same := conversion(accumulator, accumulator)
	for t, weight := range x {
		factor := float64(weight)
		if !a.factors {
			factor = float64(a.x.decode(a.x.encode(factor)))
		}
		encodeAll(w.row, rows[t], a.rows)
		fill(w.factors, math.Ldexp(factor, a.sum.fraction-a.rows.fraction))
		fixed.ScaleIntegers(w.sum, w.row, w.factors, w.sum, lanes, same)
	}
	fixed.Convert(w.sum, w.sum, conversion(a.sum, a.y))
	for i, v := range w.sum {
		y[i] = a.y.decode(v)
	}
}
