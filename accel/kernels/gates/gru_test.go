package gates

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// gruStep is a step of a gated recurrent unit forward and backward, every
// kernel once. The hidden side of gate n is normalised by the batch's own
// statistics, of the first count rows, and the input side by constants.
type gruStep struct {
	rows, columns, spacing, count int
	order                         []int32 // of the rows of input and dInput
	above                         bool

	hidden, input, before, dAbove, dNext array
	scaleH, scaleX, shiftH, shiftX       array
	mean, rstd, gamma                    array
	activation, after                    array
	dGates, dCandidate, dBefore          array
	dHidden, dInput                      array
	dBeta, dGamma, dBetaX, dGammaX       array
}

func newGRUStep(t *testing.T, rows, columns int) *gruStep {
	t.Helper()
	m := maker{t, rand.New(rand.NewPCG(uint64(rows), uint64(columns))), rows, columns, columns + 2}
	s := &gruStep{rows: rows, columns: columns, spacing: m.spacing, count: rows, above: true}
	for _, a := range []*array{&s.hidden, &s.input, &s.activation, &s.dGates} {
		*a = m.matrix(gruGates)
	}
	for _, a := range []*array{&s.before, &s.dAbove, &s.dNext, &s.after, &s.dCandidate, &s.dBefore, &s.dHidden, &s.dInput} {
		*a = m.matrix(1)
	}
	for _, a := range []*array{&s.scaleH, &s.scaleX, &s.shiftH, &s.shiftX} {
		*a = m.vector(gruGates)
	}
	for _, a := range []*array{&s.mean, &s.rstd, &s.gamma, &s.dBeta, &s.dGamma, &s.dBetaX, &s.dGammaX} {
		*a = m.vector(1)
		for j := range columns { // gradients are added to
			if a != &s.mean && a != &s.rstd && a != &s.gamma {
				*a.at(0, 0, j) = 0
			}
		}
	}
	return s
}

func (s *gruStep) inputs(m Matrix) Gathered { return Gathered{Matrix: m, Order: s.order} }

func (s *gruStep) run(k kernels, from, to int) {
	const n = gruGates - 1
	columns := to - from
	for gate := range n {
		k.gateForward(Gate{
			Rows: s.rows, Columns: columns, Tanh: gate == 1, // not what a GRU does, but both are seen
			Hidden: s.hidden.from(gate, from), Input: s.inputs(s.input.from(gate, from)),
			HiddenScale: s.scaleH.cut(gate, from, to), InputScale: s.scaleX.cut(gate, from, to), Shift: s.shiftX.cut(gate, from, to),
			Activation: s.activation.from(gate, from),
		})
	}
	k.candidateForward(Candidate{
		Rows: s.rows, Columns: columns, Hidden: s.hidden.from(n, from), Input: s.inputs(s.input.from(n, from)),
		HiddenScale: s.scaleH.cut(n, from, to), HiddenShift: s.shiftH.cut(n, from, to),
		InputScale: s.scaleX.cut(n, from, to), InputShift: s.shiftX.cut(n, from, to),
		Reset: s.activation.from(0, from), Activation: s.activation.from(n, from),
	})
	k.updateForward(Update{
		Rows: s.rows, Columns: columns, Spacing: s.spacing,
		Activation: s.activation.from(0, from), Before: s.before.from(0, from), After: s.after.from(0, from),
	})
	update := UpdateGradient{
		Rows: s.rows, Columns: columns, Spacing: s.spacing, HiddenNext: s.dNext.from(0, from),
		Activation: s.activation.from(0, from), Before: s.before.from(0, from), Hidden: s.hidden.from(n, from),
		HiddenScale: s.scaleH.cut(n, from, to), HiddenShift: s.shiftH.cut(n, from, to),
		GateGradient: s.dGates.from(0, from), CandidateGradient: s.dCandidate.from(0, from), BeforeGradient: s.dBefore.from(0, from),
	}
	if s.above {
		update.HiddenAbove = s.dAbove.from(0, from)
	}
	k.updateBackward(update)
	statistics := Statistics{Mean: s.mean.cut(0, from, to), RStd: s.rstd.cut(0, from, to), Batch: true, Count: s.count}
	k.affineBackward(AffineGradient{
		Rows: s.rows, Columns: columns, Gradient: s.dCandidate.from(0, from), Product: inOrder(s.hidden.from(n, from)),
		Statistics: statistics, Gamma: s.gamma.cut(0, from, to),
		BetaGradient: s.dBeta.cut(0, from, to), GammaGradient: s.dGamma.cut(0, from, to), ProductGradient: s.dHidden.from(0, from),
	})
	statistics.Batch = false
	k.affineBackward(AffineGradient{
		Rows: s.rows, Columns: columns, Gradient: s.dGates.from(n, from), Product: s.inputs(s.input.from(n, from)),
		Statistics: statistics, Gamma: s.gamma.cut(0, from, to),
		BetaGradient: s.dBetaX.cut(0, from, to), GammaGradient: s.dGammaX.cut(0, from, to), ProductGradient: s.dInput.from(0, from),
	})
}

func (s *gruStep) outputs() map[string]array {
	return map[string]array{
		"activation": s.activation, "after": s.after, "dGates": s.dGates, "dCandidate": s.dCandidate, "dBefore": s.dBefore,
		"dHidden": s.dHidden, "dInput": s.dInput, "dBeta": s.dBeta, "dGamma": s.dGamma, "dBetaX": s.dBetaX, "dGammaX": s.dGammaX,
	}
}

func TestGRUAgainstFloat64(t *testing.T) {
	t.Parallel()
	for name, above := range map[string]bool{"above": true, "nothing above": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
				s := newGRUStep(t, rows, columns)
				s.above, s.count = above, max(1, rows-1)
				s.run(k, 0, columns)
				for j := range columns {
					s.check(t, j)
				}
			})
		})
	}
}

func (s *gruStep) check(t *testing.T, j int) {
	t.Helper()
	near := func(name string, got array, r, gate int, want figure) {
		expect(t, name, got, r, gate, j, want)
	}
	var dy, dx []figure
	for row := range s.rows {
		side := func(scale, x, shift array, gate int) figure {
			return term(scale.of(0, gate, j) * x.of(row, gate, j)).plus(term(shift.of(0, gate, j)))
		}
		for gate, activation := range []func(float64) float64{func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, math.Tanh} {
			a := side(s.scaleX, s.input, s.shiftX, gate).plus(term(s.scaleH.of(0, gate, j) * s.hidden.of(row, gate, j)))
			want := activation(a.value)
			near("gate", s.activation, row, gate, figure{want, a.size + math.Abs(want)})
		}
		r, z, n := s.activation.of(row, 0, j), s.activation.of(row, 1, j), s.activation.of(row, 2, j)
		q := side(s.scaleH, s.hidden, s.shiftH, 2)
		a := side(s.scaleX, s.input, s.shiftX, 2).plus(q.times(r))
		near("candidate", s.activation, row, 2, figure{math.Tanh(a.value), a.size})
		before := s.before.of(row, 0, j)
		near("after", s.after, row, 0, figure{n + z*(before-n), math.Abs(n) + math.Abs(z)*(math.Abs(before)+math.Abs(n))})

		dh := term(s.dNext.of(row, 0, j))
		if s.above {
			dh = dh.plus(term(s.dAbove.of(row, 0, j)))
		}
		dn := dh.times((1 - z) * (1 - n*n))
		dn.size = dh.size * (1 + math.Abs(z)) // 1−n² is rounded relative to 1
		near("da of n", s.dGates, row, 2, dn)
		near("gradient of the candidate's product", s.dCandidate, row, 0, dn.times(r))
		near("da of r", s.dGates, row, 0, figure{dn.value * q.value * r * (1 - r), dn.size * q.size * math.Abs(r)})
		dz := figure{dh.value * (before - n) * z * (1 - z), dh.size * (math.Abs(before) + math.Abs(n)) * math.Abs(z) * (1 + math.Abs(z))}
		near("da of z", s.dGates, row, 1, dz)
		near("gradient of h₋₁", s.dBefore, row, 0, dh.times(z))
		dy, dx = append(dy, term(s.dCandidate.of(row, 0, j))), append(dx, term(s.dGates.of(row, 2, j)))
	}
	s.checkAffine(t, j, "hidden", dy, s.hidden, s.dHidden, s.dBeta, s.dGamma, 1/float64(s.count))
	s.checkAffine(t, j, "input", dx, s.input, s.dInput, s.dBetaX, s.dGammaX, 0)
}

func (s *gruStep) checkAffine(t *testing.T, j int, name string, gradient []figure, x, dx, dBeta, dGamma array, share float64) {
	t.Helper()
	mean, rstd, gamma := s.mean.of(0, 0, j), s.rstd.of(0, 0, j), s.gamma.of(0, 0, j)
	var normal []figure
	var product figure
	for row, dy := range gradient {
		v := x.of(row, 2, j)
		n := figure{(v - mean) * rstd, (math.Abs(v) + math.Abs(mean)) * math.Abs(rstd)}
		normal = append(normal, n)
		product = product.plus(figure{n.value * dy.value, n.size * dy.size})
	}
	expect(t, "gradient of β, "+name, dBeta, 0, 0, j, sum(gradient))
	expect(t, "gradient of γ, "+name, dGamma, 0, 0, j, product)
	centre, slope := sum(gradient).times(-share), product.times(-share)
	for row, dy := range gradient {
		crossed := figure{normal[row].value * slope.value, normal[row].size * slope.size}
		expect(t, "gradient of the product, "+name, dx, row, 0, j, dy.plus(centre).plus(crossed).times(gamma*rstd))
	}
}

func TestGRUColumnsAreIndependent(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		whole, parts := newGRUStep(t, rows, columns), newGRUStep(t, rows, columns)
		whole.run(k, 0, columns)
		for from := 0; from < columns; from += 5 {
			parts.run(k, from, min(from+5, columns))
		}
		sameOutputs(t, "five columns at a time", parts.outputs(), whole.outputs())
	})
}

func TestGRUOutputsMayShareMemoryWithInputs(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		apart, shared := newGRUStep(t, rows, columns), newGRUStep(t, rows, columns)
		apart.run(k, 0, columns)
		shared.dBefore, shared.dHidden = shared.dNext, shared.dCandidate
		shared.run(k, 0, columns)
		got, want := shared.outputs(), apart.outputs()
		delete(want, "dCandidate") // overwritten
		sameOutputs(t, "sharing memory", got, want)

		shared = newGRUStep(t, rows, columns)
		shared.dGates = shared.activation
		shared.run(k, 0, columns)
		want = apart.outputs()
		delete(want, "activation")
		sameOutputs(t, "gates in place", shared.outputs(), want)
	})
}

func TestGRUGatheredInputs(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		apart, gathered := newGRUStep(t, rows, columns), newGRUStep(t, rows, columns)
		random := rand.New(rand.NewPCG(3, uint64(rows)))
		m := maker{t, random, rows/2 + 1, columns, columns + 2}
		table, gradient := m.matrix(gruGates), m.matrix(1)
		want := array{Matrix{slices.Clone(gradient.Data), gradient.Stride}, gradient.rows, columns, 1, gradient.spacing}
		order := make([]int32, rows)
		for r := range order {
			order[r] = int32(random.IntN(rows/2 + 1))
			for gate := range gruGates {
				for j := range columns {
					*apart.input.at(r, gate, j) = *table.at(int(order[r]), gate, j)
				}
			}
		}
		apart.run(k, 0, columns)
		gathered.input, gathered.dInput, gathered.order = table, gradient, order
		gathered.run(k, 0, columns)
		for r, from := range order {
			for j := range columns {
				*want.at(int(from), 0, j) += *apart.dInput.at(r, 0, j)
			}
		}
		if got, want := gradient.values(), want.values(); !slices.Equal(got, want) {
			t.Errorf("gradient of the gathered rows = %v, want %v", got, want)
		}
		others := apart.outputs()
		delete(others, "dInput")
		sameOutputs(t, "gathered", gathered.outputs(), others)
	})
}
