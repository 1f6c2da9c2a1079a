package gates

import (
	"fmt"
	"testing"

	"bittern/accel/kernels/isa"
)

// BenchmarkStep measures all kernels of a time step of one worker, in blocks
// of 16 columns as package recurrent calls them: ns/step, and what that makes
// of 100 steps.
func BenchmarkStep(b *testing.B) {
	for _, level := range isa.Available() {
		for _, shape := range []struct{ rows, units, columns int }{{64, 512, 256}, {64, 1000, 496}, {100, 100, 48}, {20, 650, 320}} {
			k, s := forLevel(level), newBenchmarkStep(shape.rows, shape.units)
			name := fmt.Sprintf("%d×%dof%d/%s", shape.rows, shape.columns, shape.units, level)
			for pass, run := range map[string]func(k kernels, from, to int){"forward": s.forward, "backward": s.backward} {
				b.Run(pass+"/"+name, func(b *testing.B) {
					for b.Loop() {
						for from := 0; from < shape.columns; from += 16 {
							run(k, from, min(from+16, shape.columns))
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e4, "ms/100steps")
				})
			}
		}
	}
}

// benchmarkStep is a step on memory as a sweep lays it out.
type benchmarkStep struct {
	rows, units                             int
	hidden, input, activation               Matrix
	before, cell, tanh, out, dCell          Matrix
	mean, rstd, gamma, beta, scaleH, scaleX []float32
	shift, dBeta, dGammaH, dGammaX          []float32
}

func newBenchmarkStep(rows, units int) *benchmarkStep {
	const pad = 16
	wide := func() Matrix { return Matrix{make([]float32, rows*(gates*units+pad)), gates*units + pad} }
	narrow := func() Matrix { return Matrix{make([]float32, rows*(units+pad)), units + pad} }
	vector := func() []float32 { return make([]float32, gates*units) }
	s := &benchmarkStep{
		rows: rows, units: units, hidden: wide(), input: wide(), activation: wide(),
		before: narrow(), cell: narrow(), tanh: narrow(), out: narrow(), dCell: narrow(),
		mean: vector(), rstd: vector(), gamma: vector(), beta: vector(), scaleH: vector(), scaleX: vector(),
		shift: vector(), dBeta: vector(), dGammaH: vector(), dGammaX: vector(),
	}
	for i := range s.hidden.Data {
		s.hidden.Data[i], s.input.Data[i] = float32(i%7)-3, float32(i%5)-2
	}
	for i := range s.gamma {
		s.gamma[i], s.scaleH[i], s.scaleX[i] = 0.1, 0.1, 0.1
	}
	return s
}

func (m Matrix) column(j int) Matrix { return Matrix{m.Data[j:], m.Stride} }

func (s *benchmarkStep) forward(k kernels, from, to int) {
	for gate := range gates {
		from, to := gate*s.units+from, gate*s.units+to
		k.moments(s.mean[from:to], s.rstd[from:to], inOrder(s.hidden.column(from)), s.rows, testEpsilon)
		k.moments(s.mean[from:to], s.rstd[from:to], inOrder(s.input.column(from)), s.rows, testEpsilon)
		k.fold(s.scaleH[from:to], s.shift[from:to], s.gamma[from:to], s.beta[from:to], s.mean[from:to], s.rstd[from:to])
		k.fold(s.scaleX[from:to], s.shift[from:to], s.gamma[from:to], s.shift[from:to], s.mean[from:to], s.rstd[from:to])
	}
	k.gatesForward(Gates{
		Rows: s.rows, Columns: to - from, Spacing: s.units, ActivationSpacing: s.units, Hidden: s.hidden.column(from), Input: inOrder(s.input.column(from)),
		HiddenScale: s.scaleH[from:], InputScale: s.scaleX[from:], Shift: s.shift[from:],
		CellBefore: s.before.column(from), Activation: s.activation.column(from), Cell: s.cell.column(from),
	})
	k.moments(s.mean[from:to], s.rstd[from:to], inOrder(s.cell.column(from)), s.rows, testEpsilon)
	k.fold(s.scaleH[from:to], s.shift[from:to], s.gamma[from:to], s.beta[from:to], s.mean[from:to], s.rstd[from:to])
	k.outputForward(Output{
		Rows: s.rows, Columns: to - from, Cell: s.cell.column(from), Scale: s.scaleH[from:to], Shift: s.shift[from:to],
		Gate: s.activation.column(3*s.units + from), CellTanh: s.tanh.column(from), Hidden: s.out.column(from),
	})
}

func (s *benchmarkStep) backward(k kernels, from, to int) {
	k.outputBackward(OutputGradient{
		Rows: s.rows, Columns: to - from, HiddenAbove: s.out.column(from), HiddenNext: s.out.column(from),
		Gate: s.activation.column(3*s.units + from), CellTanh: s.tanh.column(from), Cell: s.cell.column(from),
		Statistics: Statistics{Mean: s.mean[from:to], RStd: s.rstd[from:to], Batch: true}, Gamma: s.gamma[from:to],
		BetaGradient: s.dBeta[from:to], GammaGradient: s.dGammaH[from:to],
		GateGradient: s.activation.column(3*s.units + from), CellGradient: s.dCell.column(from),
	})
	k.gatesBackward(GatesGradient{
		Rows: s.rows, Columns: to - from, Spacing: s.units, CellGradient: s.dCell.column(from),
		Activation: s.activation.column(from), CellBefore: s.before.column(from),
		GateGradient: s.activation.column(from), CellBeforeGradient: s.dCell.column(from),
	})
	for gate := range gates {
		from, to := gate*s.units+from, gate*s.units+to
		k.affinePairBackward(AffinePairGradient{
			Rows: s.rows, Columns: to - from, Gradient: s.activation.column(from),
			Hidden: s.hidden.column(from), Input: inOrder(s.input.column(from)),
			HiddenStatistics: Statistics{Mean: s.mean[from:to], RStd: s.rstd[from:to], Batch: true},
			InputStatistics:  Statistics{Mean: s.mean[from:to], RStd: s.rstd[from:to], Batch: true},
			HiddenGamma:      s.gamma[from:to], InputGamma: s.gamma[from:to],
			BetaGradient: s.dBeta[from:to], HiddenGammaGradient: s.dGammaH[from:to], InputGammaGradient: s.dGammaX[from:to],
			HiddenGradient: s.hidden.column(from), InputGradient: s.input.column(from),
		})
	}
}
