package attentivereader

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// session is a built network: its tensors, the operators and the two programs
// made of them. It serves one caller at a time.
type session struct {
	architecture
	request model.Build
	planned model.Plan
	team    *team.Team

	readers  [2]*recurrent.Reader // of the document and the question
	running  [2][recurrent.Directions]*recurrent.Running
	dropouts []*recurrent.Dropout
	softmax  *recurrent.Softmax
	loss     graph.Function

	hidden  []float32      // g, which the softmax reads
	forward *graph.Program // up to hidden
	train   *graph.Program // the loss and every gradient

	optimiser *stack.Optimiser
}

// newSession builds a network in the tensors of the request and writes the starting
// values of parameters and buffers.
func newSession(a architecture, request model.Build) (*session, error) {
	s := &session{architecture: a, request: request, planned: a.plan()}
	if err := errors.Join(stack.CheckTensors(s.planned, request), request.Batch.Fits(request.Shape)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.team = team.New(request.Threads)
	if err := s.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.Close())
	}
	return s, nil
}

func (s *session) build() (err error) {
	if err := errors.Join(s.initialise(), s.assemble()); err != nil {
		return err
	}
	var parameters []model.Tensors
	for _, p := range s.planned.Parameters {
		parameters = append(parameters, s.request.Parameters[p.Name])
	}
	s.optimiser, err = stack.NewOptimiser(s.team, s.request.Optimiser, parameters)
	return err
}

// Close ends what there is of the session, which need not be complete.
func (s *session) Close() error {
	s.team.Close()
	var err error
	for _, p := range []*graph.Program{s.forward, s.train} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// initialise writes the starting values of all parameters and clears the buffers. Matrices
// start orthogonal, as Ardakani et al. have those of layers and softmax, the embedding
// uniform in ±0.1 (Hermann et al. start all weights so), biases as 0 and the rest of a layer
// as [recurrent.Config.Initialise] gives it.
func (s *session) initialise() error {
	products := matmul.New(s.team)
	for _, p := range s.planned.Parameters {
		value, random := s.value(p.Name), stack.Random(s.request.Seed, p.Name)
		switch {
		case p.Name == embeddingName:
			for i := range value {
				value[i] = 0.2*random.Float32() - 0.1
			}
		case len(p.Shape) == 2:
			if err := stack.Orthogonal(value, p.Shape[0], p.Shape[1], random, products); err != nil {
				return err
			}
		default:
			clear(value)
		}
	}
	for i, read := range s.streams() {
		for direction := range recurrent.Directions {
			s.layer(read).Initialise(s.weights(i, direction, s.value))
		}
	}
	for _, b := range s.planned.Buffers {
		clear(s.request.Buffers[b.Name])
	}
	return nil
}

// assemble builds the network's graph, from the tokens up.
func (s *session) assemble() error {
	g := graph.New()
	batch := s.shape.Sequences
	tokens := func(read stream) *graph.Node {
		return g.Input(read.tokens, graph.Tensor{Shape: []int{read.steps, batch}, Int32: s.request.Batch.Int32[read.tokens]})
	}
	// A node is the input of one function; the document's lengths are that of two.
	lengths := func(read stream, of string) *graph.Node {
		return g.Input(read.lengths+" of the "+of, graph.Tensor{Shape: []int{batch}, Int32: s.request.Batch.Int32[read.lengths]})
	}
	embedding := graph.StreamEmbedding(recurrent.NewEmbedding(s.team, (s.document.steps+s.question.steps)*batch, s.vocabulary, s.embedding))
	x := s.dropped(g, g.Apply(embedding, tokens(s.document), tokens(s.question), s.parameter(g, embeddingName)), embedding)

	for i, read := range s.streams() {
		var err error
		if s.readers[i], err = recurrent.NewReader(s.team, s.layer(read), i == 1); err != nil {
			return err
		}
		for direction := range recurrent.Directions {
			s.running[i][direction] = s.runningStatistics(i, direction)
		}
	}
	readers, err := graph.Readers(s.readers[0], s.readers[1])
	if err != nil {
		return err
	}
	inputs := []*graph.Node{x, lengths(s.document, "readers"), lengths(s.question, "readers")}
	for _, name := range graph.ReaderInputs(s.layer(s.document), layerName)[len(inputs):] {
		inputs = append(inputs, s.parameter(g, name))
	}
	y := s.dropped(g, g.Apply(readers, inputs...), readers)

	attention := graph.Attention(recurrent.NewAttention(s.team, s.attention()))
	inputs = []*graph.Node{y, lengths(s.document, "attention")}
	for _, t := range s.attention().Parameters() {
		inputs = append(inputs, s.parameter(g, attentionName+t.Name))
	}
	s.hidden = attention.Output().Float32
	h := s.dropped(g, g.Apply(attention, inputs...), attention)
	if s.forward, err = g.Compile(); err != nil {
		return err
	}

	s.softmax = recurrent.NewSoftmax(s.team, s.architecture.softmax())
	s.softmax.Candidates = s.request.Batch.Int32[s.candidates] // nil where there are none
	s.loss = graph.SoftmaxLoss(s.softmax)
	loss := g.Apply(s.loss, h, s.parameter(g, softmaxName), s.parameter(g, biasName),
		g.Input(network.TensorTargets, graph.Tensor{Shape: []int{batch}, Int32: s.request.Batch.Targets}))
	s.train, err = g.Differentiate(loss)
	return err
}

// dropped puts dropout on x, the output of f, where the network has it.
func (s *session) dropped(g *graph.Graph, x *graph.Node, f graph.Function) *graph.Node {
	if s.dropout == 0 {
		return x
	}
	d := recurrent.NewDropout(s.team, len(f.Output().Float32), s.dropout)
	s.dropouts = append(s.dropouts, d)
	s.hidden = d.Output()
	return g.Apply(graph.Dropout(d), x)
}

// parameter adds a parameter to the graph, with its gradient.
func (s *session) parameter(g *graph.Graph, name string) *graph.Node {
	for _, p := range s.planned.Parameters {
		if p.Name == name {
			return g.Parameter(name, graph.Tensor{Shape: p.Shape, Float32: s.effective(name)}, s.request.Parameters[name].Grad)
		}
	}
	panic(name + " is no parameter")
}

// value is what a parameter is trained as.
func (s *session) value(name string) []float32 { return s.request.Parameters[name].Value }

// effective is what the network computes with: a parameter's quantized tensor
// where there is one.
func (s *session) effective(name string) []float32 {
	if t := s.request.Parameters[name]; t.Quantized != nil {
		return t.Quantized
	}
	return s.value(name)
}

// weights are the parameters of a layer, each as get finds it by its name.
func (s *session) weights(stream, direction int, get func(name string) []float32) (w recurrent.Weights) {
	for _, p := range s.layer(s.streams()[stream]).Parameters() {
		*w.Field(p.Name) = get(layerName(stream, direction, p.Name))
	}
	return w
}

// runningStatistics are a layer's buffers of them; nil where its normalization has none.
func (s *session) runningStatistics(stream, direction int) *recurrent.Running {
	if !s.normalization.Batch() {
		return nil
	}
	r := &recurrent.Running{}
	for _, b := range s.layer(s.streams()[stream]).Buffers() {
		*r.Field(b.Name) = s.request.Buffers[layerName(stream, direction, b.Name)]
	}
	return r
}

// step runs forward and backward on the batch and writes the gradients of all parameters.
func (s *session) step(request model.Step) (model.StepResult, error) {
	s.prepare(recurrent.Batch)
	for i, d := range s.dropouts {
		d.Off, d.Key = false, stack.StepKey(s.request.Seed, request.Number, i)
	}
	if err := s.train.Run(); err != nil {
		return model.StepResult{}, err
	}
	return model.StepResult{Loss: float64(s.loss.Output().Float32[0])}, nil
}

// evaluate runs forward on the batch, without dropout. Without a normalization of
// batches all statistics are one.
func (s *session) evaluate(request model.Evaluate) (network.Score, error) {
	statistics, err := s.statistics(request)
	if err != nil {
		return network.Score{}, err
	}
	s.prepare(statistics)
	for _, d := range s.dropouts {
		d.Off = true
	}
	if err := s.forward.Run(); err != nil {
		return network.Score{}, err
	}
	if statistics == recurrent.Calibrate {
		s.request.Buffers[sequencesName][0] = float32(s.running[0][0].Sequences)
	}
	return s.softmax.Score(s.effective(softmaxName), s.effective(biasName), s.hidden, s.request.Batch.Targets)
}

// statistics turns the request's into the layers'.
func (s *session) statistics(request model.Evaluate) (recurrent.Statistics, error) {
	if !s.normalization.Batch() {
		return recurrent.Batch, nil
	}
	switch request.Statistics {
	case model.Batch:
		return recurrent.Batch, nil
	case model.Calibrate:
		if request.First {
			s.request.Buffers[sequencesName][0] = 0
		}
		return recurrent.Calibrate, nil
	case model.Frozen:
		return recurrent.Frozen, s.calibrated()
	}
	return 0, fmt.Errorf("%s: there are no statistics %q", name, request.Statistics)
}

// calibrated is an error unless the running statistics hold anything.
func (s *session) calibrated() error {
	if s.normalization.Batch() && s.request.Buffers[sequencesName][0] == 0 {
		return fmt.Errorf("%s: the frozen statistics are empty; evaluate with %q first", name, model.Calibrate)
	}
	return nil
}

// prepare sets how the layers run.
func (s *session) prepare(statistics recurrent.Statistics) {
	for i, reader := range s.readers {
		for direction := range recurrent.Directions {
			running := s.running[i][direction]
			if running != nil { // the buffer is what a checkpoint restores
				running.Sequences = float64(s.request.Buffers[sequencesName][0])
			}
			reader.Layer(direction).Prepare(recurrent.Pass{Statistics: statistics, Running: running})
		}
	}
}
