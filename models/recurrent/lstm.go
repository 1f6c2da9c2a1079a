package recurrent

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
)

// Epsilon is added to every variance before its root is taken, as in
// Cooijmans et al., "Recurrent Batch Normalization" (ICLR 2017), section 5.
const Epsilon = 1e-5

// The gates in the order their rows are stacked in Wx and Wh: g, f, i, o.
const lstmGates = 4

// grain is the multiple of hidden units that workers split a layer by: one
// cache line, so that no two workers write to the same one.
const grain = 16

// LSTMConfig is the shape of an LSTM layer.
type LSTMConfig struct {
	Steps  int // time steps per sequence
	Batch  int // sequences per batch
	Inputs int // features per step, or the vocabulary's size
	Units  int

	// Tokens says that the inputs are one-hot and given as ids. Products with
	// Wx are then look-ups of its columns.
	Tokens bool

	// BatchNorm normalises both products and the cell; see [LSTM].
	BatchNorm bool

	// Shared pools the running statistics over all time steps. A pass over a
	// batch's own statistics takes them for every time step all the same.
	Shared bool

	// Carry says that sequences may start from states of their own. Without
	// it all of them start from (H0, C0); Wh·h_0 is then a constant of the
	// batch, which normalises to exactly 0.
	Carry bool
}

// LSTM runs whole sequences through a layer of long short-term memory,
//
//	a_t = BN(Wh·h_{t−1}; γh, β) + BN(Wx·x_t; γx, 0)
//	(g,f,i,o) = (tanh, σ, σ, σ)(a_t)
//	c_t = f∘c_{t−1} + i∘g
//	h_t = o∘tanh(BN(c_t; γc, βc))
//
// of Ardakani et al., "Learning Recurrent Binary/Ternary Weights" (ICLR 2019),
// or without its normalizations (a_t = Wh·h_{t−1} + Wx·x_t + β,
// h_t = o∘tanh c_t). BN takes its statistics over the batch, for every time
// step anew.
//
// The hidden units are split over the workers of a team. A worker computes the
// four gates of its own units for the whole batch, so statistics and gates
// stay with it and the workers meet once per time step, when h_t is complete.
type LSTM struct {
	// Pass says how the next Forward runs.
	Pass Pass

	config     LSTMConfig
	team       *team.Team
	multiplier *matmul.Multiplier
	workers    []worker

	stride     int // between rows of four lstmGates
	cellStride int // between rows of cells

	hidden     []float32 // h, [Steps+1][Batch][Units]; step 0 is the start
	cell       []float32 // c, [Steps+1][Batch][cellStride]
	cellTanh   []float32 // [Steps][Batch][cellStride]
	products   []float32 // Wh·h, then its gradient, [Steps][Batch][stride]
	inputs     []float32 // Wx·x, then its gradient; nil for tokens
	activation []float32 // lstmGates, then the gradient of a; one step's, or without BatchNorm products

	statistics    layerStatistics
	fold          fold
	hiddenNext    []float32 // gradient of h from the step after, [Batch][cellStride]
	cellGradient  []float32 // gradient of c, [Batch][cellStride]
	columns       []float32 // Wxᵀ for tokens, [Inputs][stride]
	columnsGrad   []float32
	forwardSweep  func(worker int)
	backwardSweep func(worker int)

	// The arguments of the pass that is running.
	weights, gradients LSTMWeights
	input              LSTMInput
	above              []float32
}

// worker is what one worker of the team owns.
type worker struct {
	from, to int // units
	hidden   [lstmGates]matmul.Packed
	backward matmul.Packed
	scratch  matmul.Scratch
	err      error
}

// LSTMWeights are the parameters of a layer, or the gradients with respect to
// them: Wx [4·Units × Inputs] and Wh [4·Units × Units] row-major with the
// gates g, f, i, o stacked, GammaH, GammaX and Beta [4·Units], GammaC, BetaC,
// H0 and C0 [Units]. The gammas and BetaC are not used without BatchNorm.
type LSTMWeights struct {
	Wx, Wh, GammaH, GammaX, Beta, GammaC, BetaC, H0, C0 []float32
}

// LSTMInput is a batch of sequences: ids [Steps × Batch] for a layer over
// tokens, features [Steps × Batch × Inputs] for another.
type LSTMInput struct {
	Tokens   []int32
	Features []float32
}

// State is what a layer carries along time, [Batch × Units] each.
type State struct{ Hidden, Cell []float32 }

// Pass says how a layer runs.
type Pass struct {
	Statistics Statistics
	// Running are the statistics that Calibrate gathers and Frozen uses.
	Running *Running
	// Rows is the number of sequences at the front of the batch that are
	// computed; 0 = all. The others' outputs are undefined but finite.
	Rows int
	// Start is the state before the first step; nil is (H0, C0). Only a
	// layer with Carry takes one.
	Start *State
}

// NewLSTM returns a layer whose sweeps run on t.
func NewLSTM(t *team.Team, config LSTMConfig) *LSTM {
	steps, batch, units := config.Steps, config.Batch, config.Units
	l := &LSTM{
		config:     config,
		team:       t,
		multiplier: matmul.New(t),
		workers:    make([]worker, t.Size()),
		stride:     padded(lstmGates * units),
		cellStride: padded(units),
	}
	for i := range l.workers {
		l.workers[i].from, l.workers[i].to = t.Split(i, units, grain)
	}
	l.hidden = make([]float32, (steps+1)*batch*units)
	l.cell = make([]float32, (steps+1)*batch*l.cellStride)
	l.cellTanh = make([]float32, steps*batch*l.cellStride)
	l.products = make([]float32, steps*batch*l.stride)
	if config.Tokens {
		l.columns = make([]float32, config.Inputs*l.stride)
		l.columnsGrad = make([]float32, config.Inputs*l.stride)
	} else {
		l.inputs = make([]float32, steps*batch*l.stride)
	}
	l.activation = l.products
	if config.BatchNorm {
		l.activation = make([]float32, batch*l.stride)
	}
	l.statistics = newLayerStatistics(steps, units, config.BatchNorm)
	l.fold = newFold(units)
	l.hiddenNext = make([]float32, batch*l.cellStride)
	l.cellGradient = make([]float32, batch*l.cellStride)
	l.forwardSweep, l.backwardSweep = l.sweepForward, l.sweepBackward
	return l
}

// padded returns a row length of more than n floats that is a whole number of
// cache lines and no multiple of 4 KiB, which would put all rows in the same
// few sets of a cache. Some room behind every row keeps those of 2, 1 and ½ KiB
// apart too.
func padded(n int) int {
	const page = 4096 / 4
	n = (n+grain-1)/grain*grain + grain
	if n%page == 0 {
		n += grain
	}
	return n
}

// Config returns the shape the layer was made with.
func (l *LSTM) Config() LSTMConfig { return l.config }

// Hidden returns the hidden states after every step, [Steps × Batch × Units],
// which every Forward overwrites.
func (l *LSTM) Hidden() []float32 { return l.hidden[l.config.Batch*l.config.Units:] }

// Final copies the state after the last step to state.
func (l *LSTM) Final(state State) {
	c := l.config
	copy(state.Hidden, l.hidden[c.Steps*c.Batch*c.Units:])
	for row := range c.Batch {
		copy(state.Cell[row*c.Units:(row+1)*c.Units], l.cell[(c.Steps*c.Batch+row)*l.cellStride:])
	}
}

// Forward computes the hidden states of the input.
func (l *LSTM) Forward(w LSTMWeights, in LSTMInput) error {
	c := l.config
	if err := errors.Join(l.checkWeights(w), l.checkInput(in), l.checkPass()); err != nil {
		return err
	}
	l.weights, l.input = w, in
	if c.BatchNorm && l.Pass.Statistics == Frozen {
		l.statistics.freeze(l.Pass.Running, c)
	}
	if !c.Tokens {
		if err := l.multiplier.Gemm(l.inputs, l.stride, false, false, true,
			c.Steps*c.Batch, lstmGates*c.Units, c.Inputs, in.Features, c.Inputs, w.Wx, c.Inputs); err != nil {
			return err
		}
	}
	l.team.Run(l.forwardSweep)
	if c.BatchNorm && l.Pass.Statistics == Calibrate {
		l.Pass.Running.Sequences += float64(l.rows())
	}
	return l.takeErrors()
}

// Backward overwrites dw with the gradients with respect to the weights, and
// dInput [Steps × Batch × Inputs], where it is not nil, with the one with
// respect to the features. gradient [Steps × Batch × Units] is the one with
// respect to the hidden states. It follows a Forward of all rows with the same
// w and in, whose memory it uses up.
func (l *LSTM) Backward(w LSTMWeights, in LSTMInput, gradient []float32, dw LSTMWeights, dInput []float32) error {
	c := l.config
	if err := errors.Join(l.checkWeights(w), l.checkWeights(dw), l.checkInput(in),
		mismatch("LSTM", "the gradient of the hidden states", len(gradient), c.Steps, c.Batch, c.Units)); err != nil {
		return err
	}
	if !c.Tokens && dInput != nil {
		if err := mismatch("LSTM", "the gradient of the features", len(dInput), c.Steps, c.Batch, c.Inputs); err != nil {
			return err
		}
	}
	if l.rows() != c.Batch {
		return fmt.Errorf("LSTM: a backward pass needs all %d sequences, the forward pass computed %d", c.Batch, l.rows())
	}
	l.weights, l.gradients, l.input, l.above = w, dw, in, gradient
	l.team.Run(l.backwardSweep)
	if err := l.takeErrors(); err != nil {
		return err
	}
	rows, units := c.Steps*c.Batch, c.Units
	if err := l.multiplier.Gemm(dw.Wh, units, false, true, false,
		lstmGates*units, units, rows, l.products, l.stride, l.hidden, units); err != nil {
		return err
	}
	if c.Tokens {
		return nil
	}
	dProducts := l.inputs
	if !c.BatchNorm {
		dProducts = l.products
	}
	if err := l.multiplier.Gemm(dw.Wx, c.Inputs, false, true, false,
		lstmGates*units, c.Inputs, rows, dProducts, l.stride, in.Features, c.Inputs); err != nil {
		return err
	}
	if dInput == nil {
		return nil
	}
	return l.multiplier.Gemm(dInput, c.Inputs, false, false, false,
		rows, c.Inputs, lstmGates*units, dProducts, l.stride, w.Wx, c.Inputs)
}

func (l *LSTM) rows() int {
	if l.Pass.Rows == 0 {
		return l.config.Batch
	}
	return l.Pass.Rows
}

func (l *LSTM) takeErrors() error {
	var err error
	for i := range l.workers {
		err = errors.Join(err, l.workers[i].err)
		l.workers[i].err = nil
	}
	return err
}

func (l *LSTM) checkWeights(w LSTMWeights) error {
	c := l.config
	err := errors.Join(
		mismatch("LSTM", "Wx", len(w.Wx), lstmGates*c.Units, c.Inputs),
		mismatch("LSTM", "Wh", len(w.Wh), lstmGates*c.Units, c.Units),
		mismatch("LSTM", "beta", len(w.Beta), lstmGates*c.Units),
		mismatch("LSTM", "h0", len(w.H0), c.Units),
		mismatch("LSTM", "c0", len(w.C0), c.Units))
	if !c.BatchNorm {
		return err
	}
	return errors.Join(err,
		mismatch("LSTM", "gamma_h", len(w.GammaH), lstmGates*c.Units),
		mismatch("LSTM", "gamma_x", len(w.GammaX), lstmGates*c.Units),
		mismatch("LSTM", "gamma_c", len(w.GammaC), c.Units),
		mismatch("LSTM", "beta_c", len(w.BetaC), c.Units))
}

func (l *LSTM) checkInput(in LSTMInput) error {
	c := l.config
	if !c.Tokens {
		return mismatch("LSTM", "the input", len(in.Features), c.Steps, c.Batch, c.Inputs)
	}
	if err := mismatch("LSTM", "the input", len(in.Tokens), c.Steps, c.Batch); err != nil {
		return err
	}
	return checkTokens("LSTM", in.Tokens, c.Inputs)
}

func (l *LSTM) checkPass() error {
	c, p := l.config, l.Pass
	if p.Rows < 0 || p.Rows > c.Batch {
		return fmt.Errorf("LSTM: %d sequences of a batch of %d", p.Rows, c.Batch)
	}
	if p.Start != nil {
		if !c.Carry {
			return errors.New("LSTM: a start state is given to a layer that carries none")
		}
		if err := errors.Join(
			mismatch("LSTM", "the hidden state", len(p.Start.Hidden), c.Batch, c.Units),
			mismatch("LSTM", "the cell state", len(p.Start.Cell), c.Batch, c.Units)); err != nil {
			return err
		}
	}
	if c.BatchNorm && p.Statistics != Batch {
		return p.Running.check(c.runningSteps(), c.Units)
	}
	return nil
}

// at returns the rows of step t of a matrix of four gates or of cells.
func (l *LSTM) at(data []float32, t, stride, column int) gates.Matrix {
	return gates.Matrix{Data: data[t*l.config.Batch*stride+column:], Stride: stride}
}
