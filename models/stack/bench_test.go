package stack

import (
	"context"
	"testing"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/team"
	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/model"
)

// shapes are the training steps that the paper's tasks take.
var shapes = []struct {
	name    string
	options plugins.Values
	task    model.Task
}{
	{"characters-512", plugins.Values{"units": "512"},
		model.Task{Kind: model.LanguageModel, InputSize: 87, OutputSize: 87, Batch: 64, Length: 100}},
	{"characters-1000", plugins.Values{"units": "1000"},
		model.Task{Kind: model.LanguageModel, InputSize: 50, OutputSize: 50, Batch: 64, Length: 100}},
	{"words-300", plugins.Values{"units": "300", "embedding": "300", "dropout": "0.5"},
		model.Task{Kind: model.LanguageModel, InputSize: 10000, OutputSize: 10000, Batch: 20, Length: 35}},
	{"words-650", plugins.Values{"units": "650", "embedding": "650", "dropout": "0.65"},
		model.Task{Kind: model.LanguageModel, InputSize: 10000, OutputSize: 10000, Batch: 20, Length: 35}},
	{"words-1500x2", plugins.Values{"units": "1500", "layers": "2", "embedding": "1500", "dropout": "0.65"},
		model.Task{Kind: model.LanguageModel, InputSize: 10000, OutputSize: 10000, Batch: 20, Length: 35}},
	{"mnist-100", plugins.Values{"units": "100"},
		model.Task{Kind: model.SequenceClassification, InputSize: 1, OutputSize: 10, Batch: 100, Length: 784}},
}

// BenchmarkStep times one training step and its update on two workers, given
// quantized weights.
func BenchmarkStep(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			r := build(b, shape.options, shape.task, 2)
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

// BenchmarkProducts times the matrix products of the same steps alone, each by
// the team as one product: what no way of computing the step can do without.
func BenchmarkProducts(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			workers := team.New(2)
			defer workers.Close()
			a, err := Model{Name: "lstm", Kind: recurrent.LSTM}.architecture(shape.options, shape.task)
			if err != nil {
				b.Fatal(err)
			}
			d, task := a.Units, a.Task
			rows := task.Length * task.Batch
			p := products{multiplier: matmul.New(workers), b: b}
			p.reserve(rows*max(4*d, task.OutputSize), max(4*d, task.OutputSize)*d)
			for b.Loop() {
				for range a.Layers {
					for range task.Length {
						p.multiply(task.Batch, 4*d, d)
						p.multiply(task.Batch, d, 4*d)
					}
					p.multiplyTransposed(4*d, d, rows)
					if a.Embedding > 0 {
						p.multiply(rows, 4*d, d)
						p.multiply(rows, d, 4*d)
						p.multiplyTransposed(4*d, d, rows)
					}
				}
				if task.Kind == model.SequenceClassification {
					continue
				}
				p.multiply(rows, task.OutputSize, d)
				p.multiply(rows, d, task.OutputSize)
				p.multiplyTransposed(task.OutputSize, d, rows)
			}
		})
	}
}

type products struct {
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

// multiplyTransposed is xᵀ [m×k] by y [k×n].
func (p *products) multiplyTransposed(m, n, k int) {
	if err := p.multiplier.Gemm(p.w, n, false, true, false, m, n, k, p.x, m, p.y, n); err != nil {
		p.b.Fatal(err)
	}
}
