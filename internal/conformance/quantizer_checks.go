package conformance

import (
	"errors"
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

func checkReplay(r *recorder, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 7, Step: 11}
	first := s.quantize(r, draw)
	s.quantize(r, quantizer.Draw{Seed: 8, Step: 12})
	if _, err := s.Freeze(r.ctx, quantizer.Draw{Seed: 9}); err != nil {
		r.must("Freeze", err)
	}
	s.equal(r, "the same draw after other calls", s.quantize(r, draw), first)
	fresh := s.fresh(r, quantizerShapes...)
	s.equal(r, "the same draw in a fresh session", fresh.quantize(r, draw), first)
}

func checkDraws(r *recorder, s *quantizerSession) {
	bySeed := s.varies(r, quantizer.Draw{Seed: 1}, quantizer.Draw{Seed: 2}, quantizer.Draw{Seed: 3})
	if byStep := s.stochastic(r); byStep != bySeed {
		r.saw("quantized weights differ between steps: %t, between seeds: %t", byStep, bySeed).want("both of a stochastic quantizer, neither of another one")
	}
}

// checkAlone checks that the results for a weight depend on its name and not on the other
// weights of the session.
func checkAlone(r *recorder, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 3, Step: 5}
	all := s.quantize(r, draw)
	for k, shape := range quantizerShapes {
		alone := s.fresh(r, shape)
		if got, want := alone.quantize(r, draw)[0], all[k]; difference(got, want) >= 0 {
			i := difference(got, want)
			r.saw("%s quantized alone: element %d = %v", shape.Name, i, got[i]).want("%v as among other weights", want[i])
		}
	}
	renamed := s.fresh(r, quantizer.Shape{Name: "renamed", Rows: 17, Cols: 33})
	if same := difference(renamed.quantize(r, draw)[0], all[2]) < 0; s.stochastic(r) && same {
		r.saw("two weights of different names draw the same random numbers").want("them keyed by the name")
	}
}

func checkInputsStay(r *recorder, s *quantizerSession) {
	type inputs struct{ latent, grad []float32 }
	var before []inputs
	for _, w := range s.weights {
		before = append(before, inputs{slices.Clone(w.Latent), slices.Clone(w.Grad)})
	}
	s.quantize(r, quantizer.Draw{Seed: 1, Step: 1})
	if _, err := s.Freeze(r.ctx, quantizer.Draw{Seed: 1, Step: 1}); err != nil {
		r.must("Freeze", err)
	}
	for k, w := range s.weights {
		if i := difference(w.Latent, before[k].latent); i >= 0 {
			r.saw("latent element %d of %s = %v after Quantize and Freeze", i, w.Name, w.Latent[i]).want("%v as before", before[k].latent[i])
		}
		if i := difference(w.Grad, before[k].grad); i >= 0 {
			r.saw("gradient element %d of %s = %v after Quantize and Freeze", i, w.Name, w.Grad[i]).want("%v as before", before[k].grad[i])
		}
	}
}

// checkFreeze checks that what is deployed is what was trained. Every quantized value must be a
// level of the codebook. Without randomness, the frozen weights must equal the quantized ones.
// Package checked has checked that codes fit their bits and that there are as many scales as
// rows or one.
func checkFreeze(r *recorder, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 5, Step: 9}
	stochastic := s.stochastic(r)
	quantized := s.quantize(r, draw)
	frozen, err := s.Freeze(r.ctx, draw)
	r.must("Freeze", err)
	again, err := s.Freeze(r.ctx, draw)
	r.must("Freeze again", err)
	for k, w := range s.weights {
		deployed := decode(r, frozen[k], w)
		if i := difference(decode(r, again[k], w), deployed); i >= 0 {
			r.saw("element %d of %s differs between two Freezes of the same draw", i, w.Name).want("equal draws to give equal weights")
		}
		checkLevels(r, w, frozen[k], quantized[k])
		for i := range deployed {
			if !stochastic && !near(deployed[i], quantized[k][i]) {
				r.saw("frozen element %d of %s = %v", i, w.Name, deployed[i]).want("%v as quantized", quantized[k][i])
			}
		}
	}
}

func decode(r *recorder, f quantizer.Frozen, w quantizer.Weight) []float32 {
	matrix, err := f.Pack(w.Rows, w.Cols)
	r.must("pack "+w.Name, err)
	return matrix.Decode()
}

// checkLevels checks that the planes can represent every quantized value.
func checkLevels(r *recorder, w quantizer.Weight, f quantizer.Frozen, quantized []float32) {
	if len(f.Planes) == 0 {
		return
	}
	var levels []float32
	for i, value := range quantized {
		if i%w.Cols == 0 {
			levels = deployable(f, i/w.Cols)
		}
		if !slices.ContainsFunc(levels, func(level float32) bool { return near(level, value) }) {
			r.saw("Quantize wrote %v at element %d of %s, which is none of the deployed levels", value, i, w.Name).want("one of %v", levels)
		}
	}
}

// deployable returns every value that a weight of a row can have.
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

// near compares values but for rounding, since a scale may be computed in another order.
func near(a, b float32) bool {
	return math.Abs(float64(a-b)) <= 1e-5*math.Max(math.Abs(float64(a)), math.Abs(float64(b)))
}

// checkInitialise checks that states start from the latent weights alone, and that these do not
// change.
func checkInitialise(r *recorder, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitInitialise) {
		r.skip("%s has no trait %q", s.description.Name, quantizer.TraitInitialise)
	}
	fresh := s.fresh(r, quantizerShapes...)
	sameTensors(r, "initialised in a fresh session", fresh.states(stateValue), s.states(stateValue))
	for _, w := range s.weights {
		untouched := quantizer.Weight{Shape: w.Shape, Latent: make([]float32, len(w.Latent)), Grad: make([]float32, len(w.Grad)), Moment2: make([]float32, len(w.Moment2))}
		fillWeight(untouched)
		if i := difference(w.Latent, untouched.Latent); i >= 0 {
			r.saw("latent element %d of %s = %v after Initialise", i, w.Name, w.Latent[i]).want("%v as before", untouched.Latent[i])
		}
	}
}

func checkBackward(r *recorder, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitBackward) {
		r.skip("%s has no trait %q", s.description.Name, quantizer.TraitBackward)
	}
	draw := quantizer.Draw{Seed: 2, Step: 3}
	backward := func(s *quantizerSession) [][]float32 {
		s.quantize(r, draw)
		r.must("Backward", s.Backward(r.ctx, quantizer.Backward{Draw: draw, LearningRate: 0.01, Update: 1}))
		var grads [][]float32
		for _, w := range s.weights {
			grads = append(grads, slices.Clone(w.Grad))
		}
		return grads
	}
	first := backward(s)
	fresh := s.fresh(r, quantizerShapes...)
	s.equal(r, "gradients in a fresh session", backward(fresh), first)
	sameTensors(r, "gradients in a fresh session", fresh.states(stateGrad), s.states(stateGrad))
}

func checkProject(r *recorder, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitProject) {
		r.skip("%s has no trait %q", s.description.Name, quantizer.TraitProject)
	}
	project := func() [][]float32 {
		r.must("Project", s.Project(r.ctx))
		var latents [][]float32
		for _, w := range s.weights {
			latents = append(latents, slices.Clone(w.Latent))
		}
		return latents
	}
	once := project()
	s.equal(r, "Latent projected twice", project(), once)
}

// checkNaN checks that a NaN among the latent weights does not become a number unnoticed.
func checkNaN(r *recorder, s *quantizerSession) {
	for _, latent := range []float64{math.NaN(), math.Inf(1)} {
		s.weights[2].Latent[100] = float32(latent)
		err := s.bare.Quantize(r.ctx, quantizer.Draw{})
		if _, ok := errors.AsType[*plugins.Problem](err); ok {
			r.saw("Quantize of a latent %v = the user's problem %q", latent, err).want("a fault")
		}
		if v := float64(s.weights[2].Quantized[100]); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			r.saw("Quantize of a latent %v: no error and the quantized weight %v", latent, s.weights[2].Quantized[100]).want("an error or NaN")
		}
	}
}
