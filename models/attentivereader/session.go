package attentivereader

import (
	"errors"
	"fmt"

	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// session is a built network: the readers, on top of the base of every model's session. It
// serves one caller at a time.
type session struct {
	architecture
	*stack.Base

	readers [2]*recurrent.Reader // of the document and the question
	attends *recurrent.Attention
	running [2][recurrent.Directions]*recurrent.Running
}

// newSession builds a network in the tensors of the request and writes the starting
// values of parameters and buffers.
func newSession(a architecture, request model.Build) (*session, error) {
	base, err := stack.NewBase(name, a.plan(), request)
	if err != nil {
		return nil, err
	}
	s := &session{architecture: a, Base: base}
	if err := errors.Join(s.initialise(), s.assemble()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.Close())
	}
	return s, nil
}

// initialise writes the starting values of all parameters and clears the buffers.
func (s *session) initialise() error {
	if err := s.Initialise(); err != nil {
		return err
	}
	for i, read := range s.streams() {
		for direction := range recurrent.Directions {
			s.layer(read).Initialise(s.weights(i, direction, s.Value))
		}
	}
	return nil
}

// assemble builds the network's graph, from the tokens up.
func (s *session) assemble() error {
	g := s.Graph
	batch := s.shape.Sequences
	tokens := func(read stream) *graph.Node {
		return g.Input(read.tokens, graph.Tensor{Shape: []int{read.steps, batch}, Int32: s.Request.Batch.Int32[read.tokens]})
	}
	// A node is the input of one function; the document's lengths are that of two.
	lengths := func(read stream, of string) *graph.Node {
		return g.Input(read.lengths+" of the "+of, graph.Tensor{Shape: []int{batch}, Int32: s.Request.Batch.Int32[read.lengths]})
	}
	embedding := graph.StreamEmbedding(recurrent.NewEmbedding(s.Team, (s.document.steps+s.question.steps)*batch, s.vocabulary, s.embedding))
	x := s.Dropped(g.Apply(embedding, tokens(s.document), tokens(s.question), s.Parameter(stack.EmbeddingName)), s.dropout)

	for i, read := range s.streams() {
		var err error
		if s.readers[i], err = recurrent.NewReader(s.Team, s.layer(read), i == 1); err != nil {
			return err
		}
		for direction := range recurrent.Directions {
			s.running[i][direction] = s.Running(s.layer(read), func(part string) string { return layerName(i, direction, part) })
		}
	}
	readers, err := graph.Readers(s.readers[0], s.readers[1])
	if err != nil {
		return err
	}
	inputs := []*graph.Node{x, lengths(s.document, "readers"), lengths(s.question, "readers")}
	for _, name := range graph.ReaderInputs(s.layer(s.document), layerName)[len(inputs):] {
		inputs = append(inputs, s.Parameter(name))
	}
	y := s.Dropped(g.Apply(readers, inputs...), s.dropout)

	s.attends = recurrent.NewAttention(s.Team, s.attention())
	inputs = []*graph.Node{y, lengths(s.document, "attention")}
	for _, t := range s.attention().Parameters() {
		inputs = append(inputs, s.Parameter(attentionName+t.Name))
	}
	h := s.Dropped(g.Apply(graph.Attention(s.attends), inputs...), s.dropout)
	return s.Classify(h, s.softmax(), s.Request.Batch.Int32[s.candidates]) // nil where there are none
}

// weights returns the parameters of a layer; get finds each by its name.
func (s *session) weights(stream, direction int, get func(name string) []float32) (w recurrent.Weights) {
	for _, p := range s.layer(s.streams()[stream]).Parameters() {
		*w.Field(p.Name) = get(layerName(stream, direction, p.Name))
	}
	return w
}

// Step runs forward and backward on the batch and writes the gradients of all parameters.
func (s *session) Step(request model.Step) (model.StepResult, error) {
	s.prepare(recurrent.Pass{Statistics: recurrent.Batch, BFloat16: s.Request.Arithmetic == model.BFloat16})
	return s.Base.Step(request)
}

// Evaluate runs forward on the batch, without dropout. The requested statistics only matter
// with batch normalization.
func (s *session) Evaluate(request model.Evaluate) (network.Score, error) {
	statistics, err := s.Statistics(request)
	if err != nil {
		return network.Score{}, err
	}
	s.prepare(recurrent.Pass{Statistics: statistics, BFloat16: request.Arithmetic == model.BFloat16})
	return s.Score(request, statistics)
}

// prepare sets how the readers and the attention run.
func (s *session) prepare(pass recurrent.Pass) {
	s.attends.BFloat16 = pass.BFloat16
	for i, reader := range s.readers {
		for direction, running := range s.running[i] {
			pass.Running = running
			reader.Layer(direction).Prepare(pass)
		}
	}
}
