package conformance

import (
	"fmt"
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// quantizerSession is a quantizer that was opened on weights of the check.
type quantizerSession struct {
	quantizer.Quantizer
	bare        quantizer.Quantizer // without the checks of package checked
	plugins     *pool[quantizer.Quantizer]
	options     plugins.Values
	description plugins.Description
	weights     []quantizer.Weight
}

// openQuantizer opens the plugin of this number as at the start of training. That ends the
// plugin's session before.
func openQuantizer(r *recorder, all *pool[quantizer.Quantizer], number int, options plugins.Values, shapes []quantizer.Shape) *quantizerSession {
	s := planQuantizer(r, all, number, options, shapes)
	if s.has(quantizer.TraitInitialise) {
		r.must("Initialise", s.Initialise(r.ctx))
	}
	return s
}

// planQuantizer opens the plugin of this number with states of zeros.
func planQuantizer(r *recorder, all *pool[quantizer.Quantizer], number int, options plugins.Values, shapes []quantizer.Shape) *quantizerSession {
	o := all.open(r, number)
	ctx, shared := r.ctx, o.shared
	s := &quantizerSession{Quantizer: o.plugin, bare: o.bare, plugins: all, options: options, description: o.description}
	states, err := s.Plan(ctx, options, shapes)
	r.must("Plan", err)
	for _, shape := range shapes {
		w := quantizer.Weight{Shape: shape, State: map[string]quantizer.StateTensors{}}
		for _, tensor := range []*[]float32{&w.Latent, &w.Quantized, &w.Grad, &w.Moment2} {
			*tensor = allocate[float32](r, shared, shape.Rows, shape.Cols)
		}
		for _, state := range states {
			if state.Weight == shape.Name {
				tensors := quantizer.StateTensors{Value: allocate[float32](r, shared, state.Shape...)}
				if state.Trained {
					tensors.Grad = allocate[float32](r, shared, state.Shape...)
				}
				w.State[state.Name] = tensors
			}
		}
		fillWeight(w)
		s.weights = append(s.weights, w)
	}
	r.must("Open", s.Open(ctx, options, s.weights))
	return s
}

// states returns copies of the values or the gradients of all states, as pick chooses.
func (s *quantizerSession) states(pick func(quantizer.StateTensors) []float32) map[string][]float32 {
	copies := make(map[string][]float32)
	for _, w := range s.weights {
		for name, tensors := range w.State {
			copies["the state "+name+" of "+w.Name] = slices.Clone(pick(tensors))
		}
	}
	return copies
}

func stateValue(t quantizer.StateTensors) []float32 { return t.Value }

func stateGrad(t quantizer.StateTensors) []float32 { return t.Grad }

// fillWeight gives a weight values as in training: latent values up to the Glorot bound
// √(6/(rows+cols)), with a zero if there are several. Equal shapes get equal values.
func fillWeight(w quantizer.Weight) {
	random := randomness()
	bound := math.Sqrt(6 / float64(w.Rows+w.Cols))
	for i := range w.Latent {
		w.Latent[i] = float32(bound * (2*random.Float64() - 1))
		w.Grad[i] = float32(0.1 * random.NormFloat64())
		w.Moment2[i] = w.Grad[i] * w.Grad[i]
	}
	if len(w.Latent) > 1 { // a quantizer may have no scale for a matrix of zeros
		w.Latent[len(w.Latent)/2] = 0
	}
}

// fresh returns a session of another plugin, whose session before ends.
func (s *quantizerSession) fresh(r *recorder, shapes ...quantizer.Shape) *quantizerSession {
	return openQuantizer(r, s.plugins, 1, s.options, shapes)
}

func (s *quantizerSession) quantize(r *recorder, draw quantizer.Draw) [][]float32 {
	for _, w := range s.weights {
		for i := range w.Quantized {
			w.Quantized[i] = float32(math.NaN()) // the quantizer must write every element
		}
	}
	if err := s.Quantize(r.ctx, draw); err != nil {
		r.must(fmt.Sprintf("Quantize(%+v)", draw), err)
	}
	var quantized [][]float32
	for _, w := range s.weights {
		quantized = append(quantized, slices.Clone(w.Quantized))
	}
	return quantized
}

func (s *quantizerSession) equal(r *recorder, what string, got, want [][]float32) {
	for k, w := range s.weights {
		if i := difference(got[k], want[k]); i >= 0 {
			r.saw("%s: element %d of %s = %v", what, i, w.Name, got[k][i]).want("%v", want[k][i])
		}
	}
}

// varies reports whether quantized weights differ between the draws.
func (s *quantizerSession) varies(r *recorder, draws ...quantizer.Draw) bool {
	first := s.quantize(r, draws[0])
	for _, draw := range draws[1:] {
		for k, quantized := range s.quantize(r, draw) {
			if difference(quantized, first[k]) >= 0 {
				return true
			}
		}
	}
	return false
}

func (s *quantizerSession) stochastic(r *recorder) bool {
	return s.varies(r, quantizer.Draw{Seed: 1, Step: 0}, quantizer.Draw{Seed: 1, Step: 1}, quantizer.Draw{Seed: 1, Step: 2})
}
