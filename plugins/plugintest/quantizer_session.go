package plugintest

import (
	"math"
	"slices"
	"testing"

	"bittern/plugins"
	"bittern/plugins/internal/checked"
	"bittern/plugins/quantizer"
)

// quantizerSession is a quantizer that has been opened on weights of its own.
type quantizerSession struct {
	quantizer.Quantizer
	bare        quantizer.Quantizer // without the checks of package checked
	open        opener[quantizer.Quantizer]
	options     plugins.Values
	description plugins.Description
	weights     []quantizer.Weight
}

func openQuantizer(t *testing.T, open opener[quantizer.Quantizer], options plugins.Values, shapes []quantizer.Shape) *quantizerSession {
	t.Helper()
	ctx := t.Context()
	shared := newArena(t)
	q := open(t, shared)
	d, judge := describe(t, plugins.KindQuantizer, q)
	s := &quantizerSession{Quantizer: checked.Quantizer(q, judge), bare: q, open: open, options: options, description: d}
	states, err := s.Plan(ctx, options, shapes)
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	for _, shape := range shapes {
		w := quantizer.Weight{Shape: shape, State: map[string]quantizer.StateTensors{}}
		for _, tensor := range []*[]float32{&w.Latent, &w.Quantized, &w.Grad, &w.Moment2} {
			*tensor = allocate[float32](t, shared, shape.Rows, shape.Cols)
		}
		for _, state := range states {
			if state.Weight == shape.Name {
				tensors := quantizer.StateTensors{Value: allocate[float32](t, shared, state.Shape...)}
				if state.Trained {
					tensors.Grad = allocate[float32](t, shared, state.Shape...)
				}
				w.State[state.Name] = tensors
			}
		}
		fillWeight(w)
		s.weights = append(s.weights, w)
	}
	if err := s.Open(ctx, options, s.weights); err != nil {
		t.Fatalf("Open: %v", err)
	}
	if slices.Contains(d.Traits, quantizer.TraitInitialise) {
		if err := s.Initialise(ctx); err != nil {
			t.Fatalf("Initialise: %v", err)
		}
	}
	return s
}

// states copies what the quantizer learns: the values of every state, or their gradients.
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

// fillWeight gives a weight the values it might have in training: latents up to
// the Glorot bound √(6/(rows+cols)), zero among them where there are several. Equal
// shapes get equal values.
func fillWeight(w quantizer.Weight) {
	random := randomness()
	bound := math.Sqrt(6 / float64(w.Rows+w.Cols))
	for i := range w.Latent {
		w.Latent[i] = float32(bound * (2*random.Float64() - 1))
		w.Grad[i] = float32(0.1 * random.NormFloat64())
		w.Moment2[i] = w.Grad[i] * w.Grad[i]
	}
	if len(w.Latent) > 1 { // no quantizer need find a scale for a matrix of zeros
		w.Latent[len(w.Latent)/2] = 0
	}
}

func (s *quantizerSession) quantize(t *testing.T, draw quantizer.Draw) [][]float32 {
	t.Helper()
	for _, w := range s.weights {
		for i := range w.Quantized {
			w.Quantized[i] = float32(math.NaN()) // every element must be written
		}
	}
	if err := s.Quantize(t.Context(), draw); err != nil {
		t.Fatalf("Quantize(%+v): %v", draw, err)
	}
	var quantized [][]float32
	for _, w := range s.weights {
		quantized = append(quantized, slices.Clone(w.Quantized))
	}
	return quantized
}

func (s *quantizerSession) equal(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for k, w := range s.weights {
		if i := difference(got[k], want[k]); i >= 0 {
			t.Errorf("%s: element %d of %s = %v, want %v", what, i, w.Name, got[k][i], want[k][i])
		}
	}
}

// varies says whether the draws given differ in any weight.
func (s *quantizerSession) varies(t *testing.T, draws ...quantizer.Draw) bool {
	t.Helper()
	first := s.quantize(t, draws[0])
	for _, draw := range draws[1:] {
		for k, quantized := range s.quantize(t, draw) {
			if difference(quantized, first[k]) >= 0 {
				return true
			}
		}
	}
	return false
}

func (s *quantizerSession) stochastic(t *testing.T) bool {
	t.Helper()
	return s.varies(t, quantizer.Draw{Seed: 1, Step: 0}, quantizer.Draw{Seed: 1, Step: 1}, quantizer.Draw{Seed: 1, Step: 2})
}
