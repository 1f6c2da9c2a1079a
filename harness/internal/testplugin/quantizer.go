package testplugin

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// coin flips a coin for every weight: +scale or −scale, where the sign of the latent weight is
// more probable. The scale is a trained state, so a resumed run shows whether states and their
// moments are kept.
type coin struct {
	weights []quantizer.Weight
	fixed   bool
	journal string
	fault   fault
}

func (*coin) Describe(context.Context) (plugins.Description, error) {
	options := append(faults("kill", "exit", "hang", "panic", "nan", "truncate", "truncate-and-crash"),
		plugins.Option{Name: "fixed", Type: plugins.Bool, Default: "false", Doc: "show the same sides at every draw"},
		plugins.Option{Name: "journal", Type: plugins.String, Doc: "a file that takes a line for each Initialise and Backward; empty = none"})
	return description(plugins.KindQuantizer, "coin", options,
		quantizer.TraitBackward, quantizer.TraitProject, quantizer.TraitInitialise)
}

func (*coin) Plan(_ context.Context, _ plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	var states []quantizer.State
	for _, w := range weights {
		states = append(states, quantizer.State{Name: "scale", Weight: w.Name, Shape: []int{1}, Trained: true})
	}
	return states, nil
}

func (q *coin) Open(_ context.Context, options plugins.Values, weights []quantizer.Weight) error {
	q.weights, q.fixed, q.journal, q.fault = weights, options.Bool("fixed"), options.Text("journal"), newFault(options)
	return nil
}

// note writes a line to the journal.
func (q *coin) note(format string, args ...any) error {
	if q.journal == "" {
		return nil
	}
	file, err := os.OpenFile(q.journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, format+"\n", args...)
	return errors.Join(err, file.Close())
}

// Initialise adds 1 to the scales, which are 0 before.
func (q *coin) Initialise(context.Context) error {
	for _, w := range q.weights {
		w.State["scale"].Value[0]++
	}
	return q.note("initialise")
}

// scale returns the magnitude of the state, since an optimiser may make that negative.
func scale(w quantizer.Weight) float32 { return float32(math.Abs(float64(w.State["scale"].Value[0]))) }

// up returns for each element whether the coin shows +scale.
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
		q.weights[0].Quantized[0] = 0 // the memory is gone, so this ends the process
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

func (q *coin) Backward(_ context.Context, request quantizer.Backward) error {
	for _, w := range q.weights {
		slope := float32(0)
		for i, g := range w.Grad {
			if w.Quantized[i] < 0 {
				g = -g
			}
			slope += g
		}
		if w.State["scale"].Value[0] < 0 {
			slope = -slope
		}
		w.State["scale"].Grad[0] = slope
	}
	return q.note("update %d at the rate %v", request.Update, request.LearningRate)
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

// curved gives each weight its sign times a mean of the magnitudes, in which weights with a
// larger second moment count more.
type curved struct{ quantizer.Base }

func (*curved) Describe(context.Context) (plugins.Description, error) {
	return description(plugins.KindQuantizer, "curved", nil, quantizer.TraitSecondMoments)
}

// CurvedLevel returns the magnitude that curved gives to all weights of a matrix.
func CurvedLevel(latent, moment2 []float32) float32 {
	sum, total := 0.0, 0.0
	for i, v := range latent {
		curvature := math.Sqrt(float64(moment2[i])) + 1e-12
		sum += curvature * math.Abs(float64(v))
		total += curvature
	}
	return float32(sum / total)
}

func (q *curved) Quantize(context.Context, quantizer.Draw) error {
	for _, w := range q.Weights {
		level := CurvedLevel(w.Latent, w.Moment2)
		for i, v := range w.Latent {
			w.Quantized[i] = float32(math.Copysign(float64(level), float64(v)))
		}
	}
	return nil
}

func (q *curved) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	var frozen []quantizer.Frozen
	for _, w := range q.Weights {
		level := CurvedLevel(w.Latent, w.Moment2)
		p := quantizer.Plane{Bits: 1, Levels: []float32{-1, 1}, Scales: []float32{level}, Codes: make([]uint16, len(w.Latent))}
		for i, v := range w.Latent {
			if !math.Signbit(float64(v)) {
				p.Codes[i] = 1
			}
		}
		frozen = append(frozen, quantizer.Frozen{Name: w.Name, Planes: []quantizer.Plane{p}})
	}
	return frozen, nil
}
