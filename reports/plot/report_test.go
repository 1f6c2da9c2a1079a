package plot

import (
	"fmt"
	"math"

	"bittern/baselines/published"
	"bittern/harness/store"
	"bittern/reports"
)

// of is a figure over one seed, or over three with this deviation.
func of(mean, deviation float64) reports.Figure {
	if deviation == 0 {
		return reports.Figure{N: 1, Mean: &mean}
	}
	return reports.Figure{N: 3, Mean: &mean, Std: &deviation}
}

// suite is a report of quantizers under three normalizations, made up, with the sizes
// that such networks have.
func suite(quantizers int) *reports.Report {
	r := &reports.Report{Suite: "grid"}
	names := []string{"none", "fixed-point", "stochastic-binary", "stochastic-ternary", "binaryconnect", "ternaryconnect", "bwn", "twn", "absmean", "ttq", "lsq", "lab", "lat", "laq", "dorefa", "alternating"}
	bits := []float64{32, 12, 1, 2, 1, 2, 1, 2, 2, 2, 2, 1, 2, 3, 2, 2}
	for q, name := range names[:quantizers] {
		for k, normalization := range []string{"weight", "layer", "batch-cell"} {
			statistics := []float64{130e3, 150e3, 3600e3}[k]
			score := 1.69 + 0.12/bits[q] + 0.02*math.Sin(float64(7*q+3*k)) + 0.03*float64(k%2)
			n := &reports.Network{
				Task: "warpeace", Model: "lstm-" + normalization, Quantizer: name, Normalization: normalization, Metric: "BPC", Seeds: []uint64{1, 2, 3},
				Deployable: of(score, 0.008), BitsPerWeight: of(bits[q], 0), DeployedBytes: 153344*bits[q] + statistics,
				FullPrecision: reports.FullPrecision{Itself: bits[q] == 32},
			}
			if k == 2 && (name == "stochastic-binary" || name == "stochastic-ternary") {
				n.Published = []published.Result{
					{Source: "ardakani2019", Metric: "BPC", Value: 1.70 + 0.1/bits[q], HasValue: true, Verified: true, SizeKB: 152, SizeConvention: published.RecurrentWeights},
					{Source: "hou2019", Metric: "BPC", Value: 1.72, HasValue: true, Verified: true, SizeKB: 3794, SizeConvention: published.Deployed},
				}
			}
			for b, backend := range []string{"asic-lowpower", "cpu"} {
				energy := reports.Figure{Missing: "no power meter is read"}
				d := reports.Deployment{Backend: backend, Metric: of(score+0.001*float64(b), 0.008), Energy: energy,
					MemoryParts: []store.Part{{Name: "recurrent weights", Value: 153344 * bits[q]}, {Name: "normalization", Value: statistics - 30e3}, {Name: "output layer", Value: 30e3}}}
				if b == 0 {
					total := 8e-6*min(bits[q], 12)/12 + 1e-7*float64(k)
					d.Energy = of(total, 0)
					d.EnergyParts = []store.Part{{Name: "weight fetch", Value: 0.4 * total}, {Name: "multiply-accumulate", Value: 0.25 * total}, {Name: "activations", Value: 0.15 * total}, {Name: "elementwise", Value: 0.1 * total}, {Name: "clock and control", Value: 0.1 * total}}
				}
				n.Deployments = append(n.Deployments, d)
			}
			r.Networks = append(r.Networks, n)
			for seed := uint64(1); seed <= 3; seed++ {
				e := reports.Experiment{Experiment: store.Experiment{ID: fmt.Sprintf("%s-%s-%d", name, normalization, seed), Task: n.Task, Model: n.Model, Quantizer: name, Seed: seed, Metric: "BPC", Steps: 3000}}
				for step := uint64(300); step <= 3000; step += 300 {
					e.Validations = append(e.Validations, store.Validation{Step: step, Deployable: score + 2*math.Exp(-float64(step)/700) + 0.004*float64(seed)})
				}
				r.Experiments = append(r.Experiments, e)
			}
		}
	}
	return r
}
