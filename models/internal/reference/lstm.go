// Package reference computes the recurrent networks of this project in plain
// float64 loops that follow their equations line by line. It is the oracle the
// fused operators are held against, and is itself held against finite
// differences.
package reference

import "math"

// Epsilon is added to every variance, as in Cooijmans et al., "Recurrent Batch
// Normalization" (ICLR 2017).
const Epsilon = 1e-5

// The gates in the order their rows are stacked in Wx and Wh.
const (
	gateG = iota
	gateF
	gateI
	gateO
	gates
)

// LSTM is a long short-term memory layer with or without batch normalization:
//
//	a_t = BN(Wh·h_{t−1}; γh, β) + BN(Wx·x_t; γx, 0)
//	(g,f,i,o) = (tanh, σ, σ, σ)(a_t)
//	c_t = f∘c_{t−1} + i∘g
//	h_t = o∘tanh(BN(c_t; γc, βc))
//
// Without normalization a_t = Wh·h_{t−1} + Wx·x_t + β and h_t = o∘tanh(c_t).
type LSTM struct {
	Steps, Batch, Inputs, Units int
	BatchNorm                   bool
	// Frozen replaces the statistics of the batch where it is not nil.
	Frozen *Statistics
}

// Weights are the parameters of an LSTM, or the gradients with respect to
// them: Wx [4·Units × Inputs] and Wh [4·Units × Units] row-major, GammaH,
// GammaX and Beta [4·Units], GammaC, BetaC, H0 and C0 [Units].
type Weights struct {
	Wx, Wh, GammaH, GammaX, Beta, GammaC, BetaC, H0, C0 []float64
}

// Statistics are means and variances per time step: H and X are
// [Steps][4·Units], C is [Steps][Units].
type Statistics struct {
	MeanH, VarianceH, MeanX, VarianceX, MeanC, VarianceC [][]float64
}

// State is the hidden and cell state of every sequence, [Batch × Units].
type State struct{ H, C []float64 }

// Trace is what a forward pass leaves for the backward pass.
type Trace struct {
	H     [][]float64 // hidden states after each step, [Steps][Batch × Units]
	x     [][]float64
	steps []step
	start State
}

type step struct {
	ah, ax, gate []float64 // [Batch × 4·Units]
	c, tanhC     []float64 // [Batch × Units]
	nh, nx, nc   normalization
	hPrev, cPrev []float64
}

// Forward runs the layer over x [Steps][Batch × Inputs] from start, or from
// (H0, C0) where start is nil.
func (l LSTM) Forward(w Weights, x [][]float64, start *State) *Trace {
	b, d := l.Batch, l.Units
	trace := &Trace{x: x}
	h, c := make([]float64, b*d), make([]float64, b*d)
	for row := range b {
		if start == nil {
			copy(h[row*d:], w.H0)
			copy(c[row*d:], w.C0)
		} else {
			copy(h[row*d:(row+1)*d], start.H[row*d:])
			copy(c[row*d:(row+1)*d], start.C[row*d:])
		}
	}
	trace.start = State{H: h, C: c}
	for t := range l.Steps {
		s := step{hPrev: h, cPrev: c}
		s.ah = multiply(h, w.Wh, b, 4*d, d)
		s.ax = multiply(x[t], w.Wx, b, 4*d, l.Inputs)
		s.nh = l.normalization(s.ah, w.GammaH, func(f *Statistics) ([]float64, []float64) { return f.MeanH[t], f.VarianceH[t] })
		s.nx = l.normalization(s.ax, w.GammaX, func(f *Statistics) ([]float64, []float64) { return f.MeanX[t], f.VarianceX[t] })
		s.gate = make([]float64, b*4*d)
		s.c = make([]float64, b*d)
		s.tanhC = make([]float64, b*d)
		next := make([]float64, b*d)
		for row := range b {
			for j := range 4 * d {
				at := row*4*d + j
				a := s.nh.apply(s.ah[at], j) + s.nx.apply(s.ax[at], j) + w.Beta[j]
				if j/d == gateG {
					s.gate[at] = math.Tanh(a)
				} else {
					s.gate[at] = 1 / (1 + math.Exp(-a))
				}
			}
			for u := range d {
				s.c[row*d+u] = s.at(gateF, row, u, d)*c[row*d+u] + s.at(gateI, row, u, d)*s.at(gateG, row, u, d)
			}
		}
		s.nc = l.normalization(s.c, w.GammaC, func(f *Statistics) ([]float64, []float64) { return f.MeanC[t], f.VarianceC[t] })
		for row := range b {
			for u := range d {
				cn := s.nc.apply(s.c[row*d+u], u)
				if l.BatchNorm {
					cn += w.BetaC[u]
				}
				s.tanhC[row*d+u] = math.Tanh(cn)
				next[row*d+u] = s.at(gateO, row, u, d) * s.tanhC[row*d+u]
			}
		}
		h, c = next, s.c
		trace.H = append(trace.H, h)
		trace.steps = append(trace.steps, s)
	}
	return trace
}

func (s step) at(gate, row, unit, d int) float64 { return s.gate[row*4*d+gate*d+unit] }

// Statistics returns the means and variances of the batch at every time step.
func (tr *Trace) Statistics() *Statistics {
	var out Statistics
	for _, s := range tr.steps {
		out.MeanH = append(out.MeanH, s.nh.mean)
		out.VarianceH = append(out.VarianceH, s.nh.variance)
		out.MeanX = append(out.MeanX, s.nx.mean)
		out.VarianceX = append(out.VarianceX, s.nx.variance)
		out.MeanC = append(out.MeanC, s.nc.mean)
		out.VarianceC = append(out.VarianceC, s.nc.variance)
	}
	return &out
}

// Final is the state after the last step.
func (tr *Trace) Final() State {
	return State{H: tr.H[len(tr.H)-1], C: tr.steps[len(tr.steps)-1].c}
}

// Backward returns the gradients with respect to the weights and to x, given
// the gradient dH [Steps][Batch × Units] with respect to the trace's H.
func (l LSTM) Backward(w Weights, trace *Trace, dH [][]float64) (Weights, [][]float64) {
	b, d := l.Batch, l.Units
	g := Weights{
		Wx: make([]float64, 4*d*l.Inputs), Wh: make([]float64, 4*d*d),
		GammaH: make([]float64, 4*d), GammaX: make([]float64, 4*d), Beta: make([]float64, 4*d),
		GammaC: make([]float64, d), BetaC: make([]float64, d), H0: make([]float64, d), C0: make([]float64, d),
	}
	dX := make([][]float64, l.Steps)
	dh, dc := make([]float64, b*d), make([]float64, b*d)
	for t := l.Steps - 1; t >= 0; t-- {
		s := trace.steps[t]
		da := make([]float64, b*4*d)
		dcn := make([]float64, b*d)
		for row := range b {
			for u := range d {
				at := row*d + u
				o, tanhC := s.at(gateO, row, u, d), s.tanhC[at]
				total := dh[at] + dH[t][at]
				da[row*4*d+gateO*d+u] = total * tanhC * o * (1 - o)
				dcn[at] = total * o * (1 - tanhC*tanhC)
				if l.BatchNorm {
					g.BetaC[u] += dcn[at]
				}
			}
		}
		for i, v := range s.nc.backward(dcn, s.c, g.GammaC) {
			dc[i] += v
		}
		for row := range b {
			for u := range d {
				at := row*d + u
				gg, f, i := s.at(gateG, row, u, d), s.at(gateF, row, u, d), s.at(gateI, row, u, d)
				da[row*4*d+gateG*d+u] = dc[at] * i * (1 - gg*gg)
				da[row*4*d+gateF*d+u] = dc[at] * s.cPrev[at] * f * (1 - f)
				da[row*4*d+gateI*d+u] = dc[at] * gg * i * (1 - i)
				dc[at] *= f
			}
			for j := range 4 * d {
				g.Beta[j] += da[row*4*d+j]
			}
		}
		dah := s.nh.backward(da, s.ah, g.GammaH)
		dax := s.nx.backward(da, s.ax, g.GammaX)
		addOuter(g.Wh, dah, s.hPrev, b, 4*d, d)
		addOuter(g.Wx, dax, trace.x[t], b, 4*d, l.Inputs)
		dX[t] = multiplyTransposed(dax, w.Wx, b, 4*d, l.Inputs)
		dh = multiplyTransposed(dah, w.Wh, b, 4*d, d)
	}
	for row := range b {
		for u := range d {
			g.H0[u] += dh[row*d+u]
			g.C0[u] += dc[row*d+u]
		}
	}
	return g, dX
}

// multiply returns a·wᵀ for a [m × k] and w [n × k].
func multiply(a, w []float64, m, n, k int) []float64 {
	out := make([]float64, m*n)
	for row := range m {
		for j := range n {
			for p := range k {
				out[row*n+j] += a[row*k+p] * w[j*k+p]
			}
		}
	}
	return out
}

// multiplyTransposed returns da·w for da [m × n] and w [n × k].
func multiplyTransposed(da, w []float64, m, n, k int) []float64 {
	out := make([]float64, m*k)
	for row := range m {
		for j := range n {
			for p := range k {
				out[row*k+p] += da[row*n+j] * w[j*k+p]
			}
		}
	}
	return out
}

// addOuter adds daᵀ·a to w [n × k] for da [m × n] and a [m × k].
func addOuter(w, da, a []float64, m, n, k int) {
	for row := range m {
		for j := range n {
			for p := range k {
				w[j*k+p] += da[row*n+j] * a[row*k+p]
			}
		}
	}
}
