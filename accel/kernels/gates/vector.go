//go:build amd64 || arm64

package gates

// assembly are the functions of one instruction set. Each works on all rows of
// at most lanes columns; strides are in bytes.
type assembly struct {
	lanes int
	masks bool // some lanes of a vector can be computed; otherwise it is one or all

	// fetch fetches a cache line of each row.
	fetch func(x *float32, xStride, rows int)

	// order holds the rows of a gathered matrix; it is nil where they are in order.
	moments    func(mean, rstd, x *float32, xStride int, order *int32, rows, lanes int, count, epsilon float32)
	sumColumns func(sum, x *float32, xStride, rows, lanes int)
	fold       func(scale, shift, gamma, beta, mean, rstd *float32, lanes int)

	// tanh and sigmoid take one gate from its products to its activation. scalar is 1 where
	// the input of a row is one number for all columns, otherwise 0.
	tanh, sigmoid func(gate, hidden, input *float32, gateStride, hiddenStride, inputStride int, order *int32, scalar int,
		hiddenScale, inputScale, shift *float32, rows, lanes int)
	// cellForward takes the activations to the cell.
	cellForward func(cell, before, gates *float32, cellStride, beforeStride, gatesStride int,
		spacing, rows, lanes int)
	outputForward func(cell, gate, tanh, hidden *float32, cellStride, gateStride, tanhStride, hiddenStride int,
		scale, shift *float32, rows, lanes int)

	// share is the weight of one row in a mean over the batch; see Statistics.share.
	outputBackward func(above, next, gate, tanh, cell, gateGradient, cellGradient *float32,
		aboveStride, nextStride, gateStride, tanhStride, cellStride, gateGradientStride, cellGradientStride int,
		mean, rstd, gamma, betaGradient, gammaGradient *float32, share float32, rows, lanes int)
	gatesBackward func(cellGradient, gates, before, gatesGradient, beforeGradient *float32,
		cellGradientStride, gatesStride, beforeStride, gatesGradientStride, beforeGradientStride int,
		spacing, rows, lanes int)
	// Scalar inputs have no gradient: inputGradient is nil, and its stride 0.
	affinePairBackward func(gradient, hidden, input, hiddenGradient, inputGradient *float32,
		gradientStride, hiddenStride, inputStride, hiddenGradientStride, inputGradientStride int, order *int32, scalar int,
		hiddenMean, hiddenRstd, hiddenGamma, hiddenGammaGradient *float32, hiddenShare float32,
		inputMean, inputRstd, inputGamma, inputGammaGradient *float32, inputShare float32,
		betaGradient *float32, rows, lanes int)
	affineBackward func(gradient, product, productGradient *float32, gradientStride, productStride, productGradientStride int,
		order *int32, mean, rstd, gamma, betaGradient, gammaGradient *float32, share float32, rows, lanes int)

	// The gated recurrent unit's.
	candidateForward func(candidate, hidden, input, reset *float32, candidateStride, hiddenStride, inputStride, resetStride int,
		order *int32, hiddenScale, hiddenShift, inputScale, inputShift *float32, rows, lanes int)
	updateForward func(after, before, gates *float32, afterStride, beforeStride, gatesStride int,
		spacing, rows, lanes int)
	updateBackward func(above, next, gates, before, hidden, gatesGradient, candidateGradient, beforeGradient *float32,
		aboveStride, nextStride, gatesStride, beforeStride, hiddenStride, gatesGradientStride, candidateGradientStride, beforeGradientStride int,
		spacing int, hiddenScale, hiddenShift *float32, rows, lanes int)
}

// vector runs assembly over one block of columns after the other.
type vector struct{ code *assembly }

// blocks calls work for each block of columns: its first column and its width.
func (v vector) blocks(rows, columns int, work func(j, lanes int)) {
	if rows <= 0 {
		return
	}
	for j := 0; j < columns; {
		lanes := min(v.code.lanes, columns-j)
		if lanes < v.code.lanes && !v.code.masks {
			lanes = 1
		}
		work(j, lanes)
		j += lanes
	}
}

// at is column j of the first row.
func (m Matrix) at(j int) *float32 { return &m.Data[j] }

// bytes is the distance of two rows.
func (m Matrix) bytes() int { return 4 * m.Stride }

// from returns where column j of the first row lies, and 1 for scalar inputs, whose number
// stands in every column.
func (g Gathered) from(j int) (at *float32, scalar int) {
	if g.Scalar {
		return g.at(0), 1
	}
	return g.at(j), 0
}

// first returns the first entry of the order, or nil where rows are in order.
func (g Gathered) first() *int32 {
	if g.Order == nil {
		return nil
	}
	return &g.Order[0]
}

// nothing takes the place of an absent matrix: with stride 0 all rows of that are these
// zeros.
var nothing [16]float32

// atOrNothing returns where column j of the first row lies, and the distance of two rows
// in bytes, of a matrix that may be absent.
func (m Matrix) atOrNothing(j int) (*float32, int) {
	if m.Data == nil {
		return &nothing[0], 0
	}
	return m.at(j), m.bytes()
}

// share returns the weight of one row in a mean over the batch, 1/count, or 0 where the
// statistics are constants and no gradient flows through them.
func (s Statistics) share(rows int) float32 {
	if !s.Batch {
		return 0
	}
	return 1 / float32(s.count(rows))
}

func (v vector) fetch(x Matrix, rows, columns int) {
	for j := 0; j < columns && rows > 0; j += line {
		v.code.fetch(x.at(j), x.bytes(), rows)
	}
}

func (v vector) moments(mean, rstd []float32, x Gathered, rows int, epsilon float32) {
	v.blocks(rows, len(mean), func(j, lanes int) {
		v.code.moments(&mean[j], &rstd[j], x.at(j), x.bytes(), x.first(), rows, lanes, float32(rows), epsilon)
	})
}

func (v vector) sumColumns(sum []float32, x Matrix, rows int) {
	v.blocks(rows, len(sum), func(j, lanes int) {
		v.code.sumColumns(&sum[j], x.at(j), x.bytes(), rows, lanes)
	})
}

func (v vector) fold(scale, shift, gamma, beta, mean, rstd []float32) {
	v.blocks(1, len(scale), func(j, lanes int) {
		v.code.fold(&scale[j], &shift[j], &gamma[j], &beta[j], &mean[j], &rstd[j], lanes)
	})
}

func (v vector) gatesForward(p Gates) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		// f, i and o are one vector
		together := v.code.masks && p.Spacing == p.Columns && p.ActivationSpacing == p.Columns && (gates-1)*p.Columns <= v.code.lanes
		for gate := range gates {
			at, to := gate*p.Spacing+j, gate*p.ActivationSpacing+j
			if together && gate == 1 {
				v.gate(false, p.Activation, to, p.Hidden, p.Input, at, &p.HiddenScale[at], &p.InputScale[at], &p.Shift[at], p.Rows, (gates-1)*p.Columns)
				break
			}
			v.gate(gate == 0, p.Activation, to, p.Hidden, p.Input, at, &p.HiddenScale[at], &p.InputScale[at], &p.Shift[at], p.Rows, lanes)
		}
		if p.Cell.Data == nil {
			return
		}
		v.code.cellForward(p.Cell.at(j), p.CellBefore.at(j), p.Activation.at(j),
			p.Cell.bytes(), p.CellBefore.bytes(), p.Activation.bytes(), 4*p.ActivationSpacing, p.Rows, lanes)
	})
}

// gate computes one gate's block of columns, which starts at column at of the products and at column
// to of the activations.
func (v vector) gate(tanh bool, out Matrix, to int, hidden Matrix, input Gathered, at int, hiddenScale, inputScale, shift *float32, rows, lanes int) {
	activation := v.code.sigmoid
	if tanh {
		activation = v.code.tanh
	}
	from, scalar := input.from(at)
	activation(out.at(to), hidden.at(at), from, out.bytes(), hidden.bytes(), input.bytes(), input.first(), scalar,
		hiddenScale, inputScale, shift, rows, lanes)
}

func (v vector) gateForward(p Gate) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		v.gate(p.Tanh, p.Activation, j, p.Hidden, p.Input, j, &p.HiddenScale[j], &p.InputScale[j], &p.Shift[j], p.Rows, lanes)
	})
}

func (v vector) candidateForward(p Candidate) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		v.code.candidateForward(p.Activation.at(j), p.Hidden.at(j), p.Input.at(j), p.Reset.at(j),
			p.Activation.bytes(), p.Hidden.bytes(), p.Input.bytes(), p.Reset.bytes(), p.Input.first(),
			&p.HiddenScale[j], &p.HiddenShift[j], &p.InputScale[j], &p.InputShift[j], p.Rows, lanes)
	})
}

func (v vector) updateForward(p Update) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		v.code.updateForward(p.After.at(j), p.Before.at(j), p.Activation.at(j),
			p.After.bytes(), p.Before.bytes(), p.Activation.bytes(), 4*p.Spacing, p.Rows, lanes)
	})
}

func (v vector) updateBackward(p UpdateGradient) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		above, aboveStride := p.HiddenAbove.atOrNothing(j)
		v.code.updateBackward(above, p.HiddenNext.at(j), p.Activation.at(j), p.Before.at(j), p.Hidden.at(j),
			p.GateGradient.at(j), p.CandidateGradient.at(j), p.BeforeGradient.at(j),
			aboveStride, p.HiddenNext.bytes(), p.Activation.bytes(), p.Before.bytes(), p.Hidden.bytes(),
			p.GateGradient.bytes(), p.CandidateGradient.bytes(), p.BeforeGradient.bytes(),
			4*p.Spacing, &p.HiddenScale[j], &p.HiddenShift[j], p.Rows, lanes)
	})
}

func (v vector) affineBackward(p AffineGradient) {
	s := p.Statistics
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		v.code.affineBackward(p.Gradient.at(j), p.Product.at(j), p.ProductGradient.at(j),
			p.Gradient.bytes(), p.Product.bytes(), p.ProductGradient.bytes(), p.Product.first(),
			&s.Mean[j], &s.RStd[j], &p.Gamma[j], &p.BetaGradient[j], &p.GammaGradient[j], s.share(p.Rows), p.Rows, lanes)
	})
}

func (v vector) outputForward(p Output) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		v.code.outputForward(p.Cell.at(j), p.Gate.at(j), p.CellTanh.at(j), p.Hidden.at(j),
			p.Cell.bytes(), p.Gate.bytes(), p.CellTanh.bytes(), p.Hidden.bytes(),
			&p.Scale[j], &p.Shift[j], p.Rows, lanes)
	})
}

func (v vector) outputBackward(p OutputGradient) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		above, aboveStride := p.HiddenAbove.atOrNothing(j)
		next, nextStride := p.HiddenNext.atOrNothing(j)
		v.code.outputBackward(above, next, p.Gate.at(j), p.CellTanh.at(j), p.Cell.at(j),
			p.GateGradient.at(j), p.CellGradient.at(j),
			aboveStride, nextStride, p.Gate.bytes(), p.CellTanh.bytes(), p.Cell.bytes(),
			p.GateGradient.bytes(), p.CellGradient.bytes(),
			&p.Statistics.Mean[j], &p.Statistics.RStd[j], &p.Gamma[j], &p.BetaGradient[j], &p.GammaGradient[j],
			p.Statistics.share(p.Rows), p.Rows, lanes)
	})
}

func (v vector) gatesBackward(p GatesGradient) {
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		v.code.gatesBackward(p.CellGradient.at(j), p.Activation.at(j), p.CellBefore.at(j),
			p.GateGradient.at(j), p.CellBeforeGradient.at(j),
			p.CellGradient.bytes(), p.Activation.bytes(), p.CellBefore.bytes(),
			p.GateGradient.bytes(), p.CellBeforeGradient.bytes(), 4*p.Spacing, p.Rows, lanes)
	})
}

func (v vector) affinePairBackward(p AffinePairGradient) {
	hidden, input := p.HiddenStatistics, p.InputStatistics
	v.blocks(p.Rows, p.Columns, func(j, lanes int) {
		from, scalar := p.Input.from(j)
		gradient, gamma := Matrix{}, &nothing[0]
		var inputGradient *float32
		if !p.Input.Scalar {
			gradient, gamma = p.InputGradient, &p.InputGamma[j]
			inputGradient = gradient.at(j)
		}
		v.code.affinePairBackward(p.Gradient.at(j), p.Hidden.at(j), from, p.HiddenGradient.at(j), inputGradient,
			p.Gradient.bytes(), p.Hidden.bytes(), p.Input.bytes(), p.HiddenGradient.bytes(), gradient.bytes(), p.Input.first(), scalar,
			&hidden.Mean[j], &hidden.RStd[j], &p.HiddenGamma[j], &p.HiddenGammaGradient[j], hidden.share(p.Rows),
			&input.Mean[j], &input.RStd[j], gamma, &p.InputGammaGradient[j], input.share(p.Rows),
			&p.BetaGradient[j], p.Rows, lanes)
	})
}
