package attentivereader

import (
	"slices"

	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// The stages of the exported program.
const (
	askedStage   = "question"          // Wum·u, once
	scoreStage   = "score"             // wms·m(t), at every step of the document
	attendStage  = "attention"         // s(t)
	forwardStage = "attended.forward"  // r's part of what was read forward
	backStage    = "attended.backward" // and of what was read backward
	logitsStage  = "logits"
)

// Export returns the deployed network: a scan of the embedded tokens for each of the four
// layers, whose time steps [recurrent.Layer] exports, and the attention over their outputs.
// Weights have the names of their parameters. Batch normalization needs running
// statistics, which Evaluate gathers.
func (s *session) Export() (network.Network, error) {
	if err := s.Calibrated(); err != nil {
		return network.Network{}, err
	}
	e := exporter{session: s, taken: map[string]bool{}}
	for _, in := range s.shape.Inputs {
		e.taken[in.Name] = true
	}
	var read [2][recurrent.Directions]string
	for i := range read {
		for direction := range recurrent.Directions {
			var err error
			if read[i][direction], err = e.scan(i, direction); err != nil {
				return network.Network{}, err
			}
		}
	}
	y, u := read[0], read[1]
	d, units := 2*s.units, s.units

	asked := newBoard(units, "u.forward", "u.backward")
	asked.matvec("Wum·u", asked.concat("u", d, "u.forward", "u.backward"), attentionName+"Wum", units)
	given := e.add(askedStage, network.Stage{Op: network.Scan, Inputs: u[:], Graph: asked.Graph})

	score := newBoard(units, "y.forward", "y.backward")
	score.Inputs = append(score.Inputs, stepgraph.Input{Name: "Wum·u", Size: units})
	m := score.tanh("m", score.matvec("Wym·y", score.concat("y", d, "y.forward", "y.backward"), attentionName+"Wym", units), "Wum·u", units)
	score.matvec("wms·m", m, attentionName+"wms", 1)
	scores := e.add(scoreStage, network.Stage{Op: network.Scan, Inputs: append(y[:], given), Graph: score.Graph})

	weights := e.add(attendStage, network.Stage{Op: network.Softmax, Inputs: []string{scores}})
	forward := e.add(forwardStage, network.Stage{Op: network.WeightedSum, Inputs: []string{weights, y[recurrent.ReadForward]}})
	back := e.add(backStage, network.Stage{Op: network.WeightedSum, Inputs: []string{weights, y[recurrent.ReadBackward]}})

	answer := newBoard(units, "r.forward", "r.backward", "u.forward", "u.backward")
	fromText := answer.matvec("Wrg·r", answer.concat("r", d, "r.forward", "r.backward"), attentionName+"Wrg", units)
	fromQuestion := answer.matvec("Wug·u", answer.concat("u", d, "u.forward", "u.backward"), attentionName+"Wug", units)
	g := answer.tanh("g", fromText, fromQuestion, units)
	answer.add(stepgraph.Node{Name: "logits", Op: stepgraph.ScaleShift, Size: s.shape.Classes,
		Inputs: []string{answer.matvec("W·g", g, stack.SoftmaxName, s.shape.Classes)},
		Shift:  stepgraph.Table{Rows: 1, Values: slices.Clone(s.Effective(stack.BiasName))}})
	logits := e.add(logitsStage, network.Stage{Op: network.Scan, Inputs: append([]string{forward, back}, u[:]...), Graph: answer.Graph})

	return network.Network{Model: name, Inputs: slices.Clone(s.shape.Inputs), Stages: e.stages, Output: logits}, nil
}

// exporter collects the stages of a program.
type exporter struct {
	*session
	stages []network.Stage
	taken  map[string]bool // names of inputs and stages
}

// add adds a stage and returns its name: the given one, or one like it if an input has
// that.
func (e *exporter) add(name string, s network.Stage) string {
	for e.taken[name] {
		name += "'"
	}
	e.taken[name] = true
	s.Name = name
	e.stages = append(e.stages, s)
	return name
}

// scan adds the scan of a stream, in a direction, by its layer.
func (e *exporter) scan(stream, direction int) (string, error) {
	read := e.streams()[stream]
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: e.vocabulary}},
		Nodes:  []stepgraph.Node{{Name: "E·x", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: e.embedding, Weight: stack.EmbeddingName}},
	}
	output, err := e.readers[stream].Layer(direction).Export(e.weights(stream, direction, e.Effective), recurrent.Export{
		Graph: &g, Input: "E·x", Running: e.running[stream][direction],
		Name: func(part string) string { return layerName(stream, direction, part) },
	})
	if err != nil {
		return "", err
	}
	g.Output = output
	return e.add(layerName(stream, direction, "scan"), network.Stage{
		Op: network.Scan, Inputs: []string{read.tokens}, Graph: g, Reverse: direction == recurrent.ReadBackward, Last: stream == 1,
	}), nil
}

// board is a step graph under construction; the last node that was added is its output.
type board struct{ stepgraph.Graph }

// newBoard starts a graph with inputs of one size.
func newBoard(size int, inputs ...string) *board {
	b := &board{}
	for _, name := range inputs {
		b.Inputs = append(b.Inputs, stepgraph.Input{Name: name, Size: size})
	}
	return b
}

func (b *board) add(n stepgraph.Node) string {
	b.Nodes, b.Output = append(b.Nodes, n), n.Name
	return n.Name
}

func (b *board) concat(name string, size int, x, y string) string {
	return b.add(stepgraph.Node{Name: name, Op: stepgraph.Concat, Inputs: []string{x, y}, Size: size})
}

func (b *board) matvec(name, x, weight string, size int) string {
	return b.add(stepgraph.Node{Name: name, Op: stepgraph.MatVec, Inputs: []string{x}, Size: size, Weight: weight})
}

// tanh adds the tanh of x + y under a name.
func (b *board) tanh(name, x, y string, size int) string {
	sum := b.add(stepgraph.Node{Name: x + " + " + y, Op: stepgraph.Add, Inputs: []string{x, y}, Size: size})
	return b.add(stepgraph.Node{Name: name, Op: stepgraph.Tanh, Inputs: []string{sum}, Size: size})
}
