package plugintest

import (
	"errors"
	"math"
	"slices"
	"testing"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

func checkReplay(t *testing.T, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 7, Step: 11}
	first := s.quantize(t, draw)
	s.quantize(t, quantizer.Draw{Seed: 8, Step: 12})
	if _, err := s.Freeze(t.Context(), quantizer.Draw{Seed: 9}); err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	s.equal(t, "the same draw after other calls", s.quantize(t, draw), first)
	fresh := openQuantizer(t, s.open, s.options, quantizerShapes)
	s.equal(t, "the same draw in a fresh session", fresh.quantize(t, draw), first)
}

func checkDraws(t *testing.T, s *quantizerSession) {
	bySeed := s.varies(t, quantizer.Draw{Seed: 1}, quantizer.Draw{Seed: 2}, quantizer.Draw{Seed: 3})
	if byStep := s.stochastic(t); byStep != bySeed {
		t.Errorf("quantized weights differ between steps: %t, between seeds: %t; a stochastic quantizer must use both, another one neither", byStep, bySeed)
	}
}

// checkAlone sees that a weight's numbers depend on its name and not on what
// else is in the session.
func checkAlone(t *testing.T, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 3, Step: 5}
	all := s.quantize(t, draw)
	for k, shape := range quantizerShapes {
		alone := openQuantizer(t, s.open, s.options, []quantizer.Shape{shape})
		if got, want := alone.quantize(t, draw)[0], all[k]; difference(got, want) >= 0 {
			i := difference(got, want)
			t.Errorf("%s quantized alone: element %d = %v, want %v as among other weights", shape.Name, i, got[i], want[i])
		}
	}
	renamed := openQuantizer(t, s.open, s.options, []quantizer.Shape{{Name: "renamed", Rows: 17, Cols: 33}})
	if same := difference(renamed.quantize(t, draw)[0], all[2]) < 0; s.stochastic(t) && same {
		t.Errorf("two weights of different names draw the same random numbers, want them keyed by the name")
	}
}

func checkInputsStay(t *testing.T, s *quantizerSession) {
	type inputs struct{ latent, grad []float32 }
	var before []inputs
	for _, w := range s.weights {
		before = append(before, inputs{slices.Clone(w.Latent), slices.Clone(w.Grad)})
	}
	s.quantize(t, quantizer.Draw{Seed: 1, Step: 1})
	if _, err := s.Freeze(t.Context(), quantizer.Draw{Seed: 1, Step: 1}); err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	for k, w := range s.weights {
		if i := difference(w.Latent, before[k].latent); i >= 0 {
			t.Errorf("latent element %d of %s = %v after Quantize and Freeze, want %v as before", i, w.Name, w.Latent[i], before[k].latent[i])
		}
		if i := difference(w.Grad, before[k].grad); i >= 0 {
			t.Errorf("gradient element %d of %s = %v after Quantize and Freeze, want %v as before", i, w.Name, w.Grad[i], before[k].grad[i])
		}
	}
}

// checkFreeze sees that what is deployed is what was trained: every quantized
// value is a level of the codebook, and where there is no chance involved the
// frozen weights are the quantized ones. That codes fit their bits and codebooks
// their rows is checked on the way (package checked).
func checkFreeze(t *testing.T, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 5, Step: 9}
	stochastic := s.stochastic(t)
	quantized := s.quantize(t, draw)
	frozen, err := s.Freeze(t.Context(), draw)
	if err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	again, err := s.Freeze(t.Context(), draw)
	if err != nil {
		t.Fatalf("Freeze again: %v", err)
	}
	for k, w := range s.weights {
		deployed := decode(t, frozen[k], w)
		if i := difference(decode(t, again[k], w), deployed); i >= 0 {
			t.Errorf("element %d of %s differs between two Freezes of the same draw", i, w.Name)
		}
		checkLevels(t, w, frozen[k], quantized[k])
		for i := range deployed {
			if !stochastic && !near(deployed[i], quantized[k][i]) {
				t.Errorf("frozen element %d of %s = %v, want %v as quantized", i, w.Name, deployed[i], quantized[k][i])
				break
			}
		}
	}
}

func decode(t *testing.T, f quantizer.Frozen, w quantizer.Weight) []float32 {
	t.Helper()
	matrix, err := f.Pack(w.Rows, w.Cols)
	if err != nil {
		t.Fatalf("pack %s: %v", w.Name, err)
	}
	return matrix.Decode()
}

// checkLevels sees that every quantized value is one that the planes can give.
func checkLevels(t *testing.T, w quantizer.Weight, f quantizer.Frozen, quantized []float32) {
	t.Helper()
	if len(f.Planes) == 0 {
		return
	}
	var levels []float32
	for i, value := range quantized {
		if i%w.Cols == 0 {
			levels = deployable(f, i/w.Cols)
		}
		if !slices.ContainsFunc(levels, func(level float32) bool { return near(level, value) }) {
			t.Errorf("Quantize wrote %v at element %d of %s, which is none of the deployed levels %v", value, i, w.Name, levels)
			return
		}
	}
}

// deployable is every value that a weight of a row can have.
func deployable(f quantizer.Frozen, row int) []float32 {
	sums := []float32{0}
	for _, p := range f.Planes {
		scale := p.Scales[0]
		if len(p.Scales) > 1 {
			scale = p.Scales[row]
		}
		var next []float32
		for _, sum := range sums {
			for _, level := range p.Levels {
				next = append(next, sum+scale*level)
			}
		}
		sums = next
	}
	return sums
}

// near allows for a scale that is computed in another order.
func near(a, b float32) bool {
	return math.Abs(float64(a-b)) <= 1e-5*math.Max(math.Abs(float64(a)), math.Abs(float64(b)))
}

// checkInitialise sees that states start from the latent weights alone, which stay.
func checkInitialise(t *testing.T, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitInitialise) {
		t.Skipf("%s has no trait %q", s.description.Name, quantizer.TraitInitialise)
	}
	fresh := openQuantizer(t, s.open, s.options, quantizerShapes)
	sameTensors(t, "initialised in a fresh session", fresh.states(stateValue), s.states(stateValue))
	for _, w := range s.weights {
		untouched := quantizer.Weight{Shape: w.Shape, Latent: make([]float32, len(w.Latent)), Grad: make([]float32, len(w.Grad)), Moment2: make([]float32, len(w.Moment2))}
		fillWeight(untouched)
		if i := difference(w.Latent, untouched.Latent); i >= 0 {
			t.Errorf("latent element %d of %s = %v after Initialise, want %v as before", i, w.Name, w.Latent[i], untouched.Latent[i])
		}
	}
}

func checkBackward(t *testing.T, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitBackward) {
		t.Skipf("%s has no trait %q", s.description.Name, quantizer.TraitBackward)
	}
	draw := quantizer.Draw{Seed: 2, Step: 3}
	backward := func(s *quantizerSession) [][]float32 {
		s.quantize(t, draw)
		if err := s.Backward(t.Context(), quantizer.Backward{Draw: draw, LearningRate: 0.01, Update: 1}); err != nil {
			t.Fatalf("Backward: %v", err)
		}
		var grads [][]float32
		for _, w := range s.weights {
			grads = append(grads, slices.Clone(w.Grad))
		}
		return grads
	}
	first := backward(s)
	fresh := openQuantizer(t, s.open, s.options, quantizerShapes)
	s.equal(t, "gradients in a fresh session", backward(fresh), first)
	sameTensors(t, "gradients in a fresh session", fresh.states(stateGrad), s.states(stateGrad))
}

func checkProject(t *testing.T, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitProject) {
		t.Skipf("%s has no trait %q", s.description.Name, quantizer.TraitProject)
	}
	project := func() [][]float32 {
		if err := s.Project(t.Context()); err != nil {
			t.Fatalf("Project: %v", err)
		}
		var latents [][]float32
		for _, w := range s.weights {
			latents = append(latents, slices.Clone(w.Latent))
		}
		return latents
	}
	once := project()
	s.equal(t, "Latent projected twice", project(), once)
}

// checkNaN sees that a latent weight that is not a number does not turn into a
// sound one behind the user's back.
func checkNaN(t *testing.T, s *quantizerSession) {
	for _, latent := range []float64{math.NaN(), math.Inf(1)} {
		s.weights[2].Latent[100] = float32(latent)
		err := s.bare.Quantize(t.Context(), quantizer.Draw{})
		if _, ok := errors.AsType[*plugins.Problem](err); ok {
			t.Errorf("Quantize of a latent %v = the user's problem %q, want a fault", latent, err)
		}
		if v := float64(s.weights[2].Quantized[100]); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			t.Errorf("Quantize of a latent %v: no error and the quantized weight %v, want an error or NaN", latent, s.weights[2].Quantized[100])
		}
	}
}
