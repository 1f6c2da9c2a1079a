package recurrent

import (
	"fmt"
	"math"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins/stepgraph"
)

// Export implements [Layer]. Values and weights have the names of the layer's
// equations: states "h" and "c", products "Wh·h" and "Wx·x", weights "Wh", "Wx" and
// with ResetBefore "Whn". LayerNorm becomes a Normalize of each gate's part of a product.
// Every normalization then becomes one ScaleShift of the product, with one row for all
// steps or a row for every step of the scan. The first step has a row of its own where all
// sequences of a batch start from the same state, which statistics normalise to 0. The
// shifts of products that are added are merged into the shift of the first. With HiddenBits,
// h is rounded by a Round node, and its initial value is one of the levels.
func (l *layer) Export(w Weights, e Export) (string, error) {
	c := l.config
	if err := l.checkWeights(&w); err != nil {
		return "", err
	}
	if c.Normalization.Batch() {
		if err := e.Running.check(c); err != nil {
			return "", err
		}
	}
	x := exporter{Export: e, config: c, weights: w}
	if c.Kind == GRU {
		return x.gru(), nil
	}
	return x.lstm(), nil
}

// exporter adds the nodes of one layer.
type exporter struct {
	Export
	config  Config
	weights Weights
}

func (e *exporter) add(n stepgraph.Node) string {
	n.Name = e.Name(n.Name)
	e.Graph.Nodes = append(e.Graph.Nodes, n)
	return n.Name
}

func (e *exporter) op(name string, op stepgraph.Op, size int, inputs ...string) string {
	return e.add(stepgraph.Node{Name: name, Op: op, Inputs: inputs, Size: size})
}

// hiddenState adds the state h, and returns its name.
func (e *exporter) hiddenState() string {
	initial := append([]float32(nil), e.weights.H0...)
	if bits := e.config.HiddenBits; bits > 0 {
		vecmath.Round(initial, initial, bits)
	}
	return e.state("h", initial, "h'")
}

// hiddenNext adds the hidden state after the step, which a node with two inputs computes.
func (e *exporter) hiddenNext(name string, op stepgraph.Op, x, y string) string {
	d, bits := e.config.Units, e.config.HiddenBits
	if bits == 0 {
		return e.op("h'", op, d, x, y)
	}
	return e.add(stepgraph.Node{Name: "h'", Op: stepgraph.Round, Inputs: []string{e.op(name, op, d, x, y)}, Size: d, Bits: bits})
}

// state adds a state that takes the value next, and returns its name.
func (e *exporter) state(name string, initial []float32, next string) string {
	e.Graph.States = append(e.Graph.States, stepgraph.State{
		Name: e.Name(name), Size: e.config.Units, Init: append([]float32(nil), initial...), Next: e.Name(next)})
	return e.Name(name)
}

// hidden adds the product of a matrix with the hidden state, or with r∘h.
func (e *exporter) hidden(name, state, weight string, gates int) string {
	return e.add(stepgraph.Node{Name: name, Op: stepgraph.MatVec, Inputs: []string{state}, Size: gates * e.config.Units, Weight: e.Name(weight), Recurrent: true})
}

// input adds the product of all gates with the input.
func (e *exporter) input() string {
	op := stepgraph.MatVec
	if e.config.Tokens {
		op = stepgraph.Lookup
	}
	return e.add(stepgraph.Node{Name: "Wx·x", Op: op, Inputs: []string{e.Input}, Size: e.config.Kind.gates() * e.config.Units, Weight: e.Name("Wx"), Recurrent: true})
}

// normalise adds the normalizations of the two products of gates first ≤ k < last,
// which have the names.
func (e *exporter) normalise(hiddenName, hidden, inputName, input string, first, last int) (normalHidden, normalInput string) {
	if e.config.Normalization == LayerNorm {
		hidden, input = e.overFeatures(hiddenName, hidden, last-first), e.overFeatures(inputName, input, last-first)
	}
	t, n := e.tables(first, last), (last-first)*e.config.Units
	hidden = e.add(stepgraph.Node{Name: "N(" + hiddenName + ")", Op: stepgraph.ScaleShift, Inputs: []string{hidden}, Size: n, Scale: t.hiddenScale, Shift: t.hiddenShift})
	if t.inputScale.Rows > 0 || t.inputShift.Rows > 0 {
		input = e.add(stepgraph.Node{Name: "N(" + inputName + ")", Op: stepgraph.ScaleShift, Inputs: []string{input}, Size: n, Scale: t.inputScale, Shift: t.inputShift})
	}
	return hidden, input
}

// overFeatures adds a normalization of a product over the features of each gate.
func (e *exporter) overFeatures(name, product string, gates int) (all string) {
	d := e.config.Units
	for k := range gates {
		one := product
		if gates > 1 {
			one = e.slice(fmt.Sprintf("%s %d", name, k), product, k)
		}
		one = e.add(stepgraph.Node{Name: fmt.Sprintf("norm(%s) %d", name, k), Op: stepgraph.Normalize, Inputs: []string{one}, Size: d, Epsilon: Epsilon})
		if k == 0 {
			all = one
		} else {
			all = e.op(fmt.Sprintf("norm(%s) 0–%d", name, k), stepgraph.Concat, (k+1)*d, all, one)
		}
	}
	return all
}

// gate adds one gate of a sum.
func (e *exporter) gate(letter string, k int, sum string, activation stepgraph.Op) string {
	return e.op(letter, activation, e.config.Units, e.slice("a."+letter, sum, k))
}

func (e *exporter) slice(name, of string, k int) string {
	d := e.config.Units
	return e.add(stepgraph.Node{Name: name, Op: stepgraph.Slice, Inputs: []string{of}, Size: d, Offset: k * d})
}

func (e *exporter) lstm() string {
	d := e.config.Units
	h, before := e.hiddenState(), e.state("c", e.weights.C0, "c'")
	hidden, input := e.hidden("Wh·h", h, "Wh", lstmGates), e.input()
	hidden, input = e.normalise("Wh·h", hidden, "Wx·x", input, 0, lstmGates)
	a := e.op("a", stepgraph.Add, lstmGates*d, hidden, input)
	g := e.gate("g", 0, a, stepgraph.Tanh)
	f, i, o := e.gate("f", 1, a, stepgraph.Sigmoid), e.gate("i", 2, a, stepgraph.Sigmoid), e.gate("o", 3, a, stepgraph.Sigmoid)
	c := e.op("c'", stepgraph.Add, d, e.op("f∘c", stepgraph.Mul, d, f, before), e.op("i∘g", stepgraph.Mul, d, i, g))
	if e.config.NormalizeCell {
		scale, shift := e.cellTables()
		c = e.add(stepgraph.Node{Name: "N(c)", Op: stepgraph.ScaleShift, Inputs: []string{c}, Size: d, Scale: scale, Shift: shift})
	}
	return e.hiddenNext("o∘tanh c", stepgraph.Mul, o, e.op("tanh c", stepgraph.Tanh, d, c))
}

func (e *exporter) gru() string {
	d := e.config.Units
	h := e.hiddenState()
	var n, z string
	if e.config.ResetBefore {
		n, z = e.resetBefore(h)
	} else {
		n, z = e.resetAfter(h)
	}
	rest := e.add(stepgraph.Node{Name: "1−z", Op: stepgraph.ScaleShift, Inputs: []string{z}, Size: d,
		Scale: constant(d, -1), Shift: constant(d, 1)})
	return e.hiddenNext("(1−z)∘n + z∘h", stepgraph.Add, e.op("(1−z)∘n", stepgraph.Mul, d, rest, n), e.op("z∘h", stepgraph.Mul, d, z, h))
}

func (e *exporter) resetAfter(h string) (n, z string) {
	d := e.config.Units
	hidden, input := e.hidden("Wh·h", h, "Wh", gruGates), e.input()
	hidden, input = e.normalise("Wh·h", hidden, "Wx·x", input, 0, gruGates)
	a := e.op("a", stepgraph.Add, gruGates*d, hidden, input)
	r, z := e.gate("r", gateR, a, stepgraph.Sigmoid), e.gate("z", gateZ, a, stepgraph.Sigmoid)
	inner := e.op("r∘N(Wh·h)", stepgraph.Mul, d, r, e.slice("N(Wh·h).n", hidden, gateN))
	return e.op("n", stepgraph.Tanh, d, e.op("a.n", stepgraph.Add, d, e.slice("N(Wx·x).n", input, gateN), inner)), z
}

func (e *exporter) resetBefore(h string) (n, z string) {
	d := e.config.Units
	hidden, input := e.hidden("Wh·h", h, "Wh", gateN), e.input()
	part := e.add(stepgraph.Node{Name: "Wx·x.rz", Op: stepgraph.Slice, Inputs: []string{input}, Size: gateN * d})
	hidden, part = e.normalise("Wh·h", hidden, "Wx·x.rz", part, gateR, gateN)
	a := e.op("a", stepgraph.Add, gateN*d, hidden, part)
	r, z := e.gate("r", gateR, a, stepgraph.Sigmoid), e.gate("z", gateZ, a, stepgraph.Sigmoid)
	hidden, part = e.hidden("Whn·(r∘h)", e.op("r∘h", stepgraph.Mul, d, r, h), "Whn", 1), e.slice("Wx·x.n", input, gateN)
	hidden, part = e.normalise("Whn·(r∘h)", hidden, "Wx·x.n", part, gateN, gruGates)
	return e.op("n", stepgraph.Tanh, d, e.op("a.n", stepgraph.Add, d, hidden, part)), z
}

func constant(size int, value float32) stepgraph.Table {
	t := newTable(1, size)
	for i := range t.Values {
		t.Values[i] = value
	}
	return t
}

func newTable(rows, size int) stepgraph.Table {
	return stepgraph.Table{Rows: rows, Values: make([]float32, rows*size)}
}

// tables are the normalizations of both products of some gates.
type tables struct{ hiddenScale, hiddenShift, inputScale, inputShift stepgraph.Table }

// tables returns those of gates first ≤ k < last.
func (e *exporter) tables(first, last int) (t tables) {
	c, w := e.config, &e.weights
	wide, from, n := c.Kind.gates()*c.Units, first*c.Units, (last-first)*c.Units
	rows, hiddenRows := 1, 1
	if c.Normalization.Batch() {
		rows = c.runningSteps()
		hiddenRows = max(rows, min(c.Steps, 1+c.firstHidden(first)))
	}
	t.hiddenShift = newTable(hiddenRows, n)
	if c.Normalization != NoNorm {
		t.hiddenScale, t.inputScale = newTable(hiddenRows, n), newTable(rows, n)
	}
	if c.resetAfter() {
		t.inputShift = newTable(rows, n)
	}
	for row := range hiddenRows {
		for column := range n {
			j := from + column
			running := min(row, rows-1)*wide + j
			hiddenAt, inputAt := row*n+column, min(row, rows-1)*n+column
			hidden, meanH := e.hiddenSide(j, running)
			input, meanX := e.inputSide(j, running)
			if row == 0 && c.Normalization.Batch() && c.startsConstant(j/c.Units) {
				hidden = 0
			}
			bias := float64(w.Beta[j])
			if c.ownBiases() {
				bias += float64(w.BetaX[j])
			}
			if c.resetAfter() && j/c.Units == gateN {
				t.inputShift.Values[inputAt] = float32(bias - input*meanX)
				bias, meanX = 0, 0
			}
			shift := bias - hidden*meanH - input*meanX
			if c.hiddenBias() {
				shift += float64(w.BetaH[j])
			}
			t.hiddenShift.Values[hiddenAt] = float32(shift)
			if c.Normalization != NoNorm {
				t.hiddenScale.Values[hiddenAt], t.inputScale.Values[inputAt] = float32(hidden), float32(input)
			}
		}
	}
	return t
}

// hiddenSide returns the scale of column j of Wh·h and the mean that is subtracted from it.
// running is the column's index in the running statistics.
func (e *exporter) hiddenSide(j, running int) (scale, mean float64) {
	w := &e.weights
	switch e.config.Normalization {
	case NoNorm:
		return 1, 0
	case LayerNorm:
		return float64(w.GammaH[j]), 0
	case WeightNorm:
		return float64(w.GammaH[j]) * float64(reciprocalNorm(e.config.hiddenRow(w, j))), 0
	}
	return over(w.GammaH[j], e.Running.VarianceH[running]), float64(e.Running.MeanH[running])
}

// inputSide is hiddenSide for Wx·x.
func (e *exporter) inputSide(j, running int) (scale, mean float64) {
	w, inputs := &e.weights, e.config.Inputs
	switch e.config.Normalization {
	case NoNorm:
		return 1, 0
	case LayerNorm:
		return float64(w.GammaX[j]), 0
	case WeightNorm:
		return float64(w.GammaX[j]) * float64(reciprocalNorm(w.Wx[j*inputs:(j+1)*inputs])), 0
	}
	return over(w.GammaX[j], e.Running.VarianceX[running]), float64(e.Running.MeanX[running])
}

// over is γ/√(variance + ε).
func over(gamma, variance float32) float64 {
	return float64(gamma) / math.Sqrt(float64(variance)+Epsilon)
}

func (e *exporter) cellTables() (scale, shift stepgraph.Table) {
	rows, d, w := e.config.runningSteps(), e.config.Units, &e.weights
	scale, shift = newTable(rows, d), newTable(rows, d)
	for at := range rows * d {
		s := over(w.GammaC[at%d], e.Running.VarianceC[at])
		scale.Values[at] = float32(s)
		shift.Values[at] = float32(float64(w.BetaC[at%d]) - s*float64(e.Running.MeanC[at]))
	}
	return scale, shift
}
