package gates

// Gates takes a step from the two products of each gate to the new cell.
type Gates struct {
	Rows, Columns int
	Spacing       int // distance between the gates of a row, in floats

	ActivationSpacing int // the same in Activation, which may be a smaller matrix

	Hidden                  Matrix    // Wh·h₋₁ before normalisation, four gates
	Input                   Gathered  // Wx·x before normalisation, four gates
	HiddenScale, InputScale []float32 // from Fold, four gates
	Shift                   []float32
	CellBefore              Matrix // c₋₁

	// Outputs.
	Activation Matrix // g, f, i, o; may be Hidden, or Input where that is in order
	Cell       Matrix // c; may be CellBefore. Without Data c is not computed and CellBefore not read.
}

// Forward computes, for every row and column and with k one of g, f, i, o,
//
//	a[k] = HiddenScale[k]·Hidden[k] + InputScale[k]·Input[k] + Shift[k]
//	g = tanh(a[g]), f = σ(a[f]), i = σ(a[i]), o = σ(a[o])
//	c = f·c₋₁ + i·g
//
// tanh and σ are as accurate as package vecmath's.
func (g Gates) Forward() {
	reach := gateReach(g.Columns, g.Spacing)
	g.Hidden.check("Gates.Hidden", g.Rows, reach)
	g.Input.checkInput("Gates.Input", g.Rows, reach)
	checkVector("Gates.HiddenScale", g.HiddenScale, reach)
	checkVector("Gates.InputScale", g.InputScale, reach)
	checkVector("Gates.Shift", g.Shift, reach)
	g.Activation.check("Gates.Activation", g.Rows, gateReach(g.Columns, g.ActivationSpacing))
	if g.Cell.Data != nil {
		g.CellBefore.check("Gates.CellBefore", g.Rows, g.Columns)
		g.Cell.check("Gates.Cell", g.Rows, g.Columns)
	}
	active().gatesForward(g)
}

// GatesGradient is the backward pass of Gates up to a, the gates' sums.
type GatesGradient struct {
	Rows, Columns int
	Spacing       int // distance between the gates of a row, in floats

	CellGradient Matrix // ∂L/∂c, all of it
	Activation   Matrix // g, f, i of Gates
	CellBefore   Matrix // c₋₁

	// Outputs.
	GateGradient       Matrix // ∂L/∂a of g, f and i, the gate o being OutputGradient's; may be Activation
	CellBeforeGradient Matrix // ∂L/∂c₋₁; may be CellGradient
}

// Backward computes, with dc the gradient of the cell,
//
//	da[g] = dc·i·(1−g²)    da[f] = dc·c₋₁·f·(1−f)    da[i] = dc·g·i·(1−i)
//	CellBeforeGradient = dc·f
func (g GatesGradient) Backward() {
	reach := gateReach(g.Columns, g.Spacing) - g.Spacing
	g.CellGradient.check("GatesGradient.CellGradient", g.Rows, g.Columns)
	g.Activation.check("GatesGradient.Activation", g.Rows, reach)
	g.CellBefore.check("GatesGradient.CellBefore", g.Rows, g.Columns)
	g.GateGradient.check("GatesGradient.GateGradient", g.Rows, reach)
	g.CellBeforeGradient.check("GatesGradient.CellBeforeGradient", g.Rows, g.Columns)
	active().gatesBackward(g)
}
