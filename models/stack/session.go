package stack

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/team"
	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/plugins/model"
)

// Session is a built stack: its tensors, the operators and the two programs
// made of them. It serves one caller at a time.
type Session struct {
	Architecture
	request model.Build
	plan    model.Plan
	team    *team.Team

	layers   []recurrent.Layer
	running  []*recurrent.Running // nil where a normalization has none
	dropouts []*recurrent.Dropout
	softmax  *recurrent.Softmax
	loss     graph.Function

	hidden  []float32      // what the softmax reads
	forward *graph.Program // up to hidden
	train   *graph.Program // the loss and every gradient

	optimiser *Optimiser
}

// NewSession builds a network in the tensors of the request, which has those of the
// architecture's Plan. It writes the starting values of parameters and clears buffers.
// Inputs are, of a task over tokens, Int32 "inputs" [Length × Batch], else Float32
// "inputs" [Length × Batch × InputSize]; and Int32 "targets", [Length × Batch] or
// of a classifier [Batch].
func NewSession(a Architecture, request model.Build) (*Session, error) {
	s := &Session{Architecture: a, request: request, plan: a.Plan()}
	if err := s.checkTensors(); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	s.team = team.New(request.Threads)
	if err := s.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", a.Name, err), s.Close())
	}
	return s, nil
}

func (s *Session) build() (err error) {
	if err := errors.Join(s.initialise(), s.assemble()); err != nil {
		return err
	}
	var parameters []model.Tensors
	for _, p := range s.plan.Parameters {
		parameters = append(parameters, s.request.Parameters[p.Name])
	}
	s.optimiser, err = NewOptimiser(s.team, s.request.Optimiser, parameters)
	return err
}

// Close ends what there is of the session, which need not be complete.
func (s *Session) Close() error {
	s.team.Close()
	var err error
	for _, p := range []*graph.Program{s.forward, s.train} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// Update takes one step of the optimiser on the gradients that Step wrote.
func (s *Session) Update(request model.Update) (model.UpdateResult, error) {
	return s.optimiser.Update(request)
}

func (s *Session) checkTensors() error {
	t, in := s.Task, s.request.Inputs
	err := CheckTensors(s.plan, s.request)
	if s.tokens() {
		err = errors.Join(err, checkLength("input inputs", len(in.Int32["inputs"]), t.Length, t.Batch))
	} else {
		err = errors.Join(err, checkLength("input inputs", len(in.Float32["inputs"]), t.Length, t.Batch, t.InputSize))
	}
	return errors.Join(err, checkLength("input targets", len(in.Int32["targets"]), s.output().Steps, t.Batch))
}

// assemble builds the network's graph, from the input up.
func (s *Session) assemble() error {
	g := graph.New()
	var x *graph.Node
	if s.tokens() {
		x = g.Input("inputs", graph.Tensor{Shape: []int{s.Task.Length, s.Task.Batch}, Int32: s.request.Inputs.Int32["inputs"]})
	} else {
		x = g.Input("inputs", graph.Tensor{Shape: []int{s.Task.Length * s.Task.Batch, s.Task.InputSize}, Float32: s.request.Inputs.Float32["inputs"]})
	}
	if s.Embedding > 0 {
		e := graph.Embedding(recurrent.NewEmbedding(s.team, s.Task.Length*s.Task.Batch, s.Task.InputSize, s.Embedding))
		x = s.dropped(g, g.Apply(e, x, s.parameter(g, embeddingName)), e)
	}
	for i := range s.Layers {
		layer, err := recurrent.New(s.team, s.Layer(i))
		if err != nil {
			return err
		}
		inputs := []*graph.Node{x}
		for _, part := range graph.LayerInputs(layer.Config())[1:] {
			inputs = append(inputs, s.parameter(g, layerName(i, part)))
		}
		f := graph.Recurrent(layer)
		x = g.Apply(f, inputs...)
		s.hidden = f.Output().Float32
		if s.Task.Kind == model.SequenceClassification && i == s.Layers-1 {
			f = graph.LastStep(recurrent.NewLastStep(s.Task.Length, s.Task.Batch*s.Units))
			x = g.Apply(f, x)
			s.hidden = f.Output().Float32
		}
		x = s.dropped(g, x, f)
		s.layers = append(s.layers, layer)
		s.running = append(s.running, s.runningStatistics(i))
	}
	var err error
	if s.forward, err = g.Compile(); err != nil {
		return err
	}
	s.softmax = recurrent.NewSoftmax(s.team, s.output())
	s.loss = graph.SoftmaxLoss(s.softmax)
	targets := s.request.Inputs.Int32["targets"]
	loss := g.Apply(s.loss, x, s.parameter(g, softmaxName), s.parameter(g, biasName),
		g.Input("targets", graph.Tensor{Shape: []int{len(targets)}, Int32: targets}))
	s.train, err = g.Differentiate(loss)
	return err
}

// parameter adds a parameter to the graph, with its gradient.
func (s *Session) parameter(g *graph.Graph, name string) *graph.Node {
	t := s.request.Parameters[name]
	return g.Parameter(name, graph.Tensor{Shape: s.shape(name), Float32: s.effective(name)}, t.Grad)
}

// effective is what the network computes with: a parameter's quantized tensor
// where there is one.
func (s *Session) effective(name string) []float32 {
	t := s.request.Parameters[name]
	if t.Quantized != nil {
		return t.Quantized
	}
	return t.Value
}

func (s *Session) shape(name string) []int {
	for _, p := range s.plan.Parameters {
		if p.Name == name {
			return p.Shape
		}
	}
	panic(s.Name + ": no parameter " + name)
}

// dropped puts dropout on x, the output of f, where the network has it.
func (s *Session) dropped(g *graph.Graph, x *graph.Node, f graph.Function) *graph.Node {
	if s.Dropout == 0 {
		return x
	}
	d := recurrent.NewDropout(s.team, len(f.Output().Float32), s.Dropout)
	s.dropouts = append(s.dropouts, d)
	s.hidden = d.Output()
	return g.Apply(graph.Dropout(d), x)
}

// runningStatistics are layer i's buffers of them.
func (s *Session) runningStatistics(i int) *recurrent.Running {
	if !s.Normalization.Batch() {
		return nil
	}
	r := &recurrent.Running{}
	for _, b := range s.Layer(i).Buffers() {
		*r.Field(b.Name) = s.request.Buffers[layerName(i, b.Name)]
	}
	return r
}

// weights are layer i's parameters, each as get finds it by its name.
func (s *Session) weights(i int, get func(name string) []float32) recurrent.Weights {
	var w recurrent.Weights
	for _, p := range s.Layer(i).Parameters() {
		*w.Field(p.Name) = get(layerName(i, p.Name))
	}
	return w
}

// value is what a parameter is trained as.
func (s *Session) value(name string) []float32 { return s.request.Parameters[name].Value }
