package recurrent

import (
	"errors"
	"fmt"
	"testing"

	"bittern/accel/kernels/team"
)

// BenchmarkLayer times forward and backward of every kind and normalization at
// the size of the paper's characters.
func BenchmarkLayer(b *testing.B) {
	for _, kind := range []Kind{LSTM, GRU} {
		for _, n := range Normalizations {
			b.Run(fmt.Sprintf("%s/%s", kind, n), func(b *testing.B) {
				config := Config{Kind: kind, Steps: 100, Batch: 64, Inputs: 87, Units: 512, Tokens: true, Normalization: n}
				config.NormalizeCell = kind == LSTM && n == BatchNorm
				workers := team.New(2)
				defer workers.Close()
				l, err := New(workers, config)
				if err != nil {
					b.Fatal(err)
				}
				p := newProblem(config)
				dw := newWeights(config)
				for b.Loop() {
					if err := errors.Join(l.Forward(p.weights, p.input), l.Backward(p.weights, p.input, p.gradient, dw, nil)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLengths times forward and backward of sequences that have a part of the
// steps of a batch each: what putting sequences of one length into one batch saves.
func BenchmarkLengths(b *testing.B) {
	for _, length := range []int{200, 100, 50} {
		b.Run(fmt.Sprintf("%d of 200", length), func(b *testing.B) {
			config := Config{Kind: LSTM, Steps: 200, Batch: 32, Inputs: 128, Units: 128, Normalization: BatchNorm, NormalizeCell: true, Masked: true}
			workers := team.New(2)
			defer workers.Close()
			l, err := New(workers, config)
			if err != nil {
				b.Fatal(err)
			}
			p := newProblem(config)
			for i := range p.input.Lengths {
				p.input.Lengths[i] = int32(length)
			}
			dw, dx := newWeights(config), make([]float32, len(p.input.Features))
			for b.Loop() {
				if err := errors.Join(l.Forward(p.weights, p.input), l.Backward(p.weights, p.input, p.gradient, dw, dx)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
