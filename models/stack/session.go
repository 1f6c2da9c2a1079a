package stack

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/plugins/model"
)

// session is a built network: its tensors, the operators and the two programs
// made of them.
type session struct {
	architecture
	request model.Build
	plan    model.Plan
	team    *team.Team

	layers   []recurrent.Layer
	running  []*recurrent.Running // nil without batch normalization
	dropouts []*recurrent.Dropout
	softmax  *recurrent.Softmax
	loss     graph.Function

	hidden  []float32      // what the softmax reads
	forward *graph.Program // up to hidden
	train   *graph.Program // the loss and every gradient

	optimiser *optimiser
}

func newSession(a architecture, request model.Build) (*session, error) {
	s := &session{architecture: a, request: request, plan: a.plan()}
	if err := s.checkTensors(); err != nil {
		return nil, err
	}
	s.team = team.New(request.Threads)
	if err := errors.Join(s.initialise(), s.assemble()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.optimiser = newOptimiser(s)
	return s, nil
}

// initialise writes the starting values of all parameters and buffers.
func (s *session) initialise() error {
	products := matmul.New(s.team)
	for _, p := range s.plan.Parameters {
		if err := initialise(s.request.Parameters[p.Name].Value, p, s.request.Seed, products); err != nil {
			return err
		}
	}
	for _, b := range s.plan.Buffers {
		clear(s.request.Buffers[b.Name])
	}
	return nil
}

// close ends what there is of the session, which need not be complete.
func (s *session) close() error {
	s.team.Close()
	var err error
	for _, p := range []*graph.Program{s.forward, s.train} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// checkTensors holds what Build was given against the plan.
func (s *session) checkTensors() error {
	length := func(what string, got int, shape []int) error {
		want := 1
		for _, n := range shape {
			want *= n
		}
		if got != want {
			return fmt.Errorf("%s: %s has %d elements, its shape %v wants %d", s.Name, what, got, shape, want)
		}
		return nil
	}
	var err error
	for _, p := range s.plan.Parameters {
		t := s.request.Parameters[p.Name]
		err = errors.Join(err, length(p.Name, len(t.Value), p.Shape), length("the gradient of "+p.Name, len(t.Grad), p.Shape))
		if p.Quantize {
			err = errors.Join(err, length("the quantized "+p.Name, len(t.Quantized), p.Shape))
		}
		switch s.request.Optimiser {
		case model.Adam:
			err = errors.Join(err, length("the first moment of "+p.Name, len(t.Moment1), p.Shape),
				length("the second moment of "+p.Name, len(t.Moment2), p.Shape))
		case model.SGD:
		default:
			return fmt.Errorf("%s: there is no optimiser %q", s.Name, s.request.Optimiser)
		}
	}
	for _, b := range s.plan.Buffers {
		err = errors.Join(err, length("buffer "+b.Name, len(s.request.Buffers[b.Name]), b.Shape))
	}
	t, in := s.task, s.request.Inputs
	if s.tokens() {
		err = errors.Join(err, length("input inputs", len(in.Int32["inputs"]), []int{t.Length, t.Batch}))
	} else {
		err = errors.Join(err, length("input inputs", len(in.Float32["inputs"]), []int{t.Length, t.Batch, t.InputSize}))
	}
	return errors.Join(err, length("input targets", len(in.Int32["targets"]), []int{s.output().Steps, t.Batch}))
}

// assemble builds the network's graph, from the input up.
func (s *session) assemble() error {
	g := graph.New()
	var x *graph.Node
	if s.tokens() {
		x = g.Input("inputs", graph.Tensor{Shape: []int{s.task.Length, s.task.Batch}, Int32: s.request.Inputs.Int32["inputs"]})
	} else {
		x = g.Input("inputs", graph.Tensor{Shape: []int{s.task.Length * s.task.Batch, s.task.InputSize}, Float32: s.request.Inputs.Float32["inputs"]})
	}
	if s.embedding > 0 {
		e := graph.Embedding(recurrent.NewEmbedding(s.team, s.task.Length*s.task.Batch, s.task.InputSize, s.embedding))
		x = s.dropped(g, g.Apply(e, x, s.parameter(g, embeddingName)), e)
	}
	for i := range s.depth {
		layer, err := recurrent.New(s.team, s.layer(i))
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
		if s.task.Kind == model.SequenceClassification && i == s.depth-1 {
			f = graph.LastStep(recurrent.NewLastStep(s.task.Length, s.task.Batch*s.units))
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
func (s *session) parameter(g *graph.Graph, name string) *graph.Node {
	t := s.request.Parameters[name]
	return g.Parameter(name, graph.Tensor{Shape: s.shape(name), Float32: s.effective(name)}, t.Grad)
}

// effective is what the network computes with: a parameter's quantized tensor
// where there is one.
func (s *session) effective(name string) []float32 {
	t := s.request.Parameters[name]
	if t.Quantized != nil {
		return t.Quantized
	}
	return t.Value
}

func (s *session) shape(name string) []int {
	for _, p := range s.plan.Parameters {
		if p.Name == name {
			return p.Shape
		}
	}
	panic(s.Name + ": no parameter " + name)
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

// runningStatistics are layer i's buffers of them.
func (s *session) runningStatistics(i int) *recurrent.Running {
	if !s.batchNorm {
		return nil
	}
	buffer := func(part string) []float32 { return s.request.Buffers[layerName(i, part)] }
	return &recurrent.Running{
		MeanH: buffer("mean_h"), VarianceH: buffer("variance_h"),
		MeanX: buffer("mean_x"), VarianceX: buffer("variance_x"),
		MeanC: buffer("mean_c"), VarianceC: buffer("variance_c"),
	}
}
