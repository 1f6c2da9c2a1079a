package gates

// The kernels of a gated recurrent unit whose reset gate acts after the
// recurrent product, as in PyTorch's nn.GRU:
//
//	(r,z) = σ(a)                       n = tanh(ax + r∘ah)
//	h = n + z∘(h₋₁ − n) = (1−z)∘n + z∘h₋₁
//
// The gates r, z, n of a matrix lie Spacing floats apart, as those of an LSTM do.
// Where the reset gate acts before the product, n is a Gate like the others, and only
// da[n], da[z] and BeforeGradient of what UpdateGradient computes are meaningful.

// gruGates is the number of gates, in the order r, z, n.
const gruGates = 3

// Gate takes one gate of a step from its two products to its activation.
type Gate struct {
	Rows, Columns int
	Tanh          bool // else σ

	Hidden                  Matrix   // Wh·h₋₁ before normalisation
	Input                   Gathered // Wx·x before normalisation
	HiddenScale, InputScale []float32
	Shift                   []float32

	Activation Matrix // output; may be Hidden, or Input where that is in order
}

// Forward computes, for every row and column,
//
//	Activation = tanh or σ (HiddenScale·Hidden + InputScale·Input + Shift)
func (g Gate) Forward() {
	g.Hidden.check("Gate.Hidden", g.Rows, g.Columns)
	g.Input.checkInput("Gate.Input", g.Rows, g.Columns)
	checkVector("Gate.HiddenScale", g.HiddenScale, g.Columns)
	checkVector("Gate.InputScale", g.InputScale, g.Columns)
	checkVector("Gate.Shift", g.Shift, g.Columns)
	g.Activation.check("Gate.Activation", g.Rows, g.Columns)
	active().gateForward(g)
}

// Candidate computes a GRU's candidate state.
type Candidate struct {
	Rows, Columns int

	Hidden                   Matrix   // Wh·h₋₁ of gate n before normalisation
	Input                    Gathered // Wx·x of gate n before normalisation
	HiddenScale, HiddenShift []float32
	InputScale, InputShift   []float32
	Reset                    Matrix // r

	Activation Matrix // output, n
}

// Forward computes, for every row and column,
//
//	n = tanh(InputScale·Input + InputShift + r·(HiddenScale·Hidden + HiddenShift))
func (c Candidate) Forward() {
	c.Hidden.check("Candidate.Hidden", c.Rows, c.Columns)
	c.Input.check("Candidate.Input", c.Rows, c.Columns)
	checkVector("Candidate.HiddenScale", c.HiddenScale, c.Columns)
	checkVector("Candidate.HiddenShift", c.HiddenShift, c.Columns)
	checkVector("Candidate.InputScale", c.InputScale, c.Columns)
	checkVector("Candidate.InputShift", c.InputShift, c.Columns)
	c.Reset.check("Candidate.Reset", c.Rows, c.Columns)
	c.Activation.check("Candidate.Activation", c.Rows, c.Columns)
	active().candidateForward(c)
}

// Update takes a GRU from its gates to the new state.
type Update struct {
	Rows, Columns int
	Spacing       int // distance between the gates of a row, in floats

	Activation Matrix // r, z, n; r is not used
	Before     Matrix // h₋₁

	After Matrix // output, h; may be Before
}

// Forward computes h = n + z·(h₋₁ − n) for every row and column.
func (u Update) Forward() {
	u.Activation.check("Update.Activation", u.Rows, gruReach(u.Columns, u.Spacing))
	u.Before.check("Update.Before", u.Rows, u.Columns)
	u.After.check("Update.After", u.Rows, u.Columns)
	active().updateForward(u)
}

// UpdateGradient is the backward pass of Update and Candidate, and of the gates
// up to their sums.
type UpdateGradient struct {
	Rows, Columns int
	Spacing       int // distance between the gates of a row, in floats

	// The gradient of h is the sum of those that come from the layer above and from the
	// next time step. HiddenAbove without Data counts as zero.
	HiddenAbove, HiddenNext Matrix

	Activation               Matrix // r, z, n
	Before                   Matrix // h₋₁
	Hidden                   Matrix // Wh·h₋₁ of gate n before normalisation
	HiddenScale, HiddenShift []float32

	// Outputs.
	GateGradient      Matrix // ∂L/∂a of r and z, ∂L/∂ax of n; may be Activation
	CandidateGradient Matrix // ∂L/∂ah, the gradient of the normalised Wh·h₋₁ of gate n
	BeforeGradient    Matrix // the part of ∂L/∂h₋₁ that passes z; may be HiddenNext
}

// Backward computes, with dh the gradient of h and q = HiddenScale·Hidden + HiddenShift,
//
//	da[n] = dh·(1−z)·(1−n²)     CandidateGradient = da[n]·r
//	da[z] = dh·(h₋₁−n)·z·(1−z)  da[r] = da[n]·q·r·(1−r)
//	BeforeGradient = dh·z
func (g UpdateGradient) Backward() {
	reach := gruReach(g.Columns, g.Spacing)
	if g.HiddenAbove.Data != nil {
		g.HiddenAbove.check("UpdateGradient.HiddenAbove", g.Rows, g.Columns)
	}
	g.HiddenNext.check("UpdateGradient.HiddenNext", g.Rows, g.Columns)
	g.Activation.check("UpdateGradient.Activation", g.Rows, reach)
	g.Before.check("UpdateGradient.Before", g.Rows, g.Columns)
	g.Hidden.check("UpdateGradient.Hidden", g.Rows, g.Columns)
	checkVector("UpdateGradient.HiddenScale", g.HiddenScale, g.Columns)
	checkVector("UpdateGradient.HiddenShift", g.HiddenShift, g.Columns)
	g.GateGradient.check("UpdateGradient.GateGradient", g.Rows, reach)
	g.CandidateGradient.check("UpdateGradient.CandidateGradient", g.Rows, g.Columns)
	g.BeforeGradient.check("UpdateGradient.BeforeGradient", g.Rows, g.Columns)
	active().updateBackward(g)
}

// gruReach is the length of a row that holds all three gates.
func gruReach(columns, spacing int) int {
	if columns <= 0 {
		return 0
	}
	return (gruGates-1)*spacing + columns
}
