package stack

import (
	"context"
	"math"
	"slices"

	"bittern/models/recurrent"
	"bittern/plugins/stepgraph"
)

// Export implements [model.Model]. The graph's output is the logits; a reader
// takes their softmax. Weights carry their parameters' names. A normalization
// with frozen statistics is one scale and one shift per time step: the shifts
// of both products and β are merged into the hidden one's, which leaves the
// tables
//
//	layer: Wh·h scale and shift [Length × 4·units], Wx·x scale the same,
//	       c scale and shift [Length × units]
//
// and of one row for all steps with shared statistics. There Wh·h has a row of
// its own for the first step: every sequence starts from h0, so Wh·h0 is a
// constant, which normalises to 0 in either case.
func (m *plugin) Export(context.Context) (stepgraph.Graph, error) {
	s, err := m.built()
	if err != nil {
		return stepgraph.Graph{}, err
	}
	if err := s.calibrated(); err != nil {
		return stepgraph.Graph{}, err
	}
	return s.export(), nil
}

// exporter gathers the nodes of a graph.
type exporter struct {
	*session
	graph stepgraph.Graph
}

func (s *session) export() stepgraph.Graph {
	e := &exporter{session: s, graph: stepgraph.Graph{
		Model: s.Name,
		Input: stepgraph.Input{Name: "x", Token: s.tokens(), Size: s.task.InputSize},
	}}
	x, token := e.graph.Input.Name, s.tokens()
	if s.embedding > 0 {
		x = e.add(stepgraph.Node{Name: "embedding", Op: stepgraph.Lookup, Inputs: []string{x}, Size: s.embedding, Weight: embeddingName})
		token = false
	}
	for i := range s.depth {
		x = e.layer(i, x, token)
		token = false
	}
	x = e.add(stepgraph.Node{Name: "W·h", Op: stepgraph.MatVec, Inputs: []string{x}, Size: s.task.OutputSize, Weight: softmaxName})
	e.graph.Output = e.add(stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{x}, Size: s.task.OutputSize,
		Shift: stepgraph.Table{Rows: 1, Values: slices.Clone(s.effective(biasName))}})
	return e.graph
}

func (e *exporter) add(n stepgraph.Node) string {
	e.graph.Nodes = append(e.graph.Nodes, n)
	return n.Name
}

// layer adds recurrent layer i over the value x and returns its output.
func (e *exporter) layer(i int, x string, token bool) string {
	d := e.units
	at := func(part string) string { return layerName(i, part) }
	op := func(name string, op stepgraph.Op, size int, inputs ...string) string {
		return e.add(stepgraph.Node{Name: at(name), Op: op, Inputs: inputs, Size: size})
	}
	for _, state := range []string{"h", "c"} {
		e.graph.States = append(e.graph.States, stepgraph.State{
			Name: at(state), Size: d, Init: slices.Clone(e.effective(at(state + "0"))), Next: at(state + "'")})
	}
	input := stepgraph.MatVec
	if token {
		input = stepgraph.Lookup
	}
	hidden := e.add(stepgraph.Node{Name: at("Wh·h"), Op: stepgraph.MatVec, Inputs: []string{at("h")}, Size: 4 * d, Weight: at("Wh"), Recurrent: true})
	in := e.add(stepgraph.Node{Name: at("Wx·x"), Op: input, Inputs: []string{x}, Size: 4 * d, Weight: at("Wx"), Recurrent: true})
	t := e.tables(i)
	hidden = e.add(stepgraph.Node{Name: at("BN(Wh·h)"), Op: stepgraph.ScaleShift, Inputs: []string{hidden}, Size: 4 * d, Scale: t.hiddenScale, Shift: t.hiddenShift})
	if e.batchNorm {
		in = e.add(stepgraph.Node{Name: at("BN(Wx·x)"), Op: stepgraph.ScaleShift, Inputs: []string{in}, Size: 4 * d, Scale: t.inputScale})
	}
	a := op("a", stepgraph.Add, 4*d, hidden, in)
	gate := map[string]string{}
	for k, letter := range []string{"g", "f", "i", "o"} {
		part := e.add(stepgraph.Node{Name: at("a." + letter), Op: stepgraph.Slice, Inputs: []string{a}, Size: d, Offset: k * d})
		activation := stepgraph.Sigmoid
		if letter == "g" {
			activation = stepgraph.Tanh
		}
		gate[letter] = op(letter, activation, d, part)
	}
	c := op("c'", stepgraph.Add, d, op("f∘c", stepgraph.Mul, d, gate["f"], at("c")), op("i∘g", stepgraph.Mul, d, gate["i"], gate["g"]))
	if e.batchNorm {
		c = e.add(stepgraph.Node{Name: at("BN(c)"), Op: stepgraph.ScaleShift, Inputs: []string{c}, Size: d, Scale: t.cellScale, Shift: t.cellShift})
	}
	return op("h'", stepgraph.Mul, d, gate["o"], op("tanh c", stepgraph.Tanh, d, c))
}

// tables are one layer's normalizations, one row a time step.
type tables struct {
	hiddenScale, hiddenShift, inputScale, cellScale, cellShift stepgraph.Table
}

func (e *exporter) tables(i int) tables {
	value := func(part string) []float32 { return e.effective(layerName(i, part)) }
	beta := value("beta")
	if !e.batchNorm {
		return tables{hiddenShift: stepgraph.Table{Rows: 1, Values: slices.Clone(beta)}}
	}
	r, d, steps := e.running[i], e.units, e.runningSteps()
	gammaH, gammaX, gammaC, betaC := value("gamma_h"), value("gamma_x"), value("gamma_c"), value("beta_c")
	hiddenSteps := steps
	if e.shared {
		hiddenSteps = min(2, e.task.Length)
	}
	t := tables{
		hiddenScale: newTable(hiddenSteps, 4*d), hiddenShift: newTable(hiddenSteps, 4*d),
		inputScale: newTable(steps, 4*d), cellScale: newTable(steps, d), cellShift: newTable(steps, d),
	}
	for step := range hiddenSteps {
		for j := range 4 * d {
			at := min(step, steps-1)*4*d + j
			var hidden float64
			if step > 0 {
				hidden = scale(gammaH[j], r.VarianceH[at])
			}
			input := scale(gammaX[j], r.VarianceX[at])
			t.inputScale.Values[at] = float32(input)
			t.hiddenScale.Values[step*4*d+j] = float32(hidden)
			t.hiddenShift.Values[step*4*d+j] = float32(float64(beta[j]) - hidden*float64(r.MeanH[at]) - input*float64(r.MeanX[at]))
		}
	}
	for at := range steps * d {
		c := scale(gammaC[at%d], r.VarianceC[at])
		t.cellScale.Values[at] = float32(c)
		t.cellShift.Values[at] = float32(float64(betaC[at%d]) - c*float64(r.MeanC[at]))
	}
	return t
}

func newTable(rows, size int) stepgraph.Table {
	return stepgraph.Table{Rows: rows, Values: make([]float32, rows*size)}
}

// scale is γ/√(variance + ε).
func scale(gamma, variance float32) float64 {
	return float64(gamma) / math.Sqrt(float64(variance)+recurrent.Epsilon)
}
