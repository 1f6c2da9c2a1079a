package recurrent

import (
	"math"

	"bittern/accel/kernels/vecmath"
)

// Initialise writes the published starting values of all parameters except the matrices.
// Gains are 0.1 with batch normalization (Ardakani et al.), 1 with LayerNorm, and with
// WeightNorm the norms of the rows, which it reads (Hou et al.). Biases and states are 0,
// but β of an LSTM's forget gate is 1.
func (c Config) Initialise(w Weights) {
	for _, p := range c.Parameters() {
		if len(p.Shape) == 1 {
			clear(*w.Field(p.Name))
		}
	}
	if c.Kind == LSTM {
		fill(w.Beta[c.Units:2*c.Units], 1)
	}
	switch c.Normalization {
	case BatchNorm, SharedBatchNorm:
		for _, gain := range [][]float32{w.GammaH, w.GammaX, w.GammaC} {
			fill(gain, 0.1)
		}
	case LayerNorm:
		fill(w.GammaH, 1)
		fill(w.GammaX, 1)
	case WeightNorm:
		for j := range w.GammaH {
			w.GammaH[j] = float32(math.Sqrt(vecmath.SumSquares(c.hiddenRow(&w, j))))
			w.GammaX[j] = float32(math.Sqrt(vecmath.SumSquares(w.Wx[j*c.Inputs : (j+1)*c.Inputs])))
		}
	}
}

func fill(s []float32, value float32) {
	for i := range s {
		s[i] = value
	}
}
