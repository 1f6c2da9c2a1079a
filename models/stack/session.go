package stack

import (
	"errors"
	"fmt"

	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/plugins/model"
)

// Session is a built stack: its layers on the [Base] of every model. It serves one
// caller at a time.
type Session struct {
	Architecture
	*Base

	layers []*layer // of all directions
	fresh  []bool   // whether each sequence starts fresh; nil if no state is carried
}

// layer is a recurrent layer in one direction, with what it keeps.
type layer struct {
	recurrent.Layer
	scan
	running *recurrent.Running // nil if the normalization has none
	// The states that training and evaluation go on from; nil if none is carried.
	trained, evaluated *recurrent.State
	noise              []float32 // on h_0, [sequences × Units]; nil without
}

// NewSession builds a network in the tensors of the request, which has those of the
// architecture's Plan. It writes the starting values of parameters and clears buffers.
func NewSession(a Architecture, request model.Build) (*Session, error) {
	base, err := NewBase(a.Name, a.Plan(), request)
	if err != nil {
		return nil, err
	}
	s := &Session{Architecture: a, Base: base}
	if err := errors.Join(s.initialise(), s.assemble()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", a.Name, err), s.Close())
	}
	return s, nil
}

// initialise writes the starting values of all parameters and clears the buffers.
func (s *Session) initialise() error {
	if err := s.Initialise(); err != nil {
		return err
	}
	for i := range s.Layers {
		for _, scan := range s.scans(i) {
			scan.config.Initialise(scan.weights(s.Value))
		}
	}
	return nil
}

// assemble builds the network's graph, from the input up.
func (s *Session) assemble() error {
	in, batch := s.input(), s.Request.Batch
	rows := s.steps() * s.Shape.Sequences
	x := graph.Tensor{Shape: []int{rows, in.Size}, Float32: batch.Float32[in.Name]}
	if s.tokens() {
		x = graph.Tensor{Shape: []int{s.steps(), s.Shape.Sequences}, Int32: batch.Int32[in.Name]}
	}
	node := s.Graph.Input("input "+in.Name, x)
	if s.Embedding > 0 {
		embedding := graph.Embedding(recurrent.NewEmbedding(s.Team, rows, in.Size, s.Embedding))
		node = s.Dropped(s.Graph.Apply(embedding, node, s.Parameter(EmbeddingName)), s.Dropout)
	}
	for i := range s.Layers {
		var layers []*layer
		for _, scan := range s.scans(i) {
			l, err := s.newLayer(scan)
			if err != nil {
				return err
			}
			layers = append(layers, l)
		}
		s.layers = append(s.layers, layers...)
		lastOnly := s.once() && i == s.Layers-1
		f := graph.Recurrent(layers[0], lastOnly)
		if s.Bidirectional {
			f = graph.Bidirectional(layers[0], layers[1], lastOnly)
		}
		node = s.Dropped(s.Graph.Apply(f, s.layerInputs(node, layers)...), s.Dropout)
	}
	return s.Classify(node, s.output(), nil)
}

// layerInputs are the nodes that the directions of one layer read: x, the lengths
// where there are any, and the parameters of each.
func (s *Session) layerInputs(x *graph.Node, layers []*layer) []*graph.Node {
	inputs := []*graph.Node{x}
	if name, masked := s.lengths(); masked {
		inputs = append(inputs, s.Graph.Input(layers[0].name("lengths"),
			graph.Tensor{Shape: []int{s.Shape.Sequences}, Int32: s.Request.Batch.Int32[name]}))
	}
	for _, l := range layers {
		for _, p := range l.config.Parameters() {
			inputs = append(inputs, s.Parameter(l.name(p.Name)))
		}
	}
	return inputs
}

// newLayer makes a layer with what it keeps.
func (s *Session) newLayer(scan scan) (*layer, error) {
	l := &layer{scan: scan}
	var err error
	if l.Layer, err = recurrent.New(s.Team, scan.config); err != nil {
		return nil, err
	}
	l.running = s.Running(scan.config, scan.name)
	if s.InitialNoise > 0 {
		l.noise = make([]float32, s.Shape.Sequences*s.Units)
	}
	if s.Shape.Carried {
		s.fresh = make([]bool, s.Shape.Sequences)
		l.trained = &recurrent.State{Hidden: s.Request.Buffers[scan.name(hiddenPart)], Cell: s.Request.Buffers[scan.name(cellPart)]}
		l.evaluated = &recurrent.State{Hidden: make([]float32, len(l.trained.Hidden)), Cell: make([]float32, len(l.trained.Cell))}
	}
	return l, nil
}

// weights are a layer's parameters, each as get finds it by its name.
func (s scan) weights(get func(name string) []float32) recurrent.Weights {
	var w recurrent.Weights
	for _, p := range s.config.Parameters() {
		*w.Field(p.Name) = get(s.name(p.Name))
	}
	return w
}
