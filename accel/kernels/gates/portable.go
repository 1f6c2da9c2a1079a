package gates

import (
	"math"

	"bittern/accel/kernels/flush"
)

// portable is the specification of the kernels: one loop over the columns and
// one down the rows, sums in float64.
type portable struct{}

// strip is how many columns are summed side by side where training spends its time: one column
// alone waits for each of its additions, and reads a cache line of every row for one element.
const strip = 16

func sigmoid(x float32) float32 { return flush.ToZero(float32(1 / (1 + math.Exp(-float64(x))))) }
func tanh(x float32) float32    { return float32(math.Tanh(float64(x))) }

func (portable) moments(mean, rstd []float32, x Gathered, rows int, epsilon float32) {
	for from := 0; from < len(mean); from += strip {
		columns := min(strip, len(mean)-from)
		var centre, squares [strip]float64
		for r := range rows {
			for j, v := range x.row(r)[from:][:columns] {
				centre[j] += float64(v)
			}
		}
		for j := range columns {
			centre[j] /= float64(rows)
		}
		for r := range rows {
			for j, v := range x.row(r)[from:][:columns] {
				deviation := float64(v) - centre[j]
				squares[j] += deviation * deviation
			}
		}
		for j := range columns {
			mean[from+j] = float32(centre[j])
			rstd[from+j] = float32(1 / math.Sqrt(squares[j]/float64(rows)+float64(epsilon)))
		}
	}
}

func (portable) fetch(Matrix, int, int) {} // Go has no way to ask for it

func (portable) fold(scale, shift, gamma, beta, mean, rstd []float32) {
	for j := range scale {
		s := gamma[j] * rstd[j]
		scale[j], shift[j] = s, beta[j]-s*mean[j]
	}
}

func (portable) sumColumns(sum []float32, x Matrix, rows int) {
	for j := range sum {
		var total float64
		for r := range rows {
			total += float64(x.Data[r*x.Stride+j])
		}
		sum[j] += float32(total)
	}
}

func (portable) gatesForward(p Gates) {
	for r := range p.Rows {
		hidden := p.Hidden.Data[r*p.Hidden.Stride:]
		activation := p.Activation.Data[r*p.Activation.Stride:]
		for j := range p.Columns {
			affine := func(gate int) float32 {
				at := gate*p.Spacing + j
				return p.HiddenScale[at]*hidden[at] + p.InputScale[at]*p.Input.element(r, at) + p.Shift[at]
			}
			g, f, i, o := tanh(affine(0)), sigmoid(affine(1)), sigmoid(affine(2)), sigmoid(affine(3))
			activation[j], activation[p.ActivationSpacing+j] = g, f
			activation[2*p.ActivationSpacing+j], activation[3*p.ActivationSpacing+j] = i, o
			if p.Cell.Data != nil {
				p.Cell.Data[r*p.Cell.Stride+j] = f*p.CellBefore.Data[r*p.CellBefore.Stride+j] + i*g
			}
		}
	}
}

func (portable) gateForward(p Gate) {
	activation := sigmoid
	if p.Tanh {
		activation = tanh
	}
	for r := range p.Rows {
		for j := range p.Columns {
			p.Activation.Data[r*p.Activation.Stride+j] = activation(
				p.HiddenScale[j]*p.Hidden.Data[r*p.Hidden.Stride+j] + p.InputScale[j]*p.Input.element(r, j) + p.Shift[j])
		}
	}
}

func (portable) candidateForward(p Candidate) {
	for r := range p.Rows {
		input := p.Input.row(r)
		for j := range p.Columns {
			hidden := p.HiddenScale[j]*p.Hidden.Data[r*p.Hidden.Stride+j] + p.HiddenShift[j]
			p.Activation.Data[r*p.Activation.Stride+j] = tanh(
				p.InputScale[j]*input[j] + p.InputShift[j] + p.Reset.Data[r*p.Reset.Stride+j]*hidden)
		}
	}
}

func (portable) updateForward(p Update) {
	for r := range p.Rows {
		activation := p.Activation.Data[r*p.Activation.Stride:]
		for j := range p.Columns {
			z, n := activation[p.Spacing+j], activation[2*p.Spacing+j]
			p.After.Data[r*p.After.Stride+j] = n + z*(p.Before.Data[r*p.Before.Stride+j]-n)
		}
	}
}

func (portable) updateBackward(p UpdateGradient) {
	for row := range p.Rows {
		activation := p.Activation.Data[row*p.Activation.Stride:]
		gradient := p.GateGradient.Data[row*p.GateGradient.Stride:]
		for j := range p.Columns {
			r, z, n := activation[j], activation[p.Spacing+j], activation[2*p.Spacing+j]
			dh := p.HiddenNext.Data[row*p.HiddenNext.Stride+j]
			if p.HiddenAbove.Data != nil {
				dh += p.HiddenAbove.Data[row*p.HiddenAbove.Stride+j]
			}
			dh = flush.ToZero(dh)
			q := p.HiddenScale[j]*p.Hidden.Data[row*p.Hidden.Stride+j] + p.HiddenShift[j]
			dn := flush.ToZero(dh * (1 - z) * (1 - n*n))
			gradient[j] = flush.ToZero(dn * q * r * (1 - r))
			gradient[p.Spacing+j] = flush.ToZero(dh * (p.Before.Data[row*p.Before.Stride+j] - n) * z * (1 - z))
			gradient[2*p.Spacing+j] = dn
			p.CandidateGradient.Data[row*p.CandidateGradient.Stride+j] = flush.ToZero(dn * r)
			p.BeforeGradient.Data[row*p.BeforeGradient.Stride+j] = flush.ToZero(dh * z)
		}
	}
}

func (portable) affineBackward(p AffineGradient) {
	gradient := Gathered{Matrix: p.ProductGradient, Order: p.Product.Order}
	for j := range p.Columns {
		var sum, product float64
		for r := range p.Rows {
			dy := float64(p.Gradient.Data[r*p.Gradient.Stride+j])
			sum += dy
			product += dy * float64((p.Product.row(r)[j]-p.Statistics.Mean[j])*p.Statistics.RStd[j])
		}
		p.BetaGradient[j] += float32(sum)
		p.GammaGradient[j] += float32(product)
		c := p.Statistics.centring(j, p.Gamma, sum, product, p.Rows)
		for r := range p.Rows {
			dx := c.gradient(p.Gradient.Data[r*p.Gradient.Stride+j], p.Product.row(r)[j])
			if to := &gradient.row(r)[j]; p.Product.Order != nil {
				*to += dx
			} else {
				*to = dx
			}
		}
	}
}

func (portable) outputForward(p Output) {
	for r := range p.Rows {
		for j := range p.Columns {
			t := tanh(p.Scale[j]*p.Cell.Data[r*p.Cell.Stride+j] + p.Shift[j])
			p.CellTanh.Data[r*p.CellTanh.Stride+j] = t
			p.Hidden.Data[r*p.Hidden.Stride+j] = t * p.Gate.Data[r*p.Gate.Stride+j]
		}
	}
}

// centring holds the numbers by which a normalisation's backward pass turns the gradient
// of a column, dy, into dx = scale·(dy − mean − x̂·slope). mean and slope are means over
// the batch.
type centring struct{ centre, rstd, scale, mean, slope float32 }

func (s Statistics) centring(j int, gamma []float32, sum, product float64, rows int) centring {
	c := centring{centre: s.Mean[j], rstd: s.RStd[j], scale: gamma[j] * s.RStd[j]}
	if s.Batch {
		n := float64(s.count(rows))
		c.mean, c.slope = float32(sum/n), float32(product/n)
	}
	return c
}

// The conversion keeps the product from being rounded together with a sum it is added to.
func (c centring) gradient(dy, x float32) float32 {
	return float32(c.scale * (dy - c.mean - (x-c.centre)*c.rstd*c.slope))
}

func (portable) outputBackward(p OutputGradient) {
	for j := range p.Columns {
		hiddenGradient := func(r int) (dh float32) {
			if p.HiddenAbove.Data != nil {
				dh += p.HiddenAbove.Data[r*p.HiddenAbove.Stride+j]
			}
			if p.HiddenNext.Data != nil {
				dh += p.HiddenNext.Data[r*p.HiddenNext.Stride+j]
			}
			return flush.ToZero(dh)
		}
		normalGradient := func(r int) float32 {
			t := p.CellTanh.Data[r*p.CellTanh.Stride+j]
			return hiddenGradient(r) * p.Gate.Data[r*p.Gate.Stride+j] * (1 - t*t)
		}
		var sum, product float64
		for r := range p.Rows {
			dn := float64(normalGradient(r))
			sum += dn
			product += dn * float64((p.Cell.Data[r*p.Cell.Stride+j]-p.Statistics.Mean[j])*p.Statistics.RStd[j])
		}
		p.BetaGradient[j] += float32(sum)
		p.GammaGradient[j] += float32(product)
		c := p.Statistics.centring(j, p.Gamma, sum, product, p.Rows)
		for r := range p.Rows {
			dc := &p.CellGradient.Data[r*p.CellGradient.Stride+j]
			*dc = flush.ToZero(*dc + c.gradient(normalGradient(r), p.Cell.Data[r*p.Cell.Stride+j]))
			o, t := p.Gate.Data[r*p.Gate.Stride+j], p.CellTanh.Data[r*p.CellTanh.Stride+j]
			p.GateGradient.Data[r*p.GateGradient.Stride+j] = flush.ToZero(hiddenGradient(r) * t * o * (1 - o))
		}
	}
}

func (portable) gatesBackward(p GatesGradient) {
	for r := range p.Rows {
		activation := p.Activation.Data[r*p.Activation.Stride:]
		gradient := p.GateGradient.Data[r*p.GateGradient.Stride:]
		for j := range p.Columns {
			g, f, i := activation[j], activation[p.Spacing+j], activation[2*p.Spacing+j]
			dc, before := p.CellGradient.Data[r*p.CellGradient.Stride+j], p.CellBefore.Data[r*p.CellBefore.Stride+j]
			gradient[j] = flush.ToZero(dc * i * (1 - g*g))
			gradient[p.Spacing+j] = flush.ToZero(dc * before * f * (1 - f))
			gradient[2*p.Spacing+j] = flush.ToZero(dc * g * i * (1 - i))
			p.CellBeforeGradient.Data[r*p.CellBeforeGradient.Stride+j] = flush.ToZero(dc * f)
		}
	}
}

func (portable) affinePairBackward(p AffinePairGradient) {
	inputGradient := Gathered{Matrix: p.InputGradient, Order: p.Input.Order}
	for from := 0; from < p.Columns; from += strip {
		columns := min(strip, p.Columns-from)
		row := func(x Matrix, r int) []float32 { return x.Data[r*x.Stride+from:][:columns] }
		var repeated [strip]float32
		inputRow := func(r int) []float32 {
			if !p.Input.Scalar {
				return p.Input.row(r)[from:][:columns]
			}
			for j := range repeated {
				repeated[j] = p.Input.row(r)[0]
			}
			return repeated[:columns]
		}
		hiddenMean, hiddenRStd := p.HiddenStatistics.Mean[from:][:columns], p.HiddenStatistics.RStd[from:][:columns]
		inputMean, inputRStd := p.InputStatistics.Mean[from:][:columns], p.InputStatistics.RStd[from:][:columns]
		var sum, hiddenProduct, inputProduct [strip]float64
		for r := range p.Rows {
			hidden, input := row(p.Hidden, r), inputRow(r)
			for j, gradient := range row(p.Gradient, r) {
				da := float64(gradient)
				sum[j] += da
				hiddenProduct[j] += da * float64((hidden[j]-hiddenMean[j])*hiddenRStd[j])
				inputProduct[j] += da * float64((input[j]-inputMean[j])*inputRStd[j])
			}
		}
		var ofHidden, ofInput [strip]centring
		for i := range columns {
			j := from + i
			p.BetaGradient[j] += float32(sum[i])
			p.HiddenGammaGradient[j] += float32(hiddenProduct[i])
			p.InputGammaGradient[j] += float32(inputProduct[i])
			ofHidden[i] = p.HiddenStatistics.centring(j, p.HiddenGamma, sum[i], hiddenProduct[i], p.Rows)
			if !p.Input.Scalar {
				ofInput[i] = p.InputStatistics.centring(j, p.InputGamma, sum[i], inputProduct[i], p.Rows)
			}
		}
		for r := range p.Rows {
			gradient, hidden, input, toHidden := row(p.Gradient, r), row(p.Hidden, r), inputRow(r), row(p.HiddenGradient, r)
			var toInput []float32
			if !p.Input.Scalar {
				toInput = inputGradient.row(r)[from:][:columns]
			}
			for j, da := range gradient {
				h, x := hidden[j], input[j]
				toHidden[j] = ofHidden[j].gradient(da, h)
				switch {
				case p.Input.Scalar:
				case p.Input.Order != nil:
					toInput[j] += ofInput[j].gradient(da, x)
				default:
					toInput[j] = ofInput[j].gradient(da, x)
				}
			}
		}
	}
}
