package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"bittern/accel/kernels/isa"
	"bittern/accel/kernels/team"
	"bittern/harness/experiment"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// timedStep is a training step to be timed. As in a run, it goes through the plugin processes;
// its weights are stochastic ternary.
type timedStep struct {
	name     string
	shape    network.Shape
	model    string         // empty is lstm
	options  plugins.Values // of the model
	training suite.Training // its arithmetic is float32 if there is none
	// units and layers are the sizes of the recurrent layers, from which the floor is computed.
	units, layers int
	embedding     int // features of an embedded token; 0 is a one-hot look-up
	// alone are the matrix products of the step, if the model has more than such layers.
	alone []product

	peers  []peerStep
	beside []besideStep
}

// besideStep is another step of ours, to compare with.
type besideStep struct {
	against string
	timedStep
}

// peerStep has the arguments of a peer's script.
type peerStep struct {
	against   string
	arguments []string
}

func characters(units, symbols int) timedStep {
	arguments := []string{"train", "--units", strconv.Itoa(units), "--batch", "64", "--length", "100", "--symbols", strconv.Itoa(symbols)}
	return timedStep{
		name:     fmt.Sprintf("TrainingStep/characters-%d", units),
		shape:    characterShape(symbols, 64, 100),
		options:  plugins.Values{"units": strconv.Itoa(units)},
		training: suite.Training{Optimiser: model.Adam, LearningRate: 0.002},
		units:    units, layers: 1,
		peers: []peerStep{{torchLSTM, arguments}, {torchCell, append(slices.Clip(arguments), "--cell")}},
	}
}

// gru is the character model with a GRU, to be compared with the LSTM of its size.
func gru(units, symbols int) timedStep {
	e := characters(units, symbols)
	lstm := e
	e.name, e.model = fmt.Sprintf("TrainingStep/characters-gru-%d", units), "gru"
	e.beside = []besideStep{{ourLSTM, lstm}}
	e.peers = []peerStep{{torchLSTM, append(slices.Clip(e.peers[0].arguments), "--gru")}}
	rows := 64 * 100
	e.alone = append(layerProducts(3*units, 64, 100, units, 0), linearProducts(rows, symbols, units)...)
	return e
}

func words(units, layers int, dropout string) timedStep {
	const symbols = 10000
	shape := characterShape(symbols, 20, 35)
	shape.Carried = true
	return timedStep{
		name:  fmt.Sprintf("TrainingStep/words-%dx%d", units, layers),
		shape: shape,
		options: plugins.Values{"units": strconv.Itoa(units), "layers": strconv.Itoa(layers),
			"embedding": strconv.Itoa(units), "dropout": dropout},
		training: suite.Training{Optimiser: model.SGD, LearningRate: 20, ClipNorm: 0.25},
		units:    units, layers: layers, embedding: units,
		peers: []peerStep{{torchLSTM, []string{"word", "--units", strconv.Itoa(units), "--layers", strconv.Itoa(layers),
			"--batch", "20", "--length", "35", "--symbols", strconv.Itoa(symbols), "--dropout", dropout}}},
	}
}

// timedSteps returns the training steps of the paper's tasks.
func timedSteps() []timedStep {
	return []timedStep{
		characters(512, 87),
		characters(1000, 50),
		gru(512, 87),
		words(300, 1, "0.5"),
		words(650, 1, "0.65"),
		words(1500, 2, "0.65"),
		{
			name: "TrainingStep/mnist-100",
			shape: network.Shape{
				Inputs: []network.Input{{Name: "inputs", Role: network.Features, Stream: stream, Size: 1}},
				Steps:  map[string]int{stream: 784}, Sequences: 100, Classes: 10,
			},
			options:  plugins.Values{"units": "100", "initial-noise": "0.1"},
			training: suite.Training{Optimiser: model.Adam, LearningRate: 0.001},
			units:    100, layers: 1,
			peers: []peerStep{{torchLSTM, []string{"mnist", "--units", "100", "--batch", "100", "--length", "784"}}},
		},
		reader(),
	}
}

// withBFloat16 ends the name of a line whose products are of bfloat16.
const withBFloat16 = "-bfloat16"

// withoutBFloat16 is such a line where it would take too long.
func withoutBFloat16(name string) Line {
	line := newLine(name, Sample{})
	line.Missing[""] = "this processor computes products of bfloat16 in plain Go, some hundred times slower"
	return line
}

// bfloat16Steps returns the same steps with products of bfloat16, to be compared with the steps
// themselves. Their floor stays that of float32.
func bfloat16Steps() []timedStep {
	steps := timedSteps()
	for i, exact := range steps {
		e := &steps[i]
		e.name += withBFloat16
		e.training.Arithmetic = model.BFloat16
		e.beside = []besideStep{{ourFloat32, exact}}
		for _, p := range exact.peers {
			if p.against == torchCell {
				e.peers = append(slices.Clip(e.peers), peerStep{torchAutocast, append(slices.Clip(p.arguments), "--autocast")})
			}
		}
	}
	return steps
}

// products returns the matrix products that a training step needs in any implementation: the
// recurrent ones forward and backward at every time step, the gradients of the weights, the
// softmax layer, and those of dense inputs.
func (e timedStep) products() []product {
	if e.alone != nil {
		return e.alone
	}
	batch, length := e.shape.Sequences, e.shape.Steps[stream]
	var all []product
	for layer := range e.layers {
		inputs := e.embedding
		if layer > 0 {
			inputs = e.units
		}
		all = append(all, layerProducts(4*e.units, batch, length, e.units, inputs)...)
	}
	rows := batch * length
	if e.shape.Targets == "" { // only the last step is classified
		rows = batch
	}
	return append(all, linearProducts(rows, e.shape.Classes, e.units)...)
}

func (b *Bench) stepLines(ctx context.Context) ([]Line, error) {
	return b.linesOf(ctx, timedSteps())
}

func (b *Bench) bfloat16Lines(ctx context.Context) ([]Line, error) {
	if isa.BFloat16() != isa.Portable {
		return b.linesOf(ctx, bfloat16Steps())
	}
	var lines []Line
	for _, e := range bfloat16Steps() {
		lines = append(lines, withoutBFloat16(e.name))
	}
	return lines, nil
}

func (b *Bench) linesOf(ctx context.Context, steps []timedStep) ([]Line, error) {
	var lines []Line
	for _, e := range steps {
		if !b.wants(e.name) {
			continue
		}
		line, err := b.stepLine(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// aloneBy begins the name of a floor.
const aloneBy = "the matrix products alone, by "

func (b *Bench) stepLine(ctx context.Context, e timedStep) (_ Line, err error) {
	var all []*contestant
	defer func() { closeAll(&err, all...) }()
	for _, step := range append([]besideStep{{"", e}}, e.beside...) {
		own, err := b.ourStep(ctx, step.timedStep)
		if err != nil {
			return Line{}, err
		}
		all = append(all, own)
	}
	theirs, noBLAS, err := b.openBLAS(ctx, e.products())
	if err != nil {
		return Line{}, err
	}
	barrier, own, blas := len(all), len(all)+1, len(all)+2
	all = append(all, b.barrier(), b.alone(e.products()), theirs)
	first, reasons := len(all), make([]string, len(e.peers))
	for i, p := range e.peers {
		var c *contestant
		if c, reasons[i], err = b.Peers.torch(ctx, append(slices.Clip(p.arguments), "--threads", strconv.Itoa(b.Threads))...); err != nil {
			return Line{}, err
		}
		if c != nil {
			c.who += map[string]string{
				torchCell:     ", BN + ternary cell as a loop",
				torchAutocast: ", the same loop under bfloat16 autocast",
			}[p.against]
		}
		all = append(all, c)
	}
	samples, err := b.inTurn(ctx, all...)
	if err != nil {
		return Line{}, err
	}
	line := newLine(e.name, samples[0])
	if many := samples[barrier]; many.N() > 0 {
		line.Barrier = each(many, barriers)
	}
	for i, step := range e.beside {
		other := samples[1+i]
		other.Who = step.against + ", by " + other.Who
		line.compare(step.against, other, "")
	}
	lowest := samples[own]
	if other := samples[blas]; noBLAS == "" && other.Median() < lowest.Median() {
		lowest = other
	}
	lowest.Who = aloneBy + lowest.Who
	line.compare(floor, lowest, "")
	for i, p := range e.peers {
		line.compare(p.against, samples[first+i], reasons[i])
	}
	return line, nil
}

// barriers is how many barriers are timed in a turn.
const barriers = 10000

// barrier times barriers of as many workers as a step has. They tell cores that share a cache from
// those that do not: a system may move the workers from one kind to the other, and so may the host of a
// virtual machine, without their programs being told. A single worker has no barriers.
func (b *Bench) barrier() *contestant {
	if b.Threads < 2 {
		return nil
	}
	workers := team.New(b.Threads)
	return &contestant{
		who: "bittern",
		turn: timed(func() error {
			workers.Run(func(int) {
				for range barriers {
					workers.Barrier()
				}
			})
			return nil
		}),
		close: func() error { workers.Close(); return nil },
	}
}

// ourStep returns a training step as a contestant.
func (b *Bench) ourStep(ctx context.Context, e timedStep) (*contestant, error) {
	trial, err := b.trial(ctx, e, "stochastic-ternary")
	if err != nil {
		return nil, err
	}
	return &contestant{
		who: "bittern",
		turn: func(ctx context.Context) (float64, error) {
			if _, err := trial.Step(ctx); err != nil { // not timed: another contestant has left caches cold
				return 0, err
			}
			took, err := trial.Step(ctx)
			return took.Seconds(), err
		},
		close: trial.Close,
	}, nil
}

// trial starts the plugins of a timed step.
func (b *Bench) trial(ctx context.Context, e timedStep, quantizer string) (*experiment.Trial, error) {
	spec := &experiment.Spec{Seed: 1, Threads: b.Threads, Task: suite.Task{Label: e.name, Training: e.training}}
	name := e.model
	if name == "" {
		name = "lstm"
	}
	var err error
	if spec.Model, err = b.plugin(ctx, plugins.ID{Kind: plugins.KindModel, Name: name}, e.options); err != nil {
		return nil, err
	}
	if spec.Quantizer, err = b.plugin(ctx, plugins.ID{Kind: plugins.KindQuantizer, Name: quantizer}, nil); err != nil {
		return nil, err
	}
	return experiment.OpenTrial(ctx, b.Catalogue, b.Deadline, spec, random{e.shape})
}

func (b *Bench) plugin(ctx context.Context, id plugins.ID, options plugins.Values) (experiment.Plugin, error) {
	description, err := b.Catalogue.Describe(ctx, id, host.Settings{})
	if err != nil {
		return experiment.Plugin{}, err
	}
	resolved, err := plugins.Resolve(id.String(), description.Options, options)
	if err != nil {
		return experiment.Plugin{}, err
	}
	return experiment.Plugin{Label: id.Name, Name: id.Name, Options: resolved, Description: description}, nil
}
