package recurrent

import (
	"math"

	"bittern/accel/kernels/vecmath"
)

// norms writes the reciprocal norms of n rows of Wh and Wx, from a column on, to where batch
// normalization has its reciprocal deviations: both products are multiplied by gain and
// reciprocal norm.
func (l *layer) norms(row, column, n int) {
	c, s := l.config, &l.statistics
	for i := range n {
		j := row + i
		s.rstdH[column+i] = reciprocalNorm(c.hiddenRow(&l.weights, j))
		s.rstdX[column+i] = reciprocalNorm(l.weights.Wx[j*c.Inputs : (j+1)*c.Inputs])
	}
}

// reciprocalNorm is 1/‖row‖, or 0 of a row of zeros.
func reciprocalNorm(row []float32) float32 {
	if squares := vecmath.SumSquares(row); squares > 0 {
		return float32(1 / math.Sqrt(squares))
	}
	return 0
}

// normsBackward is one worker's part of what the norms add to the gradients of the
// matrices: with W = g·Ŵ/‖Ŵ‖ of a row,
//
//	∂L/∂Ŵ = (g/‖Ŵ‖)·∂L/∂W − (g·∂L/∂g/‖Ŵ‖²)·Ŵ
//
// of which the products gave the first term (Salimans and Kingma, equation 3).
func (l *layer) normsBackward(index int) {
	c, s, w, g := l.config, &l.statistics, &l.weights, &l.gradients
	from, to := l.team.Split(index, l.gates*c.Units, 1)
	for j := from; j < to; j++ {
		column := l.column(j/c.Units, j%c.Units)
		h, x := s.rstdH[column], s.rstdX[column]
		vecmath.Axpy(c.hiddenRow(g, j), -w.GammaH[j]*g.GammaH[j]*h*h, c.hiddenRow(w, j))
		vecmath.Axpy(g.Wx[j*c.Inputs:(j+1)*c.Inputs], -w.GammaX[j]*g.GammaX[j]*x*x, w.Wx[j*c.Inputs:(j+1)*c.Inputs])
	}
}
