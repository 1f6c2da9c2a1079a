package recurrent

import (
	"fmt"
	"math"

	"bittern/plugins/stepgraph"
)

// Export implements [Layer]. Values and weights have the names of the layer's
// equations: states "h" and "c", products "Wh·h" and "Wx·x", weights "Wh" and "Wx".
// A normalization is one ScaleShift of each product, with a row for every step
// of the scan, or one for all steps: a first step apart where the state it starts from is a
// constant of the batch, which statistics normalise to 0. The shifts of products
// that are added up are merged into the first one's.
func (l *layer) Export(w Weights, e Export) (string, error) {
	c := l.config
	switch {
	case c.Normalization == LayerNorm:
		return "", fmt.Errorf("%s: a step graph has no operation for layer normalization", c.Kind)
	case c.ResetBefore:
		return "", fmt.Errorf("%s: a step graph has no product with a part of a matrix, which a reset gate before it needs", c.Kind)
	}
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

// state adds a state that takes the value next, and returns its name.
func (e *exporter) state(name string, initial []float32, next string) string {
	e.Graph.States = append(e.Graph.States, stepgraph.State{
		Name: e.Name(name), Size: e.config.Units, Init: append([]float32(nil), initial...), Next: e.Name(next)})
	return e.Name(name)
}

// products adds both products and their normalizations.
func (e *exporter) products(h string) (hidden, input string) {
	wide := e.config.Kind.gates() * e.config.Units
	look := stepgraph.MatVec
	if e.config.Tokens {
		look = stepgraph.Lookup
	}
	hidden = e.add(stepgraph.Node{Name: "Wh·h", Op: stepgraph.MatVec, Inputs: []string{h}, Size: wide, Weight: e.Name("Wh"), Recurrent: true})
	input = e.add(stepgraph.Node{Name: "Wx·x", Op: look, Inputs: []string{e.Input}, Size: wide, Weight: e.Name("Wx"), Recurrent: true})
	t := e.tables()
	hidden = e.add(stepgraph.Node{Name: "N(Wh·h)", Op: stepgraph.ScaleShift, Inputs: []string{hidden}, Size: wide, Scale: t.hiddenScale, Shift: t.hiddenShift})
	if t.inputScale.Rows > 0 || t.inputShift.Rows > 0 {
		input = e.add(stepgraph.Node{Name: "N(Wx·x)", Op: stepgraph.ScaleShift, Inputs: []string{input}, Size: wide, Scale: t.inputScale, Shift: t.inputShift})
	}
	return hidden, input
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
	h, before := e.state("h", e.weights.H0, "h'"), e.state("c", e.weights.C0, "c'")
	hidden, input := e.products(h)
	a := e.op("a", stepgraph.Add, lstmGates*d, hidden, input)
	g := e.gate("g", 0, a, stepgraph.Tanh)
	f, i, o := e.gate("f", 1, a, stepgraph.Sigmoid), e.gate("i", 2, a, stepgraph.Sigmoid), e.gate("o", 3, a, stepgraph.Sigmoid)
	c := e.op("c'", stepgraph.Add, d, e.op("f∘c", stepgraph.Mul, d, f, before), e.op("i∘g", stepgraph.Mul, d, i, g))
	if e.config.NormalizeCell {
		scale, shift := e.cellTables()
		c = e.add(stepgraph.Node{Name: "N(c)", Op: stepgraph.ScaleShift, Inputs: []string{c}, Size: d, Scale: scale, Shift: shift})
	}
	return e.op("h'", stepgraph.Mul, d, o, e.op("tanh c", stepgraph.Tanh, d, c))
}

func (e *exporter) gru() string {
	d := e.config.Units
	h := e.state("h", e.weights.H0, "h'")
	hidden, input := e.products(h)
	a := e.op("a", stepgraph.Add, gruGates*d, hidden, input)
	r, z := e.gate("r", gateR, a, stepgraph.Sigmoid), e.gate("z", gateZ, a, stepgraph.Sigmoid)
	inner := e.op("r∘N(Wh·h)", stepgraph.Mul, d, r, e.slice("N(Wh·h).n", hidden, gateN))
	n := e.op("n", stepgraph.Tanh, d, e.op("a.n", stepgraph.Add, d, e.slice("N(Wx·x).n", input, gateN), inner))
	rest := e.add(stepgraph.Node{Name: "1−z", Op: stepgraph.ScaleShift, Inputs: []string{z}, Size: d,
		Scale: constant(d, -1), Shift: constant(d, 1)})
	return e.op("h'", stepgraph.Add, d, e.op("(1−z)∘n", stepgraph.Mul, d, rest, n), e.op("z∘h", stepgraph.Mul, d, z, h))
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

// tables are the normalizations of both products.
type tables struct{ hiddenScale, hiddenShift, inputScale, inputShift stepgraph.Table }

func (e *exporter) tables() (t tables) {
	c, w := e.config, &e.weights
	wide := c.Kind.gates() * c.Units
	rows, hiddenRows := 1, 1
	if c.Normalization.Batch() {
		rows = c.runningSteps()
		hiddenRows = max(rows, min(c.Steps, 1+c.firstHidden(0)))
	}
	t.hiddenShift = newTable(hiddenRows, wide)
	if c.Normalization != NoNorm {
		t.hiddenScale, t.inputScale = newTable(hiddenRows, wide), newTable(rows, wide)
	}
	if c.resetAfter() {
		t.inputShift = newTable(rows, wide)
	}
	for row := range hiddenRows {
		for j := range wide {
			running := min(row, rows-1)*wide + j
			hidden, meanH := e.side(w.GammaH, w.Wh, j, running, true)
			input, meanX := e.side(w.GammaX, w.Wx, j, running, false)
			if row == 0 && c.Normalization.Batch() && c.startsConstant(j/c.Units) {
				hidden = 0
			}
			shiftH, shiftX := -hidden*meanH, float64(w.Beta[j])-input*meanX
			if c.hiddenBias() {
				shiftH += float64(w.BetaH[j])
			}
			if c.ownBiases() {
				shiftX += float64(w.BetaX[j])
			}
			if c.resetAfter() && j/c.Units == gateN {
				t.inputShift.Values[running] = float32(shiftX)
				shiftX = 0
			}
			t.hiddenShift.Values[row*wide+j] = float32(shiftH + shiftX)
			if c.Normalization != NoNorm {
				t.hiddenScale.Values[row*wide+j], t.inputScale.Values[running] = float32(hidden), float32(input)
			}
		}
	}
	return t
}

// side is the scale of column j of a product and the mean it takes off.
func (e *exporter) side(gamma, matrix []float32, j, running int, hidden bool) (scale, mean float64) {
	switch e.config.Normalization {
	case NoNorm:
		return 1, 0
	case WeightNorm:
		width := len(matrix) / len(gamma)
		return float64(gamma[j]) * float64(reciprocalNorm(matrix[j*width:(j+1)*width])), 0
	}
	r := e.Running
	if hidden {
		return over(gamma[j], r.VarianceH[running]), float64(r.MeanH[running])
	}
	return over(gamma[j], r.VarianceX[running]), float64(r.MeanX[running])
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
