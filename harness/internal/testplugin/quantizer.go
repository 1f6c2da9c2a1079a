package testplugin

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// coin flips a coin for every weight: ±scale, more likely the latent weight's
// sign. The scale is a state that it learns, so that a resumed run shows
// whether states are kept.
type coin struct {
	weights []quantizer.Weight
	fixed   bool
	fault   fault
}

func (*coin) Describe(context.Context) (plugins.Description, error) {
	options := append(faults("kill", "exit", "hang", "panic", "nan", "truncate", "truncate-and-crash"),
		plugins.Option{Name: "fixed", Type: plugins.Bool, Default: "false", Doc: "show the same sides at every draw"})
	return description(plugins.KindQuantizer, "coin", options,
		quantizer.TraitBackward, quantizer.TraitProject)
}

func (*coin) Plan(_ context.Context, _ plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	var states []quantizer.State
	for _, w := range weights {
		states = append(states, quantizer.State{Name: "growth", Weight: w.Name, Len: 1})
	}
	return states, nil
}

func (q *coin) Open(_ context.Context, options plugins.Values, weights []quantizer.Weight) error {
	q.weights, q.fixed, q.fault = weights, options.Bool("fixed"), newFault(options)
	return nil
}

func scale(w quantizer.Weight) float32 { return 1 + w.State["growth"][0] }

// up says by element whether the coin shows +scale.
func (q *coin) up(w quantizer.Weight, draw quantizer.Draw) []bool {
	if q.fixed {
		draw = quantizer.Draw{}
	}
	name := fnv.New64a()
	name.Write([]byte(w.Name))
	random := rand.New(rand.NewPCG(draw.Seed^name.Sum64(), draw.Step))
	flips := make([]bool, len(w.Latent))
	for i, latent := range w.Latent {
		flips[i] = random.Float64() < min(1, max(0, 0.5+2*float64(latent)))
	}
	return flips
}

func (q *coin) Quantize(_ context.Context, draw quantizer.Draw) error {
	nonsense := q.fault.strike(draw.Step)
	if nonsense && q.fault.kind == "truncate" {
		return truncateArenas()
	}
	if nonsense && q.fault.kind == "truncate-and-crash" {
		if err := truncateArenas(); err != nil {
			return err
		}
		q.weights[0].Quantized[0] = 0 // is gone, which ends the process
	}
	for _, w := range q.weights {
		for i, heads := range q.up(w, draw) {
			w.Quantized[i] = -scale(w)
			if heads {
				w.Quantized[i] = scale(w)
			}
		}
		if nonsense {
			w.Quantized[0] = float32(math.NaN())
		}
	}
	return nil
}

func (q *coin) Backward(context.Context, quantizer.Draw) error {
	for _, w := range q.weights {
		slope := float32(0)
		for i, g := range w.Grad {
			if w.Quantized[i] < 0 {
				g = -g
			}
			slope += g
		}
		w.State["growth"][0] -= 0.01 * slope
	}
	return nil
}

func (q *coin) Project(context.Context) error {
	for _, w := range q.weights {
		for i := range w.Latent {
			w.Latent[i] = min(1, max(-1, w.Latent[i]))
		}
	}
	return nil
}

func (q *coin) Freeze(_ context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	var frozen []quantizer.Frozen
	for _, w := range q.weights {
		p := quantizer.Plane{Bits: 1, Levels: []float32{-1, 1}, Scales: []float32{scale(w)}, Codes: make([]uint16, len(w.Latent))}
		for i, heads := range q.up(w, draw) {
			if heads {
				p.Codes[i] = 1
			}
		}
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Planes: []quantizer.Plane{p}})
	}
	return frozen, nil
}
