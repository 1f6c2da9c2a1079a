package stack

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// shapes are the training steps that the paper's tasks take.
var shapes = []struct {
	name    string
	options plugins.Values
	shape   network.Shape
}{
	{"characters-512", plugins.Values{"units": "512"},
		sequences(network.Tokens, 87, 100, 64, 87, true)},
	{"characters-1000", plugins.Values{"units": "1000"},
		sequences(network.Tokens, 50, 100, 64, 50, true)},
	{"words-300", plugins.Values{"units": "300", "embedding": "300", "dropout": "0.5"},
		sequences(network.Tokens, 10000, 35, 20, 10000, true)},
	{"words-650", plugins.Values{"units": "650", "embedding": "650", "dropout": "0.65"},
		sequences(network.Tokens, 10000, 35, 20, 10000, true)},
	{"words-1500x2", plugins.Values{"units": "1500", "layers": "2", "embedding": "1500", "dropout": "0.65"},
		sequences(network.Tokens, 10000, 35, 20, 10000, true)},
	{"mnist-100", plugins.Values{"units": "100"},
		sequences(network.Features, 1, 784, 100, 10, false)},
	{"mnist-100-plain", plugins.Values{"units": "100", "normalization": "none"}, // its gradients vanish
		sequences(network.Features, 1, 784, 100, 10, false)},
}

// BenchmarkStep times one training step and its update on two workers, given
// quantized weights.
func BenchmarkStep(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			r := build(b, shape.options, shape.shape, 2)
			r.fill(1)
			number := uint64(0)
			for b.Loop() {
				r.step(number)
				number++
				if _, err := r.model.Update(context.Background(), model.Update{Number: number, LearningRate: 0.002}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkArithmetics times the same steps with products of float32 and of bfloat16 in turn, and
// reports the ratio of the medians: how many times as long a step with bfloat16 takes.
func BenchmarkArithmetics(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			var rigs [2]*rig
			var times [2][]float64
			for i, arithmetic := range []model.Arithmetic{model.Float32, model.BFloat16} {
				rigs[i] = buildOf(b, newPlugin, shape.options, shape.shape, 2, arithmetic)
				for _, t := range rigs[i].request.Parameters { // ternary, as nothing else is quantized here
					for j, v := range t.Quantized {
						t.Quantized[j] = float32(math.Copysign(math.Round(float64(min(1, 8*max(v, -v)))), float64(v))) / 16
					}
				}
				rigs[i].fill(1)
				rigs[i].step(0)
			}
			for number := uint64(1); b.Loop(); number++ {
				for i, r := range rigs {
					start := time.Now()
					r.step(number)
					times[i] = append(times[i], time.Since(start).Seconds())
				}
			}
			for i := range times {
				slices.Sort(times[i])
			}
			n := len(times[0])
			b.ReportMetric(times[1][n/2]/times[0][n/2], "median-ratio")
			b.ReportMetric(times[1][0]/times[0][0], "best-ratio")
			b.ReportMetric(times[0][0]*1e3, "float32-best-ms")
		})
	}
}

// BenchmarkProducts times the matrix products of the same steps alone, each by
// the team as one product: what no way of computing the step can do without.
func BenchmarkProducts(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			workers := team.New(2)
			defer workers.Close()
			a, err := Model{Name: "lstm", Kind: recurrent.LSTM}.architecture(shape.options, shape.shape)
			if err != nil {
				b.Fatal(err)
			}
			d, steps, batch, classes := a.Units, a.steps(), a.Shape.Sequences, a.Shape.Classes
			rows := steps * batch
			p := products{team: workers, multiplier: matmul.New(workers), b: b}
			p.reserve(rows*max(4*d, classes), max(4*d, classes)*d)
			for b.Loop() {
				for range a.Layers {
					p.repeat(steps, batch, 4*d, d)
					p.repeat(steps, batch, d, 4*d)
					p.multiplyTransposed(4*d, d, rows)
					if a.Embedding > 0 {
						p.multiply(rows, 4*d, d)
						p.multiply(rows, d, 4*d)
						p.multiplyTransposed(4*d, d, rows)
					}
				}
				if a.once() {
					continue
				}
				p.multiply(rows, classes, d)
				p.multiply(rows, d, classes)
				p.multiplyTransposed(classes, d, rows)
			}
		})
	}
}

type products struct {
	team       *team.Team
	multiplier *matmul.Multiplier
	b          *testing.B
	x, y, w    []float32
}

func (p *products) reserve(activations, weights int) {
	p.x, p.y, p.w = make([]float32, activations), make([]float32, activations), make([]float32, weights)
}

// multiply is x [m×k] by w [k×n].
func (p *products) multiply(m, n, k int) {
	if err := p.multiplier.Gemm(p.y, n, false, false, false, m, n, k, p.x, k, p.w, n); err != nil {
		p.b.Fatal(err)
	}
}

// repeat is multiply so many times with the same w, as a recurrent layer has it: each worker
// has some columns of w, which it packs once.
func (p *products) repeat(count, m, n, k int) {
	faults := make([]error, p.team.Size())
	p.team.Run(func(worker int) {
		var packed matmul.Packed
		var scratch matmul.Scratch
		from, to := p.team.Split(worker, n, 16)
		faults[worker] = packed.Pack(p.w[from:], n, false, k, to-from)
		for range count {
			faults[worker] = errors.Join(faults[worker], scratch.MultiplyPacked(p.y[from:], n, p.x, k, false, m, &packed, false))
		}
	})
	if err := errors.Join(faults...); err != nil {
		p.b.Fatal(err)
	}
}

// multiplyTransposed is xᵀ [m×k] by y [k×n].
func (p *products) multiplyTransposed(m, n, k int) {
	if err := p.multiplier.Gemm(p.w, n, false, true, false, m, n, k, p.x, m, p.y, n); err != nil {
		p.b.Fatal(err)
	}
}
