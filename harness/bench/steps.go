package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

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
	training suite.Training
	// units and layers are the sizes of the recurrent layers, from which the floor is computed.
	units, layers int
	embedding     int // features of an embedded token; 0 is a one-hot look-up
	// alone are the matrix products of the step, if the model has more than such layers.
	alone []product

	peers []peerGoal
	floor float64 // goal: at most so many times the floor; 0 is none
	// beside is another step, timed in turn with this one. within is the largest allowed ratio
	// of the time of this step to that of the other.
	beside *timedStep
	within float64
}

// peerGoal has the arguments of a peer's script, and the goal in comparison with it.
type peerGoal struct {
	against   string
	faster    float64
	arguments []string
}

func characters(units, symbols int, within, plain, looped float64) timedStep {
	arguments := []string{"train", "--units", strconv.Itoa(units), "--batch", "64", "--length", "100", "--symbols", strconv.Itoa(symbols)}
	return timedStep{
		name:     fmt.Sprintf("TrainingStep/characters-%d", units),
		shape:    characterShape(symbols, 64, 100),
		options:  plugins.Values{"units": strconv.Itoa(units)},
		training: suite.Training{Optimiser: model.Adam, LearningRate: 0.002},
		units:    units, layers: 1, floor: within,
		peers: []peerGoal{{torchLSTM, plain, arguments}, {torchCell, looped, append(arguments[:len(arguments):len(arguments)], "--cell")}},
	}
}

// gru is the character model with a GRU, to be compared with the LSTM of its size.
func gru(units, symbols int) timedStep {
	e := characters(units, symbols, 0, 4, 0)
	lstm := e
	e.name, e.model = fmt.Sprintf("TrainingStep/characters-gru-%d", units), "gru"
	e.beside, e.within = &lstm, 0.85
	e.peers = []peerGoal{{torchLSTM, 4, append(e.peers[0].arguments[:len(e.peers[0].arguments):len(e.peers[0].arguments)], "--gru")}}
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
		peers: []peerGoal{{torchLSTM, 2, []string{"word", "--units", strconv.Itoa(units), "--layers", strconv.Itoa(layers),
			"--batch", "20", "--length", "35", "--symbols", strconv.Itoa(symbols), "--dropout", dropout}}},
	}
}

// timedSteps returns the training steps of the paper's tasks.
func timedSteps() []timedStep {
	return []timedStep{
		characters(512, 87, 1.35, 4, 5),
		characters(1000, 50, 1.25, 3.3, 4),
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
			units:    100, layers: 1, floor: 1.6,
			peers: []peerGoal{{torchLSTM, 3, []string{"mnist", "--units", "100", "--batch", "100", "--length", "784"}}},
		},
		reader(),
	}
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
	var lines []Line
	for _, e := range timedSteps() {
		line, err := b.stepLine(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

func (b *Bench) stepLine(ctx context.Context, e timedStep) (Line, error) {
	ours, mine, beside, err := b.timeSteps(ctx, e)
	if err != nil {
		return Line{}, err
	}
	name := e.name
	if !b.Arithmetic.IsZero() {
		name += "-" + string(b.Arithmetic)
	}
	line := newLine(name, ours)
	if e.beside != nil {
		line.hold(ourLSTM, beside, "", Goal{Within: e.within})
	}
	theirs, reason, err := b.timeOpenBLAS(ctx, e.products(), b.Runs)
	if err != nil {
		return Line{}, err
	}
	lowest := mine
	if reason == "" && theirs.Median() < mine.Median() {
		lowest = theirs
	}
	lowest.Who = "the matrix products alone, by " + lowest.Who
	if e.floor != 0 {
		line.hold(floor, lowest, "", Goal{Within: e.floor})
	} else {
		line.hold(floor, lowest, "")
	}
	for _, p := range e.peers {
		arguments := append(p.arguments[:len(p.arguments):len(p.arguments)], "--threads", strconv.Itoa(b.Threads), "--runs", strconv.Itoa(b.PeerRuns))
		sample, reason, err := b.Peers.torch(ctx, arguments...)
		if err != nil {
			return Line{}, err
		}
		if p.against == torchCell {
			sample.Who += ", BN + ternary cell as a loop"
		}
		line.hold(p.against, sample, reason, Goal{Faster: p.faster})
	}
	return line, nil
}

// timeSteps times steps, their matrix products alone, and the steps beside them, one of each in
// turn, so that changes in the machine's speed affect all alike.
func (b *Bench) timeSteps(ctx context.Context, e timedStep) (steps, products, beside Sample, err error) {
	trial, err := b.trial(ctx, e, "stochastic-ternary")
	if err != nil {
		return steps, products, beside, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	var other *experiment.Trial
	if e.beside != nil {
		if other, err = b.trial(ctx, *e.beside, "stochastic-ternary"); err != nil {
			return steps, products, beside, err
		}
		defer func() { err = errors.Join(err, other.Close()) }()
	}
	alone := b.prepare(e.products())
	defer alone.close()
	steps.Who, products.Who, beside.Who = "bittern", "bittern", "bittern"
	for run := -2; run < b.Runs; run++ { // the first two are not counted, since they map and fill memory
		step, err := trial.Step(ctx)
		if err != nil {
			return steps, products, beside, err
		}
		start := time.Now()
		if err := alone.run(); err != nil {
			return steps, products, beside, err
		}
		taken := time.Since(start)
		var second time.Duration
		if other != nil {
			if second, err = other.Step(ctx); err != nil {
				return steps, products, beside, err
			}
		}
		if run < 0 {
			continue
		}
		steps.Seconds = append(steps.Seconds, step.Seconds())
		products.Seconds = append(products.Seconds, taken.Seconds())
		if other != nil {
			beside.Seconds = append(beside.Seconds, second.Seconds())
		}
	}
	return steps, products, beside, nil
}

// trial starts the plugins of a timed step.
func (b *Bench) trial(ctx context.Context, e timedStep, quantizer string) (*experiment.Trial, error) {
	training := e.training
	training.Arithmetic = b.Arithmetic
	spec := &experiment.Spec{Seed: 1, Threads: b.Threads, Task: suite.Task{Label: e.name, Training: training}}
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
