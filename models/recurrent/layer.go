package recurrent

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/plugins/stepgraph"
)

// grain is the number of hidden units in a cache line. Workers split a layer at multiples of
// it, so that no two of them write to the same line.
const grain = 16

// block is the number of columns that go through all of a step's elementwise
// work before the next ones: small enough for what one kernel writes to be in
// the first cache for the next, large enough for its calls to cost nothing. The
// kernels fetch the block after it, as many bytes ahead as accel/_gen/emit says.
const block = 32

// Layer runs whole sequences through a recurrent layer. Its [Config] lists its parameters
// and buffers; the caller owns them and passes them to every call.
type Layer interface {
	// Config returns the shape the layer was made with.
	Config() Config

	// Prepare says how the next Forward and its Backward run.
	Prepare(Pass)

	// Forward computes the hidden states of the input.
	Forward(Weights, Input) error

	// Backward overwrites dw with the gradients with respect to the weights,
	// and dInput [Steps × Batch × Inputs], where it is not nil, with the one
	// with respect to the features. gradient is the gradient with respect to the
	// hidden states, [Steps × Batch × Units], or to those of Last alone, [Batch ×
	// Units]. Backward must follow a Forward of all rows with the same w and in, and
	// overwrites the memory that this left.
	Backward(w Weights, in Input, gradient []float32, dw Weights, dInput []float32) error

	// Hidden returns the hidden states after every step, [Steps × Batch × Units],
	// which every Forward overwrites. Steps beyond a sequence's length have
	// the state that it had before them, in the direction of the scan.
	Hidden() []float32

	// Last returns the hidden states after the last step of the scan, [Batch × Units].
	Last() []float32

	// Final copies the state after the last step of the scan to state.
	Final(state State)

	// Export adds one time step of the deployed layer to a graph: frozen
	// statistics become scales and shifts.
	Export(Weights, Export) (output string, err error)
}

// Export says where in a step graph a layer puts its time step.
type Export struct {
	Graph *stepgraph.Graph
	Name  func(part string) string // of a value or weight of this layer
	Input string                   // the value that is x
	// Running are the frozen statistics of a layer that has them.
	Running *Running
}

// New returns a layer whose sweeps run on t.
func New(t *team.Team, config Config) (Layer, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	if config.Kind == GRU {
		return newGRU(t, config), nil
	}
	return newLSTM(t, config), nil
}

// layer is what LSTM and GRU have in common: everything except the elementwise work
// of a step.
//
// The hidden units are split over the workers of a team. A worker computes the
// gates of its own units for the whole batch, so statistics over the batch and
// gates stay with it and the workers meet once per time step, when h_t is
// complete. Where statistics are taken over the features they meet once more.
type layer struct {
	config     Config
	pass       Pass
	unit       unit
	parameters []Tensor
	team       *team.Team
	multipliers
	scales  weightScales
	rounded *roundedSteps // nil until a pass of bfloat16
	workers []worker

	used   int // steps that any sequence of the pass has: those in front, in order of time
	gates  int
	stride int // between rows of all gates

	hidden        []float32 // h, [Steps+1][Batch][Units]; the start is first, or last of a reverse layer
	products      []float32 // Wh·h, then its gradient, [Steps][Batch][stride]
	inputs        []float32 // Wx·x, then its gradient, one step's of a narrow layer; nil for tokens
	inputsGrad    []float32 // that gradient, where it cannot take the place of the products
	columns       []float32 // Wxᵀ for tokens and of a narrow layer, [Inputs][stride]; with a row for no token where a layer of tokens is masked
	columnsGrad   []float32
	hiddenNext    perWorker // gradient of h from the step after, one step's
	statistics    layerStatistics
	fold          fold
	single        featureMoments
	ordered       ordered
	features      featureStatistics // of LayerNorm
	mask          mask
	tasks         hiddenTasks
	forwardSweep  func(worker int)
	scaleSweep    func(worker int)
	backwardSweep func(worker int)
	normsSweep    func(worker int)

	// The arguments of the pass that is running.
	weights, gradients Weights
	input              Input
	above              []float32
	aboveLast          bool // above is the gradient of Last
	featuresWanted     bool
}

// unit is what LSTM and GRU do differently. All workers call these functions for every step
// of the scan, in its order.
type unit interface {
	// start writes the state before the first step, hidden states apart.
	start(w *worker)
	// forward takes a step from the hidden state before it to the one after.
	forward(w *worker, s int)
	// prepareBackward packs matrices and clears gradients.
	prepareBackward(w *worker)
	// backward computes, from the gradient of a step's hidden state, the gradients of
	// both products and of what does not go through the products.
	backward(w *worker, s int)
	// finishBackward writes the gradients of the state before the first step.
	finishBackward(w *worker)
	// weightsBackward computes the gradient of Wh from those of the products.
	weightsBackward() error
}

// worker is what one worker of the team owns.
type worker struct {
	index, from, to int // units
	hidden          [lstmGates]matmul.Packed
	outputs         [lstmGates][]float32     // where their products go
	inputs          [lstmGates]matmul.Packed // Wxᵀ of a narrow layer
	backward        matmul.Packed
	candidate       matmul.Packed // of gate n, where that has a product of its own
	steps           matmul.Packed // gradients of the products of a group of steps, see hiddenTasks
	packedGroup     int           // that group
	scratch         matmul.Scratch
	sum             []float32 // of a narrow layer, see addInputs and singleBackward
	products        []float32 // the same of a single feature
	centre          []float32 // the same
	features        []float32 // the same: its units' part of the gradient of x, [Steps][Batch][Inputs]
	err             error
}

func (l *layer) init(t *team.Team, config Config, u unit) {
	steps, batch, units := config.Steps, config.Batch, config.Units
	l.config, l.unit, l.team, l.used = config, u, t, steps
	l.parameters = config.Parameters()
	l.multipliers = newMultipliers(t)
	l.workers = make([]worker, t.Size())
	l.gates = config.Kind.gates()
	l.scales = newWeightScales(l)
	l.stride = padded(l.gates * units)
	for i := range l.workers {
		l.workers[i].index = i
		l.workers[i].from, l.workers[i].to = t.Split(i, units, grain)
		l.shareMemory(&l.workers[i])
	}
	l.hidden = newRecord((steps + 1) * batch * units)
	l.products = newRecord(steps * batch * l.stride)
	if config.Tokens || l.narrow() {
		rows := config.Inputs
		if config.Tokens && config.Masked {
			rows++
		}
		l.columns = make([]float32, rows*l.stride)
		l.columnsGrad = make([]float32, rows*l.stride)
	}
	if !config.Tokens {
		stored := steps
		if l.narrow() {
			stored = 1
			for i := range l.workers {
				l.workers[i].sum = make([]float32, l.gates*units)
				l.workers[i].products = make([]float32, l.gates*units)
				l.workers[i].centre = make([]float32, l.gates*units)
				l.workers[i].features = make([]float32, steps*batch*config.Inputs)
			}
		}
		l.inputs = newRecord(stored * batch * l.stride)
		l.inputsGrad = l.inputs
		if config.Normalization == LayerNorm {
			l.inputsGrad = newRecord(steps * batch * l.stride)
		}
	}
	if l.plain() {
		l.inputsGrad = l.products
	}
	l.statistics = newLayerStatistics(config)
	l.fold = newFold(config)
	l.ordered = newOrdered(config)
	l.tasks = newHiddenTasks(config)
	l.single = featureMoments{make([]float32, steps), make([]float32, steps)}
	l.hiddenNext = newPerWorker(l, 1)
	if config.Normalization == LayerNorm {
		l.features = newFeatureStatistics(l)
	}
	if config.Masked {
		l.mask = newMask(l)
	}
	l.forwardSweep, l.backwardSweep, l.normsSweep, l.scaleSweep = l.sweepForward, l.sweepBackward, l.normsBackward, l.scaleInputs
}

// shareMemory has a worker's weights of the forward pass and those of the backward pass packed into
// the same memory: one pass is over when the other begins.
func (l *layer) shareMemory(w *worker) {
	units := l.config.Units
	var sizes [lstmGates]int
	all := 0
	for k := range l.runs() {
		first, last := l.run(k, w.from, w.to)
		sizes[k] = matmul.PackedSize(units, last-first)
		all += sizes[k]
	}
	memory := newRecord(max(all, matmul.PackedSize(l.gates*units, w.to-w.from)))
	w.backward.Use(memory)
	for k := range l.runs() {
		w.hidden[k].Use(memory[:sizes[k]:sizes[k]])
		memory = memory[sizes[k]:]
	}
}

// plain says whether a = Wh·h + Wx·x + β, so that both products have the gradient of a.
func (l *layer) plain() bool { return l.config.Kind == LSTM && l.config.Normalization == NoNorm }

// padded returns a row length of at least n floats that is an odd number of cache lines. So the
// lines of a column of rows lie in all sets of a cache, not in every other, fourth or eighth only.
func padded(n int) int {
	lines := (n + grain - 1) / grain
	return (lines | 1) * grain
}

// Config implements [Layer].
func (l *layer) Config() Config { return l.config }

// Prepare implements [Layer].
func (l *layer) Prepare(p Pass) { l.pass = p }

// Hidden implements [Layer].
func (l *layer) Hidden() []float32 {
	c := l.config
	return l.hidden[l.after(0)*c.Batch*c.Units:][:c.Steps*c.Batch*c.Units]
}

// Last implements [Layer].
func (l *layer) Last() []float32 {
	n := l.config.Batch * l.config.Units
	return l.Hidden()[l.time(l.config.Steps-1)*n:][:n]
}

// A step is counted along the scan; its time is where its inputs and products
// lie. States lie in time order with one more at the end that the scan starts from.

// time is where the inputs and products of step s lie.
func (l *layer) time(s int) int {
	if l.config.Reverse {
		return l.config.Steps - 1 - s
	}
	return s
}

// first and last are the steps of the scan that any sequence has: first ≤ s < last.
func (l *layer) first() int {
	if l.config.Reverse {
		return l.config.Steps - l.used
	}
	return 0
}

func (l *layer) last() int { return l.first() + l.used }

// initial is where the state before the first step lies, and final that after
// the last one.
func (l *layer) initial() int {
	if l.config.Reverse {
		return l.used
	}
	return 0
}

func (l *layer) final() int { return l.used - l.initial() }

// before and after are where the states before and after the step at time t lie.
func (l *layer) before(t int) int {
	if l.config.Reverse {
		return t + 1
	}
	return t
}

func (l *layer) after(t int) int {
	if l.config.Reverse {
		return t
	}
	return t + 1
}

// at returns the rows of time t of a matrix of all gates or of hidden states.
func (l *layer) at(data []float32, t, stride, column int) gates.Matrix {
	return gates.Matrix{Data: data[t*l.config.Batch*stride+column:], Stride: stride}
}

// Final implements [Layer] for the hidden state.
func (l *layer) Final(state State) {
	c := l.config
	copy(state.Hidden, l.hidden[l.final()*c.Batch*c.Units:])
}

// Forward implements [Layer].
func (l *layer) Forward(w Weights, in Input) error {
	c := l.config
	l.weights, l.input = w, in
	if err := errors.Join(l.checkWeights(&l.weights), c.checkInput(in), c.checkPass(l.pass)); err != nil {
		return err
	}
	if l.pass.BFloat16 && l.rounded == nil {
		l.rounded = newRoundedSteps(c, l.gates)
	}
	l.setGains()
	if c.Masked {
		l.mask.set(l)
		if r := l.pass.Running; l.calibrates() && r.Sequences == 0 {
			clear(r.Counts)
		}
	}
	if l.isSingle() {
		l.measureFeature()
	}
	if !c.Tokens && !l.narrow() {
		wx := l.orderWx()
		if l.pass.BFloat16 {
			l.team.Run(l.scaleSweep)
		}
		if err := l.multiplier(l.pass.BFloat16).GemmScaled(l.inputs, l.stride, false, false, true,
			l.used*c.Batch, l.gates*c.Units, c.Inputs, in.Features, c.Inputs, wx, c.Inputs, l.scales.inputs); err != nil {
			return err
		}
	}
	l.team.Run(l.forwardSweep)
	if l.calibrates() {
		l.count()
	}
	return l.takeErrors()
}

// Backward implements [Layer].
func (l *layer) Backward(w Weights, in Input, gradient []float32, dw Weights, dInput []float32) error {
	c := l.config
	l.weights, l.gradients, l.input, l.above, l.featuresWanted = w, dw, in, gradient, dInput != nil
	if err := errors.Join(l.checkWeights(&l.weights), l.checkWeights(&l.gradients), c.checkInput(in)); err != nil {
		return err
	}
	l.aboveLast = len(gradient) == c.Batch*c.Units
	if !l.aboveLast {
		if err := mismatch(c.Kind.String(), "the gradient of the hidden states", len(gradient), c.Steps, c.Batch, c.Units); err != nil {
			return err
		}
	}
	if !c.Tokens && dInput != nil {
		if err := mismatch(c.Kind.String(), "the gradient of the features", len(dInput), c.Steps, c.Batch, c.Inputs); err != nil {
			return err
		}
	}
	if l.rows() != c.Batch {
		return fmt.Errorf("%s: a backward pass needs all %d sequences, the forward pass computed %d", c.Kind, c.Batch, l.rows())
	}
	l.setGains()
	l.tasks.Restart()
	l.team.Run(l.backwardSweep)
	if err := l.takeErrors(); err != nil {
		return err
	}
	if err := l.unit.weightsBackward(); err != nil {
		return err
	}
	if l.narrow() && dInput != nil {
		l.sumFeatures(dInput)
	}
	if !c.Tokens && !l.narrow() {
		rows := l.used * c.Batch
		wx, dWx := w.Wx, dw.Wx
		if c.interleaved() {
			wx, dWx = l.ordered.wx, l.ordered.wxGrad
		}
		if err := l.multiplier(l.pass.BFloat16).Gemm(dWx, c.Inputs, false, true, false,
			l.gates*c.Units, c.Inputs, rows, l.inputsGrad, l.stride, in.Features, c.Inputs); err != nil {
			return err
		}
		if c.interleaved() {
			l.restore(dw.Wx, dWx, c.Inputs, 0, c.Units)
		}
		if dInput != nil {
			clear(dInput[rows*c.Inputs:])
			if err := l.multiplier(l.pass.BFloat16).GemmScaled(dInput, c.Inputs, false, false, false,
				rows, c.Inputs, l.gates*c.Units, l.inputsGrad, l.stride, wx, c.Inputs, l.scales.inputs); err != nil {
				return err
			}
		}
	}
	if c.Normalization == WeightNorm {
		l.team.Run(l.normsSweep)
	}
	return nil
}

// hiddenWeightsBackward computes the gradient of the rows of some gates, which are in
// one matrix, from those of their products with states [Steps][Batch][Units].
func (l *layer) hiddenWeightsBackward(states []float32, from, to int) error {
	d, rows := l.config.Units, l.used*l.config.Batch
	return l.multiplier(l.pass.BFloat16).Gemm(l.config.hiddenRows(&l.gradients, from), d, false, true, false,
		(to-from)*d, d, rows, l.products[from*d:], l.stride, states, d)
}

// hiddenBefore are the hidden states before every time, [Steps][Batch][Units].
func (l *layer) hiddenBefore() []float32 {
	return l.hidden[l.before(0)*l.config.Batch*l.config.Units:]
}

func (l *layer) checkWeights(w *Weights) error {
	var err error
	for _, p := range l.parameters {
		err = errors.Join(err, mismatch(l.config.Kind.String(), p.Name, len(*w.Field(p.Name)), p.Shape...))
	}
	return err
}

func (l *layer) rows() int {
	if l.pass.Rows == 0 {
		return l.config.Batch
	}
	return l.pass.Rows
}

func (l *layer) takeErrors() error {
	var err error
	for i := range l.workers {
		err = errors.Join(err, l.workers[i].err)
		l.workers[i].err = nil
	}
	return err
}

// calibrates says whether the pass merges its statistics into the running ones.
func (l *layer) calibrates() bool {
	return l.config.Normalization.Batch() && l.pass.Statistics == Calibrate
}

// batchStatistics says whether the pass normalises with the statistics of its own batch.
func (l *layer) batchStatistics() bool {
	return l.config.Normalization.Batch() && l.pass.Statistics != Frozen
}
