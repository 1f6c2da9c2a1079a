package reference

import "math/rand/v2"

// RandomWeights returns normally distributed weights for a layer, with mean 0 and standard
// deviation ½. The mean of the gammas is ½, so that no gradient vanishes.
func RandomWeights(l Layer, random *rand.Rand) Weights {
	d, wide := l.Units, l.Gates()*l.Units
	draw := func(n int, offset float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = offset + random.NormFloat64()/2
		}
		return out
	}
	w := Weights{Wx: draw(wide*l.Inputs, 0), Wh: draw(wide*d, 0), Beta: draw(wide, 0), H0: draw(d, 0)}
	if !l.GRU {
		w.C0 = draw(d, 0)
	}
	if l.Normalization != None {
		w.GammaH, w.GammaX = draw(wide, 0.5), draw(wide, 0.5)
	}
	if l.NormalizeCell {
		w.GammaC, w.BetaC = draw(d, 0.5), draw(d, 0)
	}
	ownBiases := (l.Normalization == Batch || l.Normalization == Over) && !l.NormalizeCell
	if ownBiases {
		w.BetaX = draw(wide, 0)
	}
	if ownBiases || l.GRU && !l.ResetBefore {
		w.BetaH = draw(wide, 0)
	}
	return w
}

// Layers returns a layer of this size for every kind and normalization.
func Layers(size Layer) []Layer {
	var list []Layer
	for _, n := range []Normalization{None, Batch, Over, Weight} {
		l := size
		l.Normalization = n
		gru := l
		gru.GRU = true
		before := gru
		before.ResetBefore = true
		list = append(list, l, gru, before)
		if n == Batch {
			l.NormalizeCell = true
			list = append(list, l)
		}
	}
	return list
}

// fields returns the weights by the names that parameters have in a plan.
func (w *Weights) fields() map[string]*[]float64 {
	return map[string]*[]float64{
		"Wx": &w.Wx, "Wh": &w.Wh, "gamma_h": &w.GammaH, "gamma_x": &w.GammaX, "beta": &w.Beta, "beta_h": &w.BetaH, "beta_x": &w.BetaX,
		"gamma_c": &w.GammaC, "beta_c": &w.BetaC, "h0": &w.H0, "c0": &w.C0,
	}
}

// Named returns the weights that the layer has, by the names that parameters have in a plan. The
// rows of Wh that multiply r∘h are called Whn there.
func (l Layer) Named(w Weights) map[string][]float64 {
	out := map[string][]float64{}
	for name, field := range w.fields() {
		if len(*field) > 0 {
			out[name] = *field
		}
	}
	if l.ResetBefore {
		n := gateN * l.Units * l.Units
		out["Wh"], out["Whn"] = w.Wh[:n], w.Wh[n:]
	}
	return out
}
