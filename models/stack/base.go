package stack

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/models/graph"
	"bittern/models/recurrent"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// The names of parameters and buffers that [Base] knows.
const (
	EmbeddingName = "embedding.W" // [features × vocabulary]
	SoftmaxName   = "softmax.W"   // [classes × units]
	BiasName      = "softmax.b"   // [classes]

	// SequencesName is the buffer of a network with batch normalization that says how many
	// sequences its running statistics were gathered from, [1].
	SequencesName = "statistics.sequences"
)

// Base is what the sessions of models have in common, whatever their layers are: the
// tensors of a request by name, their starting values, dropout, the statistics of a
// request, the softmax with its two programs, and the optimiser. A model embeds it, builds its
// layers in Graph and ends with [Base.Classify]; from then on it prepares its layers
// and calls [Base.Step], [Base.Update] and [Base.Score]. A Base serves one caller at
// a time.
type Base struct {
	Request model.Build
	Team    *team.Team   // that all operators run on
	Graph   *graph.Graph // under construction until Classify

	name      string
	plan      model.Plan
	dropouts  []*recurrent.Dropout
	running   []*recurrent.Running
	softmax   *recurrent.Softmax
	loss      graph.Function
	hidden    []float32      // what the softmax reads
	forward   *graph.Program // up to hidden
	train     *graph.Program // the loss and every gradient
	optimiser *Optimiser
}

// NewBase returns the Base of a network with the plan, in the tensors of the request. Its
// error names every tensor, the batch's too, that is missing or has another length than
// plan and shape give it. name is the model's, for errors.
func NewBase(name string, plan model.Plan, request model.Build) (*Base, error) {
	if err := checkTensors(plan, request); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := &Base{Request: request, Team: team.New(request.Threads), Graph: graph.New(), name: name, plan: plan}
	var parameters []model.Tensors
	for _, p := range plan.Parameters {
		parameters = append(parameters, request.Parameters[p.Name])
	}
	for _, extra := range beyond(plan, request) {
		parameters = append(parameters, request.Parameters[extra])
	}
	var err error
	if b.optimiser, err = NewOptimiser(b.Team, request.Optimiser, parameters); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), b.Close())
	}
	return b, nil
}

// Close ends the team and what programs there are.
func (b *Base) Close() error {
	b.Team.Close()
	var err error
	for _, p := range []*graph.Program{b.forward, b.train} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// Initialise writes starting values of all parameters and clears the buffers. Matrices
// start orthogonal, as Ardakani et al. have those of layers and softmax, the one named
// [EmbeddingName] uniform in ±0.1 (Zaremba et al., arXiv 1409.2329; Hermann et al. start
// all weights so), and vectors as 0, which [recurrent.Config.Initialise] then changes.
func (b *Base) Initialise() error {
	products := matmul.New(b.Team)
	for _, p := range b.plan.Parameters {
		value, random := b.Value(p.Name), Random(b.Request.Seed, p.Name)
		switch {
		case p.Name == EmbeddingName:
			for i := range value {
				value[i] = 0.2*random.Float32() - 0.1
			}
		case len(p.Shape) == 2:
			if err := Orthogonal(value, p.Shape[0], p.Shape[1], random, products); err != nil {
				return err
			}
		default:
			clear(value)
		}
	}
	for _, buffer := range b.plan.Buffers {
		clear(b.Request.Buffers[buffer.Name])
	}
	return nil
}

// Value returns the tensor in which a parameter is trained.
func (b *Base) Value(name string) []float32 { return b.Request.Parameters[name].Value }

// Effective returns the tensor that the network computes with: a parameter's quantized
// tensor if it has one, otherwise its value.
func (b *Base) Effective(name string) []float32 {
	if t := b.Request.Parameters[name]; t.Quantized != nil {
		return t.Quantized
	}
	return b.Value(name)
}

// Parameter adds a parameter of the plan to the graph, with its gradient. It panics if the
// plan has no such parameter.
func (b *Base) Parameter(name string) *graph.Node {
	for _, p := range b.plan.Parameters {
		if p.Name == name {
			return b.Graph.Parameter(name, graph.Tensor{Shape: p.Shape, Float32: b.Effective(name)}, b.Request.Parameters[name].Grad)
		}
	}
	panic(b.name + ": no parameter " + name)
}

// Dropped returns x with dropout, which acts in training alone, or x itself if the
// probability is 0. The masks follow from the seed, the number of the step and the order of
// the calls.
func (b *Base) Dropped(x *graph.Node, probability float64) *graph.Node {
	if probability == 0 {
		return x
	}
	d := recurrent.NewDropout(b.Team, len(x.Value().Float32), probability)
	b.dropouts = append(b.dropouts, d)
	return b.Graph.Apply(graph.Dropout(d), x)
}

// Running returns the running statistics of a layer, or nil if its normalization has none.
// name turns the layer's own names of its buffers into those of the plan. A network with
// running statistics has the buffer [SequencesName], and all its layers see the same
// sequences.
func (b *Base) Running(layer recurrent.Config, name func(part string) string) *recurrent.Running {
	if !layer.Normalization.Batch() {
		return nil
	}
	r := &recurrent.Running{}
	for _, t := range layer.Buffers() {
		*r.Field(t.Name) = b.Request.Buffers[name(t.Name)]
	}
	b.running = append(b.running, r)
	return r
}

// Classify ends the network with a softmax over h, whose parameters are [SoftmaxName] and
// [BiasName], and its loss against the batch's targets. candidates are those of
// [recurrent.Softmax], nil for all classes. After it nothing may be added to the graph.
func (b *Base) Classify(h *graph.Node, config recurrent.SoftmaxConfig, candidates []int32) error {
	b.hidden = h.Value().Float32
	var err error
	if b.forward, err = b.Graph.Compile(); err != nil {
		return err
	}
	b.softmax = recurrent.NewSoftmax(b.Team, config)
	b.softmax.Candidates = candidates
	b.loss = graph.SoftmaxLoss(b.softmax)
	targets := b.Request.Batch.Targets
	loss := b.Graph.Apply(b.loss, h, b.Parameter(SoftmaxName), b.Parameter(BiasName),
		b.Graph.Input(network.TensorTargets, graph.Tensor{Shape: []int{len(targets)}, Int32: targets}))
	b.train, err = b.Graph.Differentiate(loss)
	return err
}

// Statistics returns how the layers of a network normalise in an evaluation: as the request
// says, or always by [recurrent.Batch] if they have no running statistics. It prepares the
// running statistics for that pass: the first pass of a calibration clears them. It is an
// error if frozen statistics are asked for and there are none yet.
func (b *Base) Statistics(request model.Evaluate) (recurrent.Statistics, error) {
	if len(b.running) == 0 {
		return recurrent.Batch, nil
	}
	switch request.Statistics {
	case model.Batch:
		return recurrent.Batch, nil
	case model.Calibrate:
		sequences := b.Request.Buffers[SequencesName] // what a checkpoint restores
		if request.First {
			sequences[0] = 0
		}
		for _, r := range b.running {
			r.Sequences = float64(sequences[0])
		}
		return recurrent.Calibrate, nil
	case model.Frozen:
		return recurrent.Frozen, b.Calibrated()
	}
	return 0, fmt.Errorf("%s: there are no statistics %q", b.name, request.Statistics)
}

// Calibrated returns an error if the network has running statistics and nothing was gathered
// in them: it can then be neither evaluated with frozen statistics nor exported.
func (b *Base) Calibrated() error {
	if len(b.running) > 0 && b.Request.Buffers[SequencesName][0] == 0 {
		return fmt.Errorf("%s: the frozen statistics are empty; evaluate with %q first", b.name, model.Calibrate)
	}
	return nil
}

// Step runs forward, with dropout, and backward on the batch and writes the gradients
// of all parameters. The caller has prepared the layers for the arithmetic of the request that
// built the network. A batch without any target is an error.
func (b *Base) Step(request model.Step) (model.StepResult, error) {
	b.softmax.BFloat16 = b.Request.Arithmetic == model.BFloat16
	for i, d := range b.dropouts {
		d.Off, d.Key = false, StepKey(b.Request.Seed, request.Number, i)
	}
	if err := b.train.Run(); err != nil {
		return model.StepResult{}, err
	}
	return model.StepResult{Loss: float64(b.loss.Output().Float32[0])}, nil
}

// Update takes one step of the optimiser on the gradients that Step wrote, and on those
// of the request's parameters beyond the plan.
func (b *Base) Update(request model.Update) (model.UpdateResult, error) {
	return b.optimiser.Update(request)
}

// Score runs forward on the batch, without dropout, and scores the answers. The caller has
// prepared the layers for the request's arithmetic and with the statistics that
// [Base.Statistics] returned.
func (b *Base) Score(request model.Evaluate, statistics recurrent.Statistics) (network.Score, error) {
	b.softmax.BFloat16 = request.Arithmetic == model.BFloat16
	for _, d := range b.dropouts {
		d.Off = true
	}
	if err := b.forward.Run(); err != nil {
		return network.Score{}, err
	}
	if statistics == recurrent.Calibrate {
		b.Request.Buffers[SequencesName][0] = float32(b.running[0].Sequences)
	}
	return b.softmax.Score(b.Effective(SoftmaxName), b.Effective(BiasName), b.hidden, b.Request.Batch.Targets)
}
