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

	layers   []*layer // of all directions
	fresh    []bool   // of each sequence, where state is carried
	dropouts []*recurrent.Dropout
	softmax  *recurrent.Softmax
	loss     graph.Function

	hidden  []float32      // what the softmax reads
	forward *graph.Program // up to hidden
	train   *graph.Program // the loss and every gradient

	optimiser *Optimiser
}

// layer is a recurrent layer in one direction, with what it keeps.
type layer struct {
	recurrent.Layer
	scan
	running *recurrent.Running // nil where a normalization has none
	// The states that training and evaluation go on with; nil where none is carried.
	trained, evaluated *recurrent.State
	noise              []float32 // on h_0, [sequences × Units]; nil without
}

// NewSession builds a network in the tensors of the request, which has those of the
// architecture's Plan. It writes the starting values of parameters and clears buffers.
func NewSession(a Architecture, request model.Build) (*Session, error) {
	s := &Session{Architecture: a, request: request, plan: a.Plan()}
	if err := CheckTensors(s.plan, s.request); err != nil {
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

// assemble builds the network's graph, from the input up.
func (s *Session) assemble() error {
	g := graph.New()
	var width graph.Function // whose output x is
	in, batch := s.input(), s.request.Batch
	rows := s.steps() * s.Shape.Sequences
	x := graph.Tensor{Shape: []int{rows, in.Size}, Float32: batch.Float32[in.Name]}
	if s.tokens() {
		x = graph.Tensor{Shape: []int{s.steps(), s.Shape.Sequences}, Int32: batch.Int32[in.Name]}
	}
	node := g.Input("input "+in.Name, x)
	if s.Embedding > 0 {
		width = graph.Embedding(recurrent.NewEmbedding(s.team, rows, in.Size, s.Embedding))
		node = s.dropped(g, g.Apply(width, node, s.parameter(g, embeddingName)), width)
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
		width = graph.Recurrent(layers[0], lastOnly)
		if s.Bidirectional {
			width = graph.Bidirectional(layers[0], layers[1], lastOnly)
		}
		node = g.Apply(width, s.layerInputs(g, node, layers)...)
		s.hidden = width.Output().Float32
		node = s.dropped(g, node, width)
	}
	var err error
	if s.forward, err = g.Compile(); err != nil {
		return err
	}
	s.softmax = recurrent.NewSoftmax(s.team, s.output())
	s.loss = graph.SoftmaxLoss(s.softmax)
	targets := batch.Targets
	loss := g.Apply(s.loss, node, s.parameter(g, softmaxName), s.parameter(g, biasName),
		g.Input("targets", graph.Tensor{Shape: []int{len(targets)}, Int32: targets}))
	s.train, err = g.Differentiate(loss)
	return err
}

// layerInputs are the nodes that the directions of one layer read: x, the lengths
// where there are any, and the parameters of each.
func (s *Session) layerInputs(g *graph.Graph, x *graph.Node, layers []*layer) []*graph.Node {
	inputs := []*graph.Node{x}
	if name, masked := s.lengths(); masked {
		inputs = append(inputs, g.Input(layers[0].name("lengths"),
			graph.Tensor{Shape: []int{s.Shape.Sequences}, Int32: s.request.Batch.Int32[name]}))
	}
	for _, l := range layers {
		for _, p := range l.config.Parameters() {
			inputs = append(inputs, s.parameter(g, l.name(p.Name)))
		}
	}
	return inputs
}

// newLayer makes a layer with what it keeps.
func (s *Session) newLayer(scan scan) (*layer, error) {
	l := &layer{scan: scan}
	var err error
	if l.Layer, err = recurrent.New(s.team, scan.config); err != nil {
		return nil, err
	}
	if s.Normalization.Batch() {
		l.running = &recurrent.Running{}
		for _, b := range scan.config.Buffers() {
			*l.running.Field(b.Name) = s.request.Buffers[scan.name(b.Name)]
		}
	}
	if s.InitialNoise > 0 {
		l.noise = make([]float32, s.Shape.Sequences*s.Units)
	}
	if s.Shape.Carried {
		s.fresh = make([]bool, s.Shape.Sequences)
		l.trained = &recurrent.State{Hidden: s.request.Buffers[scan.name(hiddenPart)], Cell: s.request.Buffers[scan.name(cellPart)]}
		l.evaluated = &recurrent.State{Hidden: make([]float32, len(l.trained.Hidden)), Cell: make([]float32, len(l.trained.Cell))}
	}
	return l, nil
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

// weights are a layer's parameters, each as get finds it by its name.
func (s scan) weights(get func(name string) []float32) recurrent.Weights {
	var w recurrent.Weights
	for _, p := range s.config.Parameters() {
		*w.Field(p.Name) = get(s.name(p.Name))
	}
	return w
}

// value is what a parameter is trained as.
func (s *Session) value(name string) []float32 { return s.request.Parameters[name].Value }
