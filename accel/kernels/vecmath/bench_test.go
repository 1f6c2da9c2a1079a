package vecmath

import (
	"testing"

	"bittern/accel/kernels/isa"
)

// BenchmarkKernels measures each kernel on 4096 elements, which stay near; its
// MB/s are those of one slice.
func BenchmarkKernels(b *testing.B) {
	const n = 4096
	x, y, z, dst := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = float32(i%17) - 8
	}
	for _, level := range isa.Available() {
		k := forLevel(level)
		for _, c := range []struct {
			name string
			run  func()
		}{
			{"sigmoid", func() { k.sigmoid(dst, x) }},
			{"tanh", func() { k.tanh(dst, x) }},
			{"axpy", func() { k.axpy(dst, 0.5, x) }},
			{"dot", func() { k.dot(x, y) }},
			{"softmax", func() { k.softmax(dst, x, 1) }},
			{"logSumExp", func() { k.logSumExp(x) }},
			{"argMax", func() { k.argMax(x) }},
			{"adam", func() { (Adam{0.002, 0.9, 0.999, 1e-8}).update(k, dst, x, y, z, 1, 1) }},
			{"dropout", func() { dropout(k, dst, x, 0.5, 1, 0) }},
			{"transpose64x64", func() { k.transpose(dst, 64, x, 64, 64, 64) }},
		} {
			b.Run(c.name+"/"+level.String(), func(b *testing.B) {
				b.SetBytes(4 * n)
				for b.Loop() {
					c.run()
				}
			})
		}
	}
}

// BenchmarkTranspose is the input matrix of a 512-unit LSTM over 87 symbols.
func BenchmarkTranspose(b *testing.B) {
	const rows, cols = 2048, 87
	src, dst := make([]float32, rows*cols), make([]float32, cols*(rows+16))
	for _, level := range isa.Available() {
		b.Run(level.String(), func(b *testing.B) {
			b.SetBytes(4 * rows * cols)
			for b.Loop() {
				forLevel(level).transpose(dst, rows+16, src, cols, rows, cols)
			}
		})
	}
}
