package recurrent

import (
	"errors"
	"fmt"

	"bittern/plugins/stepgraph"
)

// Kind is a recurrent layer's architecture.
type Kind int

const (
	// LSTM is long short-term memory (Hochreiter and Schmidhuber 1997), with N
	// the normalization of a product and its bias:
	//
	//	a_t = N(Wh·h_{t−1}) + N(Wx·x_t) + β
	//	(g,f,i,o) = (tanh, σ, σ, σ)(a_t)
	//	c_t = f∘c_{t−1} + i∘g
	//	h_t = o∘tanh(c_t), with NormalizeCell o∘tanh(BN(c_t; γc, βc))
	LSTM Kind = iota

	// GRU is the gated recurrent unit (Cho et al. 2014) in the form of
	// PyTorch's nn.GRU, whose bias_ih is β and whose bias_hh is βh:
	//
	//	r = σ(N(Wh_r·h_{t−1}) + N(Wx_r·x_t) + β_r)    z the same
	//	n = tanh(N(Wx_n·x_t) + β_n + r∘N(Wh_n·h_{t−1}))
	//	h_t = (1−z)∘n + z∘h_{t−1}
	//
	// Here N(Wh·h) includes the bias βh, whatever the normalization. With ResetBefore it is
	//
	//	n = tanh(N(Wx_n·x_t) + β_n + N(Wh_n·(r∘h_{t−1})))
	//
	// as Cho et al. have it. That takes a second recurrent product a step, and βh is
	// there only if the normalization has biases.
	GRU
)

// String returns the layer's name.
func (k Kind) String() string { return [...]string{"LSTM", "GRU"}[k] }

// gates is the number of gates, whose rows are stacked in Wx and Wh: g, f, i, o of
// an LSTM, r, z, n of a GRU.
func (k Kind) gates() int { return [...]int{lstmGates, gruGates}[k] }

const (
	lstmGates = 4
	gruGates  = 3
)

// Config is the shape of a recurrent layer.
type Config struct {
	Kind   Kind
	Steps  int // time steps per sequence
	Batch  int // sequences per batch
	Inputs int // features per step, or the vocabulary's size
	Units  int

	// Tokens says that the inputs are one-hot and given as ids. Products with
	// Wx are then look-ups of its columns.
	Tokens bool

	Normalization Normalization
	// NormalizeCell normalises the cell state of an LSTM; see [BatchNorm].
	NormalizeCell bool

	// Carry says that sequences may start from states of their own. Without it all
	// sequences start from (h0, c0), so that Wh·h_0 is the same for the whole batch
	// and batch normalization makes it exactly 0. With Carry, time steps have no
	// common start to count from, so that one set of running statistics serves all
	// of them.
	Carry bool

	// Reverse scans sequences from their last step to their first. Inputs,
	// outputs and gradients stay in order of time; running statistics are in
	// order of the scan.
	Reverse bool

	// Masked says that sequences have lengths of their own, [Input.Lengths]. Steps
	// beyond a sequence's length leave its state unchanged, give no gradient to any
	// parameter or input, and do not count in any statistics. Steps that no sequence
	// has cost next to nothing. One set of running statistics serves all steps.
	Masked bool

	// ResetBefore applies a GRU's reset gate before the recurrent product.
	ResetBefore bool

	// HiddenBits rounds every hidden state, h_0 included, to the nearest of 2^HiddenBits
	// evenly spaced levels from −1 to 1, in every pass; 0 = none. See
	// [stepgraph.Rounded] for the rule. h_t is rounded when it is complete: the next
	// step, the layer above and [Layer.Final] only see the rounded state, and so do
	// both uses of h_{t−1} in a GRU. Gradients go straight through, as if h_t were not
	// rounded, also where h_0 or its noise is beyond ±1. The cell state is not rounded.
	//
	// Zhou et al., "DoReFa-Net" (arXiv 1606.06160), round activations so, between 0 and
	// 1; h_t is between −1 and 1. Xu et al., "Alternating Multi-bit Quantization for
	// Recurrent Neural Networks" (ICLR 2018; recalled, not read), write h_t as
	// α₁b₁+…+α_k·b_k instead, with signs b and coefficients α that are fitted anew to
	// each vector, at each step. Here α is 2⁰/n to 2^(k−1)/n with n = 2^k − 1 for all
	// vectors, so that nothing is fitted when the network runs, and a state far
	// smaller than 1 has fewer levels.
	HiddenBits int
}

// Check returns an error that says how to mend a configuration that no layer can have.
func (c Config) Check() error {
	for _, size := range []struct {
		name  string
		value int
	}{{"steps", c.Steps}, {"batch", c.Batch}, {"inputs", c.Inputs}, {"units", c.Units}} {
		if size.value < 1 {
			return fmt.Errorf("%s: the number of %s is %d; give at least 1", c.Kind, size.name, size.value)
		}
	}
	switch {
	case c.Normalization.Batch() && c.Batch < 2:
		return fmt.Errorf("%s: normalization %s takes its statistics over the batch; raise the batch to at least 2 or choose another normalization", c.Kind, c.Normalization)
	case c.NormalizeCell && (c.Kind != LSTM || !c.Normalization.Batch()):
		return fmt.Errorf("%s: only an LSTM with a normalization of batches normalises its cell state", c.Kind)
	case c.HiddenBits < 0 || c.HiddenBits > stepgraph.MostBits:
		return fmt.Errorf("%s: hidden states cannot be rounded to %d bits; give 1 to %d, or 0 to leave them as they are", c.Kind, c.HiddenBits, stepgraph.MostBits)
	case c.ResetBefore && c.Kind != GRU:
		return fmt.Errorf("%s: only a GRU has a reset gate", c.Kind)
	}
	return nil
}

// Tensor is the name and shape of a layer's parameter or buffer.
type Tensor struct {
	Name     string
	Shape    []int
	Quantize bool // it may be quantized
}

// Parameters lists the layer's parameters in the order that package graph takes
// them. Gains of a normalization are called gamma.
//
// With ResetBefore the rows of Wh for n are a matrix of their own, Whn: it multiplies
// r∘h, whereas the other rows multiply h. Quantizers and backends so see two matrices. In
// all other parameters the rows of n come last.
func (c Config) Parameters() []Tensor {
	d, wide := c.Units, c.Kind.gates()*c.Units
	list := []Tensor{
		{"Wx", []int{wide, c.Inputs}, true}, {"Wh", []int{wide, d}, true},
	}
	if c.ResetBefore {
		list[1].Shape = []int{gateN * d, d}
		list = append(list, Tensor{"Whn", []int{d, d}, true})
	}
	list = append(list, Tensor{"beta", []int{wide}, false}, Tensor{"h0", []int{d}, false})
	add := func(name string, n int) { list = append(list, Tensor{name, []int{n}, false}) }
	if c.Kind == LSTM {
		add("c0", d)
	}
	if c.Normalization != NoNorm {
		add("gamma_h", wide)
		add("gamma_x", wide)
	}
	if c.NormalizeCell {
		add("gamma_c", d)
		add("beta_c", d)
	}
	if c.hiddenBias() {
		add("beta_h", wide)
	}
	if c.ownBiases() {
		add("beta_x", wide)
	}
	return list
}

// ownBiases says whether the normalization gives each product a bias.
func (c Config) ownBiases() bool { return c.Normalization.centred() && !c.NormalizeCell }

// hiddenBias says whether Wh·h has a bias of its own.
func (c Config) hiddenBias() bool { return c.ownBiases() || c.resetAfter() }

// resetAfter says whether the layer is a GRU whose reset gate acts after the recurrent
// product, so that its candidate has two biases.
func (c Config) resetAfter() bool { return c.Kind == GRU && !c.ResetBefore }

// Buffers lists the layer's running statistics, in the order of the fields of [Running].
func (c Config) Buffers() []Tensor {
	if !c.Normalization.Batch() {
		return nil
	}
	rows, wide := c.runningSteps(), c.Kind.gates()*c.Units
	list := []Tensor{
		{"mean_h", []int{rows, wide}, false}, {"variance_h", []int{rows, wide}, false},
		{"mean_x", []int{rows, wide}, false}, {"variance_x", []int{rows, wide}, false},
	}
	if c.NormalizeCell {
		list = append(list, Tensor{"mean_c", []int{rows, c.Units}, false}, Tensor{"variance_c", []int{rows, c.Units}, false})
	}
	if c.Masked {
		list = append(list, Tensor{"counts", []int{2, rows}, false})
	}
	return list
}

// oneSet says whether one set of running statistics serves all steps: if the normalization
// wants it; if sequences go on from earlier ones, so that steps have no common start to
// count from; and if sequences have lengths, because so few sequences have the last steps
// that their variance says nothing.
func (c Config) oneSet() bool {
	return c.Normalization == SharedBatchNorm || c.Carry || c.Masked
}

// inStep says whether all sequences are at their first step at the same time.
func (c Config) inStep() bool { return !c.Carry && !(c.Reverse && c.Masked) }

// runningSteps is the number of rows of the running statistics.
func (c Config) runningSteps() int {
	if c.oneSet() {
		return 1
	}
	return c.Steps
}

// startsConstant says whether the recurrent product of gate k is the same for every
// sequence at the first step, so that batch normalization makes it 0. With ResetBefore
// that of n is not, as r depends on x. [Pass.Noise] changes this for single passes only.
func (c Config) startsConstant(k int) bool {
	return c.inStep() && !(c.ResetBefore && k == gateN)
}

// firstHidden is the first step whose recurrent product of gate k counts in the running
// statistics.
func (c Config) firstHidden(k int) int {
	if c.oneSet() && c.startsConstant(k) {
		return 1
	}
	return 0
}

// Weights are the parameters of a layer, or the gradients with respect to them,
// row-major, by the names that [Config.Parameters] lists with their shapes.
type Weights struct {
	Wx, Wh, Whn, Beta, H0, C0, GammaH, GammaX, GammaC, BetaC, BetaH, BetaX []float32
}

// Field returns where the parameter of a name is kept; nil if there is none.
func (w *Weights) Field(name string) *[]float32 {
	switch name {
	case "Wx":
		return &w.Wx
	case "Wh":
		return &w.Wh
	case "Whn":
		return &w.Whn
	case "beta":
		return &w.Beta
	case "h0":
		return &w.H0
	case "c0":
		return &w.C0
	case "gamma_h":
		return &w.GammaH
	case "gamma_x":
		return &w.GammaX
	case "gamma_c":
		return &w.GammaC
	case "beta_c":
		return &w.BetaC
	case "beta_h":
		return &w.BetaH
	case "beta_x":
		return &w.BetaX
	}
	return nil
}

// hiddenRows returns the rows of gate k in Wh or Whn, followed by those of the later gates
// in the same matrix.
func (c Config) hiddenRows(w *Weights, k int) []float32 {
	if c.ResetBefore && k == gateN {
		return w.Whn
	}
	return w.Wh[k*c.Units*c.Units:]
}

// hiddenRow returns row j, counted over all gates.
func (c Config) hiddenRow(w *Weights, j int) []float32 {
	return c.hiddenRows(w, j/c.Units)[j%c.Units*c.Units:][:c.Units]
}

// Input is a batch of sequences: ids [Steps × Batch] for a layer over tokens, otherwise
// features [Steps × Batch × Inputs]. For a masked layer it also has the length of each
// sequence in steps.
type Input struct {
	Tokens   []int32
	Features []float32
	Lengths  []int32
}

// State is the state that a layer carries from step to step, [Batch × Units] each. A GRU
// has no cell state.
type State struct{ Hidden, Cell []float32 }

// Pass says how a layer runs.
type Pass struct {
	Statistics Statistics
	// Running are the statistics that Calibrate gathers and Frozen uses.
	Running *Running
	// Rows is the number of sequences at the front of the batch that are
	// computed; 0 = all. The others' outputs are undefined but finite.
	Rows int
	// Start is the state before the first step; nil is (h0, c0). Only a
	// layer with Carry takes one.
	Start *State
	// Fresh marks the sequences of the batch that start from (h0, c0) instead of
	// Start; nil = none. Only those give h0 and c0 a gradient.
	Fresh []bool
	// Noise [Batch × Units] is added to h0 where sequences start from it, in passes
	// that are not Frozen; nil = none. It is a constant to the gradient.
	//
	// It gives batch normalization something to divide by where all sequences begin
	// with the same inputs, as images with the same first pixels do: without it the
	// variances of such steps are 0, and each of them multiplies the gradient by up
	// to 1/√[Epsilon]. Cooijmans et al., "Recurrent Batch Normalization" (ICLR 2017),
	// train on images so, with a standard deviation of 0.1 (option --noise of their
	// published code). The statistics that a pass with noise gathers
	// from the first step's recurrent product are not deployed: h0, without noise,
	// is their mean and normalises to 0.
	Noise []float32
	// BFloat16 has the matrix products, forward and backward, round their operands to bfloat16
	// and sum in float32. All else is as without it. A row of weights is divided by its
	// largest magnitude before and its products are multiplied by that, so that binary and
	// ternary weights lose nothing. The products with at most 4 features are not rounded.
	BFloat16 bool
}

func (c Config) checkWeights(w *Weights) error {
	var err error
	for _, p := range c.Parameters() {
		err = errors.Join(err, mismatch(c.Kind.String(), p.Name, len(*w.Field(p.Name)), p.Shape...))
	}
	return err
}

func (c Config) checkInput(in Input) error {
	name := c.Kind.String()
	switch {
	case c.Masked:
		if err := mismatch(name, "the lengths", len(in.Lengths), c.Batch); err != nil {
			return err
		}
		for i, n := range in.Lengths {
			if n < 0 || int(n) > c.Steps {
				return fmt.Errorf("%s: sequence %d has %d steps of %d", name, i, n, c.Steps)
			}
		}
	case in.Lengths != nil:
		return fmt.Errorf("%s: lengths are given to a layer that is not masked", name)
	}
	if !c.Tokens {
		return mismatch(name, "the input", len(in.Features), c.Steps, c.Batch, c.Inputs)
	}
	if err := mismatch(name, "the input", len(in.Tokens), c.Steps, c.Batch); err != nil {
		return err
	}
	return checkTokens(name, in.Tokens, c.Inputs)
}

func (c Config) checkPass(p Pass) error {
	name := c.Kind.String()
	if p.Rows < 0 || p.Rows > c.Batch {
		return fmt.Errorf("%s: %d sequences of a batch of %d", name, p.Rows, c.Batch)
	}
	if p.Fresh != nil {
		if p.Start == nil {
			return fmt.Errorf("%s: fresh sequences are named without a start state for the others", name)
		}
		if err := mismatch(name, "the list of fresh sequences", len(p.Fresh), c.Batch); err != nil {
			return err
		}
	}
	if p.Start != nil {
		if !c.Carry {
			return fmt.Errorf("%s: a start state is given to a layer that carries none", name)
		}
		if err := mismatch(name, "the hidden state", len(p.Start.Hidden), c.Batch, c.Units); err != nil {
			return err
		}
		if c.Kind == LSTM {
			if err := mismatch(name, "the cell state", len(p.Start.Cell), c.Batch, c.Units); err != nil {
				return err
			}
		}
	}
	if p.Noise != nil {
		if p.Statistics == Frozen {
			return fmt.Errorf("%s: noise is given to a pass with frozen statistics, which starts from h0", name)
		}
		if err := mismatch(name, "the noise", len(p.Noise), c.Batch, c.Units); err != nil {
			return err
		}
	}
	if c.Normalization.Batch() && p.Statistics != Batch {
		return p.Running.check(c)
	}
	return nil
}
