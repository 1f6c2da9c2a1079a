package gates

// Output takes a step from the new cell to the new hidden state.
type Output struct {
	Rows, Columns int

	Cell         Matrix    // c
	Scale, Shift []float32 // from Fold; 1 and 0 where the cell is not normalised
	Gate         Matrix    // o

	// Outputs.
	CellTanh Matrix // tanh(BN(c))
	Hidden   Matrix // h
}

// Forward computes, for every row and column,
//
//	CellTanh = tanh(Scale·Cell + Shift)
//	Hidden   = Gate·CellTanh
func (o Output) Forward() {
	o.Cell.check("Output.Cell", o.Rows, o.Columns)
	checkVector("Output.Scale", o.Scale, o.Columns)
	checkVector("Output.Shift", o.Shift, o.Columns)
	o.Gate.check("Output.Gate", o.Rows, o.Columns)
	o.CellTanh.check("Output.CellTanh", o.Rows, o.Columns)
	o.Hidden.check("Output.Hidden", o.Rows, o.Columns)
	active().outputForward(o)
}

// OutputGradient is the backward pass of Output and of the cell's
// normalisation.
type OutputGradient struct {
	Rows, Columns int

	// The gradient of h is the sum of those that come from the layer above and from the
	// next time step. A matrix without Data counts as zero.
	HiddenAbove, HiddenNext Matrix

	Gate       Matrix     // o
	CellTanh   Matrix     // tanh(BN(c))
	Cell       Matrix     // c
	Statistics Statistics // of the cell; mean 0, rstd 1 where it is not normalised
	Gamma      []float32  // γc; 1 where the cell is not normalised

	// Outputs. Backward adds to the parameters' gradients and to CellGradient.
	BetaGradient, GammaGradient []float32
	GateGradient                Matrix // ∂L/∂a of gate o; may be Gate
	CellGradient                Matrix // ∂L/∂c; before the call, the part that comes from the next time step
}

// Backward computes, with dh the gradient of h, ĉ = (c−mean)·rstd, t =
// CellTanh and sums over the rows of column j,
//
//	GateGradient = dh·t·o·(1−o)
//	dn = dh·o·(1−t²)
//	BetaGradient  += Σ dn
//	GammaGradient += Σ dn·ĉ
//	CellGradient  += γ·rstd·(dn − Σdn/Rows − ĉ·Σ(dn·ĉ)/Rows)
//
// and without batch statistics CellGradient += γ·rstd·dn.
func (g OutputGradient) Backward() {
	if g.HiddenAbove.Data != nil {
		g.HiddenAbove.check("OutputGradient.HiddenAbove", g.Rows, g.Columns)
	}
	if g.HiddenNext.Data != nil {
		g.HiddenNext.check("OutputGradient.HiddenNext", g.Rows, g.Columns)
	}
	g.Gate.check("OutputGradient.Gate", g.Rows, g.Columns)
	g.CellTanh.check("OutputGradient.CellTanh", g.Rows, g.Columns)
	g.Cell.check("OutputGradient.Cell", g.Rows, g.Columns)
	checkVector("OutputGradient.Statistics.Mean", g.Statistics.Mean, g.Columns)
	checkVector("OutputGradient.Statistics.RStd", g.Statistics.RStd, g.Columns)
	checkVector("OutputGradient.Gamma", g.Gamma, g.Columns)
	checkVector("OutputGradient.BetaGradient", g.BetaGradient, g.Columns)
	checkVector("OutputGradient.GammaGradient", g.GammaGradient, g.Columns)
	g.GateGradient.check("OutputGradient.GateGradient", g.Rows, g.Columns)
	g.CellGradient.check("OutputGradient.CellGradient", g.Rows, g.Columns)
	active().outputBackward(g)
}
