package lstm

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
func (m *Model) Export(context.Context) (stepgraph.Graph, error) {
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
		Model: name,
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
	r, d, length := e.running[i], e.units, e.task.Length
	var t tables
	for _, table := range []*stepgraph.Table{&t.hiddenScale, &t.hiddenShift, &t.inputScale} {
		*table = stepgraph.Table{Rows: length, Values: make([]float32, length*4*d)}
	}
	for _, table := range []*stepgraph.Table{&t.cellScale, &t.cellShift} {
		*table = stepgraph.Table{Rows: length, Values: make([]float32, length*d)}
	}
	gammaH, gammaX := value("gamma_h"), value("gamma_x")
	for at := range length * 4 * d {
		j := at % (4 * d)
		var hidden float64
		if at >= 4*d || e.carry {
			hidden = scale(gammaH[j], r.VarianceH[at])
		} // else every sequence starts from h0, and Wh·h0 normalises to 0
		input := scale(gammaX[j], r.VarianceX[at])
		t.hiddenScale.Values[at], t.inputScale.Values[at] = float32(hidden), float32(input)
		t.hiddenShift.Values[at] = float32(float64(beta[j]) - hidden*float64(r.MeanH[at]) - input*float64(r.MeanX[at]))
	}
	gammaC, betaC := value("gamma_c"), value("beta_c")
	for at := range length * d {
		j := at % d
		c := scale(gammaC[j], r.VarianceC[at])
		t.cellScale.Values[at] = float32(c)
		t.cellShift.Values[at] = float32(float64(betaC[j]) - c*float64(r.MeanC[at]))
	}
	return t
}

// scale is γ/√(variance + ε).
func scale(gamma, variance float32) float64 {
	return float64(gamma) / math.Sqrt(float64(variance)+recurrent.Epsilon)
}
