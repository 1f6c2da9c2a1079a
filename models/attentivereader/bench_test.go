package attentivereader

import (
	"testing"

	"bittern/plugins"
	"bittern/plugins/model"
)

// BenchmarkStep times one training step and its update on two workers, at the paper's
// sizes: all documents and questions have all their steps.
func BenchmarkStep(b *testing.B) {
	for _, normalization := range []string{"none", "batch"} {
		b.Run(normalization, func(b *testing.B) {
			s := sizes{400, 20, 32, 10000, 550, true}
			r := build(b, plugins.Values{"normalization": normalization}, s, 2)
			r.fill(1)
			for name, steps := range map[string]int32{"text length": 400, "asked length": 20} {
				for i := range r.request.Batch.Int32[name] {
					r.request.Batch.Int32[name][i] = steps
				}
			}
			number := uint64(0)
			for b.Loop() {
				r.step(number)
				number++
				if _, err := r.model.Update(b.Context(), model.Update{Number: number, LearningRate: 0.003}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
