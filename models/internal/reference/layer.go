// Package reference computes the recurrent networks of this project in plain float64 loops that
// follow their equations line by line. The fused operators are compared with it in tests, and it
// is itself compared with finite differences.
package reference

import "math"

// Layer is a recurrent layer. Let N be the normalization of a product with its bias. An LSTM is
//
//	a_t = N(Wh·h_{t−1}) + N(Wx·x_t) + β
//	(g,f,i,o) = (tanh, σ, σ, σ)(a_t)
//	c_t = f∘c_{t−1} + i∘g
//	h_t = o∘tanh(N(c_t)), where N is the identity unless NormalizeCell is set
//
// and a GRU is
//
//	r, z = σ(N(Wh·h_{t−1}) + N(Wx·x_t) + β) of their rows
//	n = tanh(N(Wx·x_t) + β + r∘N(Wh·h_{t−1})) of its rows,
//	  or with ResetBefore tanh(N(Wx·x_t) + β + N(Wh·(r∘h_{t−1})))
//	h_t = (1−z)∘n + z∘h_{t−1}
type Layer struct {
	Steps, Batch, Inputs, Units int
	GRU, ResetBefore            bool
	Normalization               Normalization
	NormalizeCell               bool
	Reverse                     bool      // scan from the last step to the first
	Lengths                     []int     // of the sequences; nil: all have all steps. Beyond its length the state of a sequence does not change.
	Noise                       []float64 // added to H0 of sequences that start from it, [Batch × Units]; nil: none
	// Frozen, if it is not nil, replaces the statistics of the batch.
	Frozen *Statistics
	// Bits rounds hidden states, the first ones too, to the nearest of 2^Bits levels from −1 to
	// 1; 0 rounds nothing. Backward then gives straight-through gradients. They are those of a
	// layer that adds the Offsets of the trace, as constants, instead of rounding.
	Bits    int
	Offsets [][]float64
}

// Gates returns the number of gates. Their rows are stacked in Wx and Wh: g, f, i, o for an
// LSTM, and r, z, n for a GRU.
func (l Layer) Gates() int {
	if l.GRU {
		return 3
	}
	return 4
}

const (
	gateG = iota
	gateF
	gateI
	gateO
)

const (
	gateR = iota
	gateZ
	gateN
)

// Weights are the parameters of a layer, or the gradients with respect to them: Wx [gates·Units
// × Inputs] and Wh [gates·Units × Units], row-major; Beta, and the gains GammaH, GammaX and
// biases BetaH, BetaX of the products [gates·Units]; GammaC, BetaC, H0 and C0 [Units]. Those
// that a layer does not have are nil.
type Weights struct {
	Wx, Wh, Beta, GammaH, GammaX, BetaH, BetaX, GammaC, BetaC, H0, C0 []float64
}

// Statistics are means and variances at each step of the scan. H and X are [Steps][gates·Units],
// C is [Steps][Units].
type Statistics struct {
	MeanH, VarianceH, MeanX, VarianceX, MeanC, VarianceC [][]float64
}

// State is the hidden and the cell state of every sequence, [Batch × Units].
type State struct {
	H, C  []float64
	Fresh []bool // sequences that start from (H0, C0) nevertheless; nil: none
}

// Trace is what the backward pass needs of the forward pass.
type Trace struct {
	H     [][]float64 // hidden states after each step, in the order of time, [Steps][Batch × Units]
	x     [][]float64
	steps []step // in the order of the scan
	fresh []bool
	final State

	// Offsets are what rounding added to the hidden states, before the first step and after
	// each. Margin is the smallest distance of a state from the middle between two levels.
	Offsets [][]float64
	Margin  float64
}

type step struct {
	time         int
	valid        []bool
	nh, nx       []normalized // for each gate
	gate         [][]float64  // for each gate, [Batch × Units]
	c, tanhC     []float64    // [Batch × Units]
	nc           normalized
	reset        []float64 // r∘h
	hPrev, cPrev []float64
}

// Forward runs the layer over x [Steps][Batch × Inputs], from the state start or, if that is
// nil, from (H0, C0).
func (l Layer) Forward(w Weights, x [][]float64, start *State) *Trace {
	w.Wh, w.Wx = l.effective(w.Wh, w.GammaH), l.effective(w.Wx, w.GammaX)
	trace := &Trace{x: x, H: make([][]float64, l.Steps), fresh: make([]bool, l.Batch), Margin: math.Inf(1)}
	h, c := l.start(w, start, trace.fresh)
	l.round(trace, h)
	for s := range l.Steps {
		t := l.time(s)
		st := step{time: t, valid: l.valid(t), hPrev: h, cPrev: c}
		if l.GRU {
			h = l.forwardGRU(w, &st, s, x[t])
		} else {
			h, c = l.forwardLSTM(w, &st, s, x[t])
		}
		for i := range h {
			if !st.valid[i/l.Units] {
				h[i] = st.hPrev[i]
				if !l.GRU {
					c[i] = st.cPrev[i]
				}
			}
		}
		l.round(trace, h)
		trace.H[t] = h
		trace.steps = append(trace.steps, st)
	}
	trace.final = State{H: h, C: c}
	return trace
}

// round rounds hidden states, or adds the offsets of a trace instead.
func (l Layer) round(trace *Trace, h []float64) {
	if l.Bits == 0 {
		return
	}
	steps := math.Exp2(float64(l.Bits)) - 1
	offsets := make([]float64, len(h))
	for i, v := range h {
		at := (v + 1) / 2 * steps
		level := min(steps, max(0, math.Round(at)))
		offsets[i] = 2*level/steps - 1 - v
		if at > 0 && at < steps {
			trace.Margin = min(trace.Margin, math.Abs(at-math.Floor(at)-0.5)*2/steps)
		}
	}
	if l.Offsets != nil {
		offsets = l.Offsets[len(trace.Offsets)]
	}
	add(h, offsets)
	trace.Offsets = append(trace.Offsets, offsets)
}

func (l Layer) start(w Weights, start *State, fresh []bool) (h, c []float64) {
	d := l.Units
	h, c = make([]float64, l.Batch*d), make([]float64, l.Batch*d)
	for row := range l.Batch {
		fresh[row] = start == nil || start.Fresh != nil && start.Fresh[row]
		if fresh[row] {
			copy(h[row*d:], w.H0)
			if l.Noise != nil {
				add(h[row*d:(row+1)*d], l.Noise[row*d:(row+1)*d])
			}
			copy(c[row*d:], w.C0)
			continue
		}
		copy(h[row*d:(row+1)*d], start.H[row*d:])
		if !l.GRU {
			copy(c[row*d:(row+1)*d], start.C[row*d:])
		}
	}
	return h, c
}

func (l Layer) time(s int) int {
	if l.Reverse {
		return l.Steps - 1 - s
	}
	return s
}

// valid returns which sequences have a step at time t.
func (l Layer) valid(t int) []bool {
	out := make([]bool, l.Batch)
	for row := range out {
		out[row] = l.Lengths == nil || t < l.Lengths[row]
	}
	return out
}

// products computes the normalised products of gate k.
func (l Layer) products(w Weights, st *step, s, k int, h, x []float64) {
	d := l.Units
	rows := func(w []float64, width int) []float64 { return w[k*d*width : (k+1)*d*width] }
	ah := multiply(h, rows(w.Wh, d), l.Batch, d, d)
	ax := multiply(x, rows(w.Wx, l.Inputs), l.Batch, d, l.Inputs)
	var meanH, varianceH, meanX, varianceX []float64
	if f := l.Frozen; f != nil {
		meanH, varianceH = part(f.MeanH[s], k, d), part(f.VarianceH[s], k, d)
		meanX, varianceX = part(f.MeanX[s], k, d), part(f.VarianceX[s], k, d)
	}
	st.nh = append(st.nh, l.normalize(ah, part(w.GammaH, k, d), part(w.BetaH, k, d), st.valid, meanH, varianceH))
	st.nx = append(st.nx, l.normalize(ax, part(w.GammaX, k, d), part(w.BetaX, k, d), st.valid, meanX, varianceX))
}

// part returns the part of gate k in a vector, which may be nil.
func part(v []float64, k, d int) []float64 {
	if len(v) == 0 {
		return nil
	}
	return v[k*d : (k+1)*d]
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// activate computes a gate from the sum of its normalised products.
func (l Layer) activate(w Weights, st *step, k int, f func(float64) float64) {
	out := make([]float64, l.Batch*l.Units)
	for i := range out {
		out[i] = f(st.nh[k].y[i] + st.nx[k].y[i] + w.Beta[k*l.Units+i%l.Units])
	}
	st.gate = append(st.gate, out)
}

func (l Layer) forwardLSTM(w Weights, st *step, s int, x []float64) (h, c []float64) {
	for k := range l.Gates() {
		l.products(w, st, s, k, st.hPrev, x)
		f := sigmoid
		if k == gateG {
			f = math.Tanh
		}
		l.activate(w, st, k, f)
	}
	n := l.Batch * l.Units
	st.c, st.tanhC, h, c = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		st.c[i] = st.gate[gateF][i]*st.cPrev[i] + st.gate[gateI][i]*st.gate[gateG][i]
	}
	st.nc = normalized{y: st.c}
	if l.NormalizeCell {
		var mean, variance []float64
		if l.Frozen != nil {
			mean, variance = l.Frozen.MeanC[s], l.Frozen.VarianceC[s]
		}
		st.nc = l.normalize(st.c, w.GammaC, w.BetaC, st.valid, mean, variance)
	}
	for i := range n {
		st.tanhC[i] = math.Tanh(st.nc.y[i])
		h[i] = st.gate[gateO][i] * st.tanhC[i]
	}
	copy(c, st.c)
	return h, c
}

func (l Layer) forwardGRU(w Weights, st *step, s int, x []float64) (h []float64) {
	for k := gateR; k <= gateZ; k++ {
		l.products(w, st, s, k, st.hPrev, x)
		l.activate(w, st, k, sigmoid)
	}
	n := l.Batch * l.Units
	if l.ResetBefore {
		st.reset = make([]float64, n)
		for i := range n {
			st.reset[i] = st.gate[gateR][i] * st.hPrev[i]
		}
		l.products(w, st, s, gateN, st.reset, x)
		l.activate(w, st, gateN, math.Tanh)
	} else {
		l.products(w, st, s, gateN, st.hPrev, x)
		candidate := make([]float64, n)
		for i := range n {
			candidate[i] = math.Tanh(st.nx[gateN].y[i] + w.Beta[gateN*l.Units+i%l.Units] + st.gate[gateR][i]*st.nh[gateN].y[i])
		}
		st.gate = append(st.gate, candidate)
	}
	h = make([]float64, n)
	for i := range n {
		z := st.gate[gateZ][i]
		h[i] = (1-z)*st.gate[gateN][i] + z*st.hPrev[i]
	}
	return h
}

// Statistics returns the means and variances of the batch at every step of the scan.
func (tr *Trace) Statistics() *Statistics {
	var out Statistics
	for _, s := range tr.steps {
		var meanH, varianceH, meanX, varianceX []float64
		for k := range s.nh {
			meanH, varianceH = append(meanH, s.nh[k].mean...), append(varianceH, s.nh[k].variance...)
			meanX, varianceX = append(meanX, s.nx[k].mean...), append(varianceX, s.nx[k].variance...)
		}
		out.MeanH, out.VarianceH = append(out.MeanH, meanH), append(out.VarianceH, varianceH)
		out.MeanX, out.VarianceX = append(out.MeanX, meanX), append(out.VarianceX, varianceX)
		out.MeanC, out.VarianceC = append(out.MeanC, s.nc.mean), append(out.VarianceC, s.nc.variance)
	}
	return &out
}

// Final returns the state after the last step of the scan.
func (tr *Trace) Final() State { return tr.final }

// Backward returns the gradients with respect to the weights and to x, from dH [Steps][Batch ×
// Units], the gradient with respect to the trace's H.
func (l Layer) Backward(w Weights, trace *Trace, dH [][]float64) (Weights, [][]float64) {
	given := w
	w.Wh, w.Wx = l.effective(w.Wh, w.GammaH), l.effective(w.Wx, w.GammaX)
	g := Weights{}
	for name, field := range g.fields() {
		*field = make([]float64, len(*w.fields()[name]))
	}
	b := &backward{Layer: l, w: w, g: g, dX: make([][]float64, l.Steps), dc: make([]float64, l.Batch*l.Units)}
	dh := make([]float64, l.Batch*l.Units)
	for s := l.Steps - 1; s >= 0; s-- {
		st := &trace.steps[s]
		b.x = trace.x[st.time]
		b.dX[st.time] = make([]float64, len(b.x))
		inside, past := make([]float64, len(dh)), make([]float64, len(dh)) // gradients through the step, and past sequences that do not have it
		pastC := make([]float64, len(dh))
		for i := range dh {
			to := inside
			if !st.valid[i/l.Units] {
				to = past
				pastC[i], b.dc[i] = b.dc[i], 0
			}
			to[i] = dh[i] + dH[st.time][i]
		}
		if l.GRU {
			dh = b.gru(st, inside)
		} else {
			dh = b.lstm(st, inside)
		}
		for i := range dh {
			dh[i] += past[i]
			b.dc[i] += pastC[i]
		}
	}
	for i := range dh {
		if trace.fresh[i/l.Units] {
			b.g.H0[i%l.Units] += dh[i]
			if !l.GRU {
				b.g.C0[i%l.Units] += b.dc[i]
			}
		}
	}
	l.effectiveBackward(given.Wh, given.GammaH, b.g.Wh, b.g.GammaH)
	l.effectiveBackward(given.Wx, given.GammaX, b.g.Wx, b.g.GammaX)
	return b.g, b.dX
}

// backward is the state of a backward pass.
type backward struct {
	Layer
	w, g Weights
	x    []float64 // the inputs of the step
	dX   [][]float64
	dc   []float64 // gradient of the cell state after the step, and then of that before it
}

// product computes, from the gradients of the normalised products of gate k, those of the
// weights and of x. It returns the gradient of h, the state that Wh was multiplied by.
func (b *backward) product(st *step, k int, dyh, dyx, h []float64) []float64 {
	d, g := b.Units, &b.g
	dah := st.nh[k].backward(dyh, part(g.GammaH, k, d), part(g.BetaH, k, d))
	dax := st.nx[k].backward(dyx, part(g.GammaX, k, d), part(g.BetaX, k, d))
	for i := range dyx {
		g.Beta[k*d+i%d] += dyx[i]
	}
	wh, wx := b.w.Wh[k*d*d:(k+1)*d*d], b.w.Wx[k*d*b.Inputs:(k+1)*d*b.Inputs]
	addOuter(g.Wh[k*d*d:(k+1)*d*d], dah, h, b.Batch, d, d)
	addOuter(g.Wx[k*d*b.Inputs:(k+1)*d*b.Inputs], dax, b.x, b.Batch, d, b.Inputs)
	add(b.dX[st.time], multiplyTransposed(dax, wx, b.Batch, d, b.Inputs))
	return multiplyTransposed(dah, wh, b.Batch, d, d)
}

func (b *backward) lstm(st *step, dh []float64) []float64 {
	n := len(dh)
	da := [4][]float64{make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)}
	dcn := make([]float64, n)
	for i := range dh {
		o, tanhC := st.gate[gateO][i], st.tanhC[i]
		da[gateO][i] = dh[i] * tanhC * o * (1 - o)
		dcn[i] = dh[i] * o * (1 - tanhC*tanhC)
	}
	add(b.dc, st.nc.backward(dcn, b.g.GammaC, b.g.BetaC))
	for i := range dh {
		g, f, in := st.gate[gateG][i], st.gate[gateF][i], st.gate[gateI][i]
		da[gateG][i] = b.dc[i] * in * (1 - g*g)
		da[gateF][i] = b.dc[i] * st.cPrev[i] * f * (1 - f)
		da[gateI][i] = b.dc[i] * g * in * (1 - in)
		b.dc[i] *= f
	}
	before := make([]float64, n)
	for k := range da {
		add(before, b.product(st, k, da[k], da[k], st.hPrev))
	}
	return before
}

func (b *backward) gru(st *step, dh []float64) []float64 {
	n := len(dh)
	dr, dz, dn, before := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range dh {
		z, candidate := st.gate[gateZ][i], st.gate[gateN][i]
		dz[i] = dh[i] * (st.hPrev[i] - candidate) * z * (1 - z)
		dn[i] = dh[i] * (1 - z) * (1 - candidate*candidate)
		before[i] = dh[i] * z
	}
	if b.ResetBefore {
		for i, through := range b.product(st, gateN, dn, dn, st.reset) {
			dr[i] = through * st.hPrev[i]
			before[i] += through * st.gate[gateR][i]
		}
	} else {
		inner := make([]float64, n)
		for i := range dn {
			inner[i] = dn[i] * st.gate[gateR][i]
			dr[i] = dn[i] * st.nh[gateN].y[i]
		}
		add(before, b.product(st, gateN, inner, dn, st.hPrev))
	}
	for i := range dr {
		r := st.gate[gateR][i]
		dr[i] *= r * (1 - r)
	}
	add(before, b.product(st, gateR, dr, dr, st.hPrev))
	add(before, b.product(st, gateZ, dz, dz, st.hPrev))
	return before
}

func add(to, x []float64) {
	for i, v := range x {
		to[i] += v
	}
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
