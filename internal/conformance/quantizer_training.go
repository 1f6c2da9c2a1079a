package conformance

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"bittern/plugins/quantizer"
)

// train does one training step as the harness does, with the gradients of a random loss. The
// optimiser is plain gradient descent.
func (s *quantizerSession) train(r *recorder, step uint64) {
	const rate = 1e-3
	draw := quantizer.Draw{Seed: 4, Step: step}
	random := rand.New(rand.NewPCG(step, 19))
	s.quantize(r, draw)
	for _, w := range s.weights {
		for i := range w.Grad {
			w.Grad[i] = float32(0.1 * random.NormFloat64())
		}
	}
	if s.has(quantizer.TraitBackward) {
		r.must("Backward", s.Backward(r.ctx, quantizer.Backward{Draw: draw, LearningRate: rate, Update: step + 1}))
	}
	for _, w := range s.weights {
		for i, g := range w.Grad {
			w.Latent[i] -= rate * g
			w.Moment2[i] = 0.9*w.Moment2[i] + 0.1*g*g
		}
		for _, state := range w.State {
			for i, g := range state.Grad {
				state.Value[i] -= rate * g
			}
		}
	}
	if s.has(quantizer.TraitProject) {
		r.must("Project", s.Project(r.ctx))
	}
}

func (s *quantizerSession) has(trait string) bool {
	return slices.Contains(s.description.Traits, trait)
}

// checkResumed trains for some steps, copies latent weights, second moments and states to a
// session of another plugin, as a resumed run does, and trains both further. Anything that a
// quantizer keeps elsewhere is missing in the other session, which then differs.
func checkResumed(r *recorder, s *quantizerSession) {
	const before, after = 3, 3
	for step := range uint64(before) {
		s.train(r, step)
	}
	resumed := planQuantizer(r, s.plugins, 1, s.options, quantizerShapes) // a resumed run does not call Initialise
	for k, w := range s.weights {
		to := resumed.weights[k]
		copy(to.Latent, w.Latent)
		copy(to.Moment2, w.Moment2)
		for name, state := range w.State {
			copy(to.State[name].Value, state.Value)
		}
	}
	for step := uint64(before); step < before+after; step++ {
		s.train(r, step)
		resumed.train(r, step)
		for k, w := range s.weights {
			got, want := quantizerTensors(resumed.weights[k]), quantizerTensors(w)
			for _, what := range slices.Sorted(maps.Keys(want)) {
				if i := difference(got[what], want[what]); i >= 0 {
					r.saw("%d steps after training went on in a fresh session with the same latent weights and states, element %d of %s of %s = %v", step-before+1, i, what, w.Name, got[what][i]).
						want("%v as in the session before: a quantizer keeps nothing between steps but in State", want[what][i])
				}
			}
		}
	}
	draw := quantizer.Draw{Seed: 4, Step: before + after}
	want, err := s.Freeze(r.ctx, draw)
	r.must("Freeze", err)
	got, err := resumed.Freeze(r.ctx, draw)
	r.must("Freeze", err)
	for k, w := range s.weights {
		got, want := decode(r, got[k], w), decode(r, want[k], w)
		if i := difference(got, want); i >= 0 {
			r.saw("after training went on in a fresh session with the same latent weights and states, frozen element %d of %s = %v", i, w.Name, got[i]).
				want("%v as in the session before: a quantizer keeps nothing between steps but in State", want[i])
		}
	}
}

// checkTraits makes the calls whose traits the description does not have, and checks that they
// change nothing, since the harness never makes them. A quantizer may answer them with an error
// or a panic.
func checkTraits(r *recorder, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 2, Step: 3}
	for _, c := range []struct {
		trait, call string
		run         func() error
	}{
		{quantizer.TraitBackward, "Backward", func() error {
			return s.bare.Backward(r.ctx, quantizer.Backward{Draw: draw, LearningRate: 0.01, Update: 1})
		}},
		{quantizer.TraitProject, "Project", func() error { return s.bare.Project(r.ctx) }},
		{quantizer.TraitInitialise, "Initialise", func() error { return s.bare.Initialise(r.ctx) }},
	} {
		if s.has(c.trait) {
			continue
		}
		s.quantize(r, draw)
		var before []map[string][]float32
		for _, w := range s.weights {
			copies := map[string][]float32{}
			for what, values := range quantizerTensors(w) {
				copies[what] = slices.Clone(values)
			}
			before = append(before, copies)
		}
		if !answered(c.run) {
			continue
		}
		for k, w := range s.weights {
			now := quantizerTensors(w)
			for _, what := range slices.Sorted(maps.Keys(now)) {
				if i := difference(now[what], before[k][what]); i >= 0 {
					r.saw("%s turns element %d of %s of %s from %v into %v, but the description has no trait %q, so it is never called", c.call, i, what, w.Name, before[k][what][i], now[what][i], c.trait).
						want("the trait, or a %s that does nothing", c.call)
				}
			}
		}
	}
}

// answered reports whether a call returned without an error or a panic.
func answered(call func() error) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	return call() == nil
}

// quantizerTensors returns the tensors of a weight by their names.
func quantizerTensors(w quantizer.Weight) map[string][]float32 {
	all := map[string][]float32{"the latent weights": w.Latent, "the quantized weights": w.Quantized, "the gradient": w.Grad}
	for name, state := range w.State {
		all[fmt.Sprintf("the state %q", name)] = state.Value
	}
	return all
}

// checkDirection compares gradients before and after Backward, for several random ones. A rule
// may scale gradients, drop some, or add the gradient of a scale of the matrix. But over a whole
// matrix the result must not point against the gradient that came in, and must depend on it
// linearly. If all gradients of all matrices are multiplied by the same number, that is the
// straight-through gradient with a mistake.
func checkDirection(r *recorder, s *quantizerSession) {
	if !s.has(quantizer.TraitBackward) {
		r.skip("%s has no trait %q: its gradient goes straight through", s.description.Name, quantizer.TraitBackward)
	}
	const tries = 4
	var factors []float64
	same := true
	for try := range uint64(tries) {
		gradients := func(scale float32) (in, out [][]float32) {
			random := rand.New(rand.NewPCG(try, 23))
			draw := quantizer.Draw{Seed: 2, Step: try}
			s.quantize(r, draw)
			for _, w := range s.weights {
				for i := range w.Grad {
					w.Grad[i] = scale * float32(0.1*random.NormFloat64())
				}
				in = append(in, slices.Clone(w.Grad))
			}
			r.must("Backward", s.Backward(r.ctx, quantizer.Backward{Draw: draw, LearningRate: 0.01, Update: 1}))
			for _, w := range s.weights {
				out = append(out, slices.Clone(w.Grad))
			}
			return in, out
		}
		in, out := gradients(1)
		_, twice := gradients(2)
		for k, w := range s.weights {
			along, square, largest := 0.0, 0.0, 0.0
			for i, g := range in[k] {
				along += float64(g) * float64(out[k][i])
				square += float64(g) * float64(g)
				largest = max(largest, math.Abs(float64(out[k][i])))
			}
			if along < -1e-6*square {
				r.saw("Backward turns the gradients of %s around: along those that came in they are %.3g of them", w.Name, along/square).
					want("latent weights to follow the quantized ones, a share of 0 or more")
			}
			for i := range twice[k] {
				if math.Abs(float64(twice[k][i])-2*float64(out[k][i])) > 1e-4*largest+1e-9 {
					r.saw("Backward of gradients of %s twice as large: element %d = %v", w.Name, i, twice[k][i]).want("%v, twice what it was", 2*out[k][i])
				}
			}
			for i, g := range in[k] {
				if g != 0 {
					factors = append(factors, float64(out[k][i])/float64(g))
				}
			}
		}
	}
	for _, f := range factors {
		same = same && math.Abs(f-factors[0]) <= 1e-5*math.Abs(factors[0])
	}
	if same && math.Abs(factors[0]-1) > 1e-5 {
		r.saw("Backward multiplies the gradients of every element of every weight by %.4g", factors[0]).
			want("them as they are, or scaled by what the rule makes of each weight")
	}
}
