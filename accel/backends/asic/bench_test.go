package asic_test

import (
	"testing"

	"bittern/accel/backends/asiclowpower"
	"bittern/internal/sample"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// BenchmarkExecute scores text with the paper's LSTM of 512 units, on all processors.
func BenchmarkExecute(b *testing.B) {
	const symbols, sequences, steps = 87, 64, 20
	for _, format := range []struct {
		name   string
		format sample.Format
	}{{"binary", sample.Binary}, {"ternary", sample.Ternary}, {"12-bit", sample.Format{}}} {
		b.Run(format.name, func(b *testing.B) {
			g, weights := sample.LSTM{Units: 512, Inputs: symbols, Outputs: symbols, Steps: 1, Format: format.format, Seed: 1}.Build()
			n := network.Scanned("lstm", g)
			machine := asiclowpower.New()
			if _, err := machine.Deploy(b.Context(), backend.Deploy{Network: n, Weights: weights}); err != nil {
				b.Fatal(err)
			}
			batch := n.Shape(sequences, map[string]int{"sequence": steps}, false).Allocate()
			for i := range batch.Int32 {
				for k := range batch.Int32[i] {
					batch.Int32[i][k] = int32(k % symbols)
				}
			}
			for b.Loop() {
				if _, err := machine.Execute(b.Context(), backend.Execute{Batch: batch}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*sequences*steps/b.Elapsed().Seconds(), "steps/s")
		})
	}
}
