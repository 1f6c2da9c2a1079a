package gates

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/isa"
)

// shapes are the products of some numbers of rows and of columns.
type shapes struct{ rows, columns []int }

var (
	allShapes = shapes{[]int{1, 2, 7, 20, 64, 100}, []int{1, 3, 15, 16, 17, 33, 100}}
	fewShapes = shapes{[]int{1, 7, 20}, []int{3, 16, 33}}
)

// each runs test for each level and shape.
func (s shapes) each(t *testing.T, test func(t *testing.T, k kernels, rows, columns int)) {
	t.Helper()
	for _, level := range isa.Available() {
		for _, rows := range s.rows {
			for _, columns := range s.columns {
				t.Run(fmt.Sprintf("%s/%d×%d", level, rows, columns), func(t *testing.T) {
					t.Parallel()
					test(t, forLevel(level), rows, columns)
				})
			}
		}
	}
}

// expect compares one element of an output.
func expect(t *testing.T, name string, got array, r, k, j int, want figure) {
	if g := got.of(r, k, j); !(math.Abs(g-want.value) <= tolerance*want.size) {
		t.Helper() // not for every element: it looks at the whole stack
		t.Errorf("%s: row %d, gate %d, column %d = %v, want %v", name, r, k, j, g, want.value)
	}
}

// TestStepAgainstFloat64 holds every kernel against its formula in float64, on
// the inputs that the kernel had.
func TestStepAgainstFloat64(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		batch, above, next bool
		shapes             shapes
	}{
		{"batch", true, true, true, allShapes},
		{"frozen", false, true, true, fewShapes},
		{"last step", true, true, false, fewShapes},
		{"nothing above", true, false, true, fewShapes},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.shapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
				s := newStep(t, rows, columns)
				s.batch, s.above, s.next = c.batch, c.above, c.next
				s.run(k, 0, columns)
				for j := range columns {
					s.checkForward(t, j)
					s.checkBackward(t, j)
				}
			})
		})
	}
}

// column collects a value of each row.
func (s *step) column(of func(r int) figure) []figure {
	values := make([]figure, s.rows)
	for r := range values {
		values[r] = of(r)
	}
	return values
}

func sum(values []figure) (total figure) {
	for _, v := range values {
		total = total.plus(v)
	}
	return total
}

func (s *step) checkMoments(t *testing.T, name string, mean, rstd, x array, gate, j int) {
	t.Helper()
	n := float64(s.rows)
	centre := sum(s.column(func(r int) figure { return term(x.of(r, gate, j)) })).times(1 / n)
	expect(t, "mean of "+name, mean, 0, gate, j, centre)
	variance := sum(s.column(func(r int) figure {
		return term((x.of(r, gate, j) - centre.value) * (x.of(r, gate, j) - centre.value))
	})).times(1 / n)
	expect(t, "rstd of "+name, rstd, 0, gate, j, term(1/math.Sqrt(variance.value+testEpsilon)))
}

func (s *step) checkForward(t *testing.T, j int) {
	t.Helper()
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for k := range gates {
		s.checkMoments(t, "Wh·h", s.meanH, s.rstdH, s.hidden, k, j)
		s.checkMoments(t, "Wx·x", s.meanX, s.rstdX, s.input, k, j)
		expect(t, "scaleH", s.scaleH, 0, k, j, term(s.gammaH.of(0, k, j)*s.rstdH.of(0, k, j)))
		expect(t, "scaleX", s.scaleX, 0, k, j, term(s.gammaX.of(0, k, j)*s.rstdX.of(0, k, j)))
		expect(t, "shift", s.shift, 0, k, j, term(s.beta.of(0, k, j)).
			plus(term(-s.scaleH.of(0, k, j)*s.meanH.of(0, k, j))).plus(term(-s.scaleX.of(0, k, j)*s.meanX.of(0, k, j))))
	}
	s.checkMoments(t, "c", s.meanC, s.rstdC, s.cell, 0, j)
	for r := range s.rows {
		for k := range gates {
			a := term(s.scaleH.of(0, k, j) * s.hidden.of(r, k, j)).plus(term(s.scaleX.of(0, k, j) * s.input.of(r, k, j))).
				plus(term(s.shift.of(0, k, j)))
			activation := sigmoid
			if k == 0 {
				activation = math.Tanh
			}
			// Neither activation is steeper than 1, so an error of a is none larger here; σ of a small a
			// has the roundings of a result near ½ all the same.
			want := activation(a.value)
			expect(t, "activation", s.activation, r, k, j, figure{want, a.size + math.Abs(want)})
		}
		g, f, i, o := s.activation.of(r, 0, j), s.activation.of(r, 1, j), s.activation.of(r, 2, j), s.activation.of(r, 3, j)
		expect(t, "cell", s.cell, r, 0, j, term(f*s.cellBefore.of(r, 0, j)).plus(term(i*g)))
		n := term(s.scaleC.of(0, 0, j) * s.cell.of(r, 0, j)).plus(term(s.shiftC.of(0, 0, j)))
		expect(t, "cellTanh", s.cellTanh, r, 0, j, figure{math.Tanh(n.value), n.size})
		expect(t, "out", s.out, r, 0, j, term(o*s.cellTanh.of(r, 0, j)))
	}
}

// checkAffine checks the backward pass of a normalisation: the gradients of
// the parameters and, with prior added, that of the input.
func (s *step) checkAffine(t *testing.T, name string, gate, j int, batch bool,
	gradient []figure, x, mean, rstd, gamma, dGamma, dGammaBefore array, prior func(r int) figure, dx array) {
	t.Helper()
	normal := s.column(func(r int) figure {
		return figure{
			(x.of(r, gate, j) - mean.of(0, gate, j)) * rstd.of(0, gate, j),
			(math.Abs(x.of(r, gate, j)) + math.Abs(mean.of(0, gate, j))) * rstd.of(0, gate, j),
		}
	})
	product := sum(s.column(func(r int) figure {
		return figure{gradient[r].value * normal[r].value, gradient[r].size * normal[r].size}
	}))
	expect(t, "gradient of γ of "+name, dGamma, 0, gate, j, term(dGammaBefore.of(0, gate, j)).plus(product))
	share := 0.0
	if batch {
		share = 1 / float64(s.rows)
	}
	centre, slope := sum(gradient).times(-share), product.times(-share)
	for r := range s.rows {
		crossed := figure{normal[r].value * slope.value, normal[r].size * slope.size}
		want := gradient[r].plus(centre).plus(crossed).times(gamma.of(0, gate, j) * rstd.of(0, gate, j))
		expect(t, "input gradient of "+name, dx, r, gate, j, want.plus(prior(r)))
	}
}

func none(int) figure { return figure{} }

func (s *step) checkBackward(t *testing.T, j int) {
	t.Helper()
	hidden := s.column(func(r int) (dh figure) {
		if s.above {
			dh = dh.plus(term(s.dAbove.of(r, 0, j)))
		}
		if s.next {
			dh = dh.plus(term(s.dNext.of(r, 0, j)))
		}
		return dh
	})
	normal := s.column(func(r int) figure {
		o, tanh := s.activation.of(r, 3, j), s.cellTanh.of(r, 0, j)
		return figure{hidden[r].value * o * (1 - tanh*tanh), hidden[r].size * o}
	})
	expect(t, "gradient of βc", s.dBetaC, 0, 0, j, term(s.dBetaCBefore.of(0, 0, j)).plus(sum(normal)))
	s.checkAffine(t, "c", 0, j, s.batch, normal, s.cell, s.meanC, s.rstdC, s.gammaC, s.dGammaC, s.dGammaCBefore,
		func(r int) figure { return term(s.dCell.of(r, 0, j)) }, s.dCellTotal)
	for r := range s.rows {
		g, f, i, o := s.activation.of(r, 0, j), s.activation.of(r, 1, j), s.activation.of(r, 2, j), s.activation.of(r, 3, j)
		dc, before, tanh := s.dCellTotal.of(r, 0, j), s.cellBefore.of(r, 0, j), s.cellTanh.of(r, 0, j)
		expect(t, "da of g", s.dGates, r, 0, j, figure{dc * i * (1 - g*g), math.Abs(dc * i)})
		expect(t, "da of f", s.dGates, r, 1, j, figure{dc * before * f * (1 - f), math.Abs(dc * before * f)})
		expect(t, "da of i", s.dGates, r, 2, j, figure{dc * g * i * (1 - i), math.Abs(dc * g * i)})
		expect(t, "da of o", s.dGates, r, 3, j, figure{hidden[r].value * tanh * o * (1 - o), hidden[r].size * math.Abs(tanh*o)})
		expect(t, "gradient of c₋₁", s.dCellBefore, r, 0, j, term(dc*f))
	}
	for k := range gates {
		da := s.column(func(r int) figure { return term(s.dGates.of(r, k, j)) })
		expect(t, "gradient of β", s.dBeta, 0, k, j, term(s.dBetaBefore.of(0, k, j)).plus(sum(da)))
		s.checkAffine(t, "Wh·h", k, j, s.batch, da, s.hidden, s.meanH, s.rstdH, s.gammaH, s.dGammaH, s.dGammaHBefore, none, s.dHidden)
		s.checkAffine(t, "Wx·x", k, j, !s.batch, da, s.input, s.meanX, s.rstdX, s.gammaX, s.dGammaX, s.dGammaXBefore, none, s.dInput)
	}
	above := s.column(func(r int) figure { return term(s.dAbove.of(r, 0, j)) })
	expect(t, "column sum", s.columnSum, 0, 0, j, term(s.columnSumBefore.of(0, 0, j)).plus(sum(above)))
}

// sameOutputs reports outputs that are not the same to the bit.
func sameOutputs(t *testing.T, how string, got, want map[string]array) {
	t.Helper()
	for name, w := range want {
		if g, w := got[name].values(), w.values(); !slices.Equal(g, w) {
			t.Errorf("%s: %s = %v, want %v", how, name, g, w)
		}
	}
}

func TestColumnsAreIndependent(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		whole, parts := newStep(t, rows, columns), newStep(t, rows, columns)
		whole.run(k, 0, columns)
		for from := 0; from < columns; from += 5 {
			parts.run(k, from, min(from+5, columns))
		}
		sameOutputs(t, "five columns at a time", parts.outputs(), whole.outputs())
	})
}

func TestOutputsMayShareMemoryWithInputs(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		apart, shared := newStep(t, rows, columns), newStep(t, rows, columns)
		apart.run(k, 0, columns)
		shared.share()
		shared.run(k, 0, columns)
		sameOutputs(t, "sharing memory", shared.outputs(), apart.outputs())
	})
}

// Scalar inputs stand in every column. They have no gradient.
func TestScalarInputs(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		apart, scalar := newStep(t, rows, columns), newStep(t, rows, columns)
		const stride = 3 // the feature of a layer that reads three
		x := make([]float32, (rows-1)*stride+1)
		for r := range rows {
			x[r*stride] = float32(apart.input.of(r, 0, 0))
			for k := range gates {
				for j := range columns {
					*apart.input.at(r, k, j) = x[r*stride]
					*scalar.input.at(r, k, j) = x[r*stride]
				}
			}
		}
		apart.run(k, 0, columns)
		scalar.scalars = Matrix{x, stride}
		before := slices.Clone(scalar.dInput.values())
		scalar.run(k, 0, columns)
		if after := scalar.dInput.values(); !slices.Equal(after, before) {
			t.Errorf("the gradient of scalar inputs = %v, want it left as it was, %v", after, before)
		}
		want := apart.outputs()
		delete(want, "dInput")
		sameOutputs(t, "scalar", scalar.outputs(), want)
	})
}

// Gates whose columns are as many as they are apart lie together, so that f, i and o
// can be one vector.
func TestGatesBesideEachOther(t *testing.T) {
	t.Parallel()
	for _, level := range isa.Available() {
		for columns := 1; columns <= 17; columns++ {
			const rows = 7
			k := forLevel(level)
			random := rand.New(rand.NewPCG(4, uint64(columns)))
			values := func(n int) []float32 {
				out := make([]float32, n)
				for i := range out {
					out[i] = float32(random.NormFloat64())
				}
				return out
			}
			hidden, input := values(rows*gates*columns), values(rows*gates*columns)
			vectors := [3][]float32{values(gates * columns), values(gates * columns), values(gates * columns)}
			before := values(rows * columns)
			forward := func(spacing, activationSpacing int) (activation, cell []float32) {
				apart := func(x []float32, rows int) []float32 {
					out := make([]float32, rows*gates*spacing)
					for r := range rows {
						for k := range gates {
							copy(out[(r*gates+k)*spacing:], x[(r*gates+k)*columns:][:columns])
						}
					}
					return out
				}
				stride, activationStride := gates*spacing, gates*activationSpacing
				out := make([]float32, rows*activationStride)
				cell = make([]float32, rows*columns)
				k.gatesForward(Gates{
					Rows: rows, Columns: columns, Spacing: spacing, ActivationSpacing: activationSpacing,
					Hidden: Matrix{apart(hidden, rows), stride}, Input: inOrder(Matrix{apart(input, rows), stride}),
					HiddenScale: apart(vectors[0], 1), InputScale: apart(vectors[1], 1), Shift: apart(vectors[2], 1),
					CellBefore: Matrix{before, columns}, Activation: Matrix{out, activationStride}, Cell: Matrix{cell, columns},
				})
				for r := range rows {
					for k := range gates {
						activation = append(activation, out[(r*gates+k)*activationSpacing:][:columns]...)
					}
				}
				return activation, cell
			}
			wantGates, wantCell := forward(columns+1, columns+1)
			for _, spacing := range [][2]int{{columns, columns}, {columns, columns + 2}, {columns + 2, columns}} {
				gotGates, gotCell := forward(spacing[0], spacing[1])
				if !slices.Equal(gotGates, wantGates) || !slices.Equal(gotCell, wantCell) {
					t.Errorf("%s, %d columns, spacings %v: got gates %v and cells %v, want %v and %v", level, columns, spacing, gotGates, gotCell, wantGates, wantCell)
				}
			}
		}
	}
}

// Gathered inputs are the rows that their order names, and gradients add up in
// them, in order.
func TestGatheredInputs(t *testing.T) {
	t.Parallel()
	fewShapes.each(t, func(t *testing.T, k kernels, rows, columns int) {
		apart, gathered := newStep(t, rows, columns), newStep(t, rows, columns)
		random := rand.New(rand.NewPCG(3, uint64(rows)))
		table := maker{t, random, rows/2 + 1, columns, columns + 2}.matrix(gates)
		gradient := maker{t, random, rows/2 + 1, columns, columns + 2}.matrix(gates)
		want := array{Matrix{slices.Clone(gradient.Data), gradient.Stride}, gradient.rows, columns, gates, gradient.spacing}
		order := make([]int32, rows)
		for r := range order {
			order[r] = int32(random.IntN(rows/2 + 1))
			for k := range gates {
				for j := range columns {
					*apart.input.at(r, k, j) = float32(table.of(int(order[r]), k, j))
				}
			}
		}
		apart.run(k, 0, columns)
		gathered.input, gathered.dInput, gathered.order = table, gradient, order
		gathered.run(k, 0, columns)

		for r, from := range order {
			for k := range gates {
				for j := range columns {
					*want.at(int(from), k, j) += *apart.dInput.at(r, k, j)
				}
			}
		}
		if got, want := gradient.values(), want.values(); !slices.Equal(got, want) {
			t.Errorf("gradient of the gathered rows = %v, want %v", got, want)
		}
		got, others := gathered.outputs(), apart.outputs()
		delete(others, "dInput")
		sameOutputs(t, "gathered", got, others)
	})
}

// TestMomentsOfConstants: a column without spread has the variance 0, however
// large it is, and whatever the number of its rows.
func TestMomentsOfConstants(t *testing.T) {
	t.Parallel()
	for _, level := range isa.Available() {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			for _, rows := range allShapes.rows {
				x := Matrix{slices.Repeat([]float32{1000.1}, rows), 1}
				mean, rstd := make([]float32, 1), make([]float32, 1)
				forLevel(level).moments(mean, rstd, inOrder(x), rows, testEpsilon)
				// A mean that is a rounding off leaves (1000·2⁻²³)² of variance, a thousandth of epsilon.
				if want := 1 / math.Sqrt(testEpsilon); math.Abs(float64(mean[0])-1000.1) > 3e-4 || math.Abs(float64(rstd[0])-want) > 0.01*want {
					t.Errorf("%d rows: mean %v, rstd %v, want 1000.1, %v", rows, mean[0], rstd[0], want)
				}
			}
		})
	}
}

func TestEmptyShapesDoNothing(t *testing.T) {
	t.Parallel()
	for _, level := range isa.Available() {
		k := forLevel(level)
		k.gatesForward(Gates{})
		k.outputForward(Output{Columns: 3})
		k.outputBackward(OutputGradient{Rows: 3})
		k.gatesBackward(GatesGradient{Columns: 3})
		k.affinePairBackward(AffinePairGradient{Rows: 3})
		k.fetch(Matrix{}, 3, 0)
		k.fetch(Matrix{}, 0, 3)
		k.sumColumns(nil, Matrix{}, 3)
		k.gateForward(Gate{Rows: 3})
		k.candidateForward(Candidate{Columns: 3})
		k.updateForward(Update{Rows: 3})
		k.updateBackward(UpdateGradient{Columns: 3})
		k.affineBackward(AffineGradient{Rows: 3})
	}
}

// exported are the package's functions as users call them.
type exported struct{}

func (exported) moments(mean, rstd []float32, x Gathered, rows int, epsilon float32) {
	Moments(mean, rstd, x, rows, epsilon)
}
func (exported) fetch(x Matrix, rows, columns int) { Fetch(x, rows, columns) }
func (exported) fold(scale, shift, gamma, beta, mean, rstd []float32) {
	Fold(scale, shift, gamma, beta, mean, rstd)
}
func (exported) sumColumns(sum []float32, x Matrix, rows int) { SumColumns(sum, x, rows) }
func (exported) gatesForward(p Gates)                         { p.Forward() }
func (exported) outputForward(p Output)                       { p.Forward() }
func (exported) outputBackward(p OutputGradient)              { p.Backward() }
func (exported) gatesBackward(p GatesGradient)                { p.Backward() }
func (exported) affinePairBackward(p AffinePairGradient)      { p.Backward() }
func (exported) affineBackward(p AffineGradient)              { p.Backward() }
func (exported) gateForward(p Gate)                           { p.Forward() }
func (exported) candidateForward(p Candidate)                 { p.Forward() }
func (exported) updateForward(p Update)                       { p.Forward() }
func (exported) updateBackward(p UpdateGradient)              { p.Backward() }

func TestExportedFunctions(t *testing.T) {
	t.Parallel()
	checked, unchecked := newStep(t, 7, 33), newStep(t, 7, 33)
	checked.run(exported{}, 0, 33)
	unchecked.run(active(), 0, 33)
	sameOutputs(t, "through the exported functions", checked.outputs(), unchecked.outputs())
	checkedGRU, uncheckedGRU := newGRUStep(t, 7, 33), newGRUStep(t, 7, 33)
	checkedGRU.run(exported{}, 0, 33)
	uncheckedGRU.run(active(), 0, 33)
	sameOutputs(t, "through the exported functions", checkedGRU.outputs(), uncheckedGRU.outputs())
}

func TestNothingAllocates(t *testing.T) {
	s := newStep(t, 7, 33)
	if n := testing.AllocsPerRun(10, func() { s.run(exported{}, 0, 33) }); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
	g := newGRUStep(t, 7, 33)
	if n := testing.AllocsPerRun(10, func() { g.run(exported{}, 0, 33) }); n != 0 {
		t.Errorf("a step of a GRU allocates %v times", n)
	}
}

func TestShortSlicesPanicWithBothSizes(t *testing.T) {
	t.Parallel()
	long, short := Matrix{make([]float32, 100), 10}, Matrix{make([]float32, 57), 10}
	for name, c := range map[string]struct {
		run  func()
		says []string
	}{
		"Moments":       {func() { Moments(make([]float32, 8), make([]float32, 8), inOrder(short), 6, 0) }, []string{"57", "6 rows of 8"}},
		"Moments' rstd": {func() { Moments(make([]float32, 8), make([]float32, 7), inOrder(long), 6, 0) }, []string{"7", "8"}},
		"Moments' rows": {func() { Moments(make([]float32, 8), make([]float32, 8), inOrder(long), 0, 0) }, []string{"0 rows"}},
		"Fold":          {func() { v := make([]float32, 8); Fold(v, v, v, v, v, v[:5]) }, []string{"rstd", "5", "8"}},
		"Gates":         {Gates{Rows: 6, Columns: 2, Spacing: 2, Hidden: long, Input: inOrder(short)}.Forward, []string{"Input", "57", "6 rows of 8"}},
		"Gates' order":  {Gates{Rows: 6, Columns: 2, Spacing: 2, Hidden: long, Input: Gathered{Matrix: long, Order: make([]int32, 5)}}.Forward, []string{"order of 5", "6 rows"}},
		"Moments' order": {func() {
			Moments(make([]float32, 8), make([]float32, 8), Gathered{Matrix: long, Order: []int32{3, 10}}, 2, 0)
		}, []string{"100", "11 rows of 8"}},
		"Moments' scalar": {func() { Moments(make([]float32, 8), make([]float32, 8), Gathered{Matrix: long, Scalar: true}, 2, 0) }, []string{"x is scalar"}},
		"Gates' scalar":   {Gates{Rows: 6, Columns: 2, Spacing: 2, Hidden: long, Input: Gathered{Matrix: Matrix{long.Data[:5], 1}, Scalar: true}}.Forward, []string{"Input", "5", "6 rows of 1"}},
		"negative row": {func() {
			Moments(make([]float32, 8), make([]float32, 8), Gathered{Matrix: long, Order: []int32{3, -1}}, 2, 0)
		}, []string{"row -1"}},
		"Output":         {Output{Rows: 6, Columns: 8, Cell: short}.Forward, []string{"Cell", "57", "6 rows of 8"}},
		"OutputGradient": {OutputGradient{Rows: 6, Columns: 8, HiddenNext: short}.Backward, []string{"HiddenNext", "57", "6 rows of 8"}},
		"GatesGradient":  {GatesGradient{Rows: 6, Columns: 8, CellGradient: long, Activation: short}.Backward, []string{"Activation", "57", "6 rows of 8"}},
		"AffinePairGradient": {AffinePairGradient{Rows: 6, Columns: 8, Gradient: long, Hidden: short}.Backward,
			[]string{"Hidden", "57", "6 rows of 8"}},
		"Gate":      {Gate{Rows: 6, Columns: 8, Hidden: short}.Forward, []string{"Gate.Hidden", "57", "6 rows of 8"}},
		"Candidate": {Candidate{Rows: 6, Columns: 8, Hidden: short}.Forward, []string{"Candidate.Hidden", "57", "6 rows of 8"}},
		"Update":    {Update{Rows: 6, Columns: 4, Spacing: 2, Activation: short}.Forward, []string{"Update.Activation", "57", "6 rows of 8"}},
		"UpdateGradient": {UpdateGradient{Rows: 6, Columns: 8, HiddenNext: short}.Backward,
			[]string{"UpdateGradient.HiddenNext", "57", "6 rows of 8"}},
		"AffineGradient": {AffineGradient{Rows: 6, Columns: 8, Gradient: short}.Backward,
			[]string{"AffineGradient.Gradient", "57", "6 rows of 8"}},
		"SumColumns": {func() { SumColumns(make([]float32, 8), short, 6) }, []string{"57", "6 rows of 8"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				message := fmt.Sprint(recover())
				for _, part := range c.says {
					if !strings.Contains(message, part) {
						t.Errorf("panic %q does not say %q", message, part)
					}
				}
			}()
			c.run()
		})
	}
}
