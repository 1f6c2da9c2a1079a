package reference

import "math/rand/v2"

// RandomWeights returns weights of a layer drawn from a normal distribution
// of standard deviation ½, with the gammas around ½ so that no gradient
// vanishes.
func RandomWeights(l LSTM, random *rand.Rand) Weights {
	d := l.Units
	draw := func(n int, offset float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = offset + random.NormFloat64()/2
		}
		return out
	}
	return Weights{
		Wx: draw(4*d*l.Inputs, 0), Wh: draw(4*d*d, 0),
		GammaH: draw(4*d, 0.5), GammaX: draw(4*d, 0.5), Beta: draw(4*d, 0),
		GammaC: draw(d, 0.5), BetaC: draw(d, 0), H0: draw(d, 0), C0: draw(d, 0),
	}
}

// Named returns the weights under the names parameters carry in a plan.
func (w Weights) Named() map[string][]float64 {
	return map[string][]float64{
		"Wx": w.Wx, "Wh": w.Wh, "gamma_h": w.GammaH, "gamma_x": w.GammaX, "beta": w.Beta,
		"gamma_c": w.GammaC, "beta_c": w.BetaC, "h0": w.H0, "c0": w.C0,
	}
}
