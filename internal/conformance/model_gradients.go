package conformance

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// used returns the values that a model computes with: the quantized ones if the parameter is
// quantized.
func used(t model.Tensors) []float32 {
	if t.Quantized != nil {
		return t.Quantized
	}
	return t.Value
}

// names returns the names of the parameters, sorted.
func (s *modelSession) names() []string { return slices.Sorted(maps.Keys(s.build.Parameters)) }

// shake adds normal random numbers, whose standard deviation is size, to every element of every
// parameter, and others to every quantized element.
func (s *modelSession) shake(size float64) {
	random := randomness()
	for _, name := range s.names() {
		p := s.build.Parameters[name]
		for i := range p.Value {
			p.Value[i] += float32(size * random.NormFloat64())
		}
		for i := range p.Quantized {
			p.Quantized[i] += float32(size * random.NormFloat64())
		}
	}
}

// checkGradients compares the gradients of a step with differences of its loss, at a point where
// no parameter is 0. In each parameter it takes one direction: half of it is the gradient, along
// which the loss changes most, and half is random, to find what the gradient lacks. A parameter
// whose differences do not settle passes; that happens if a batch has statistics of few values.
// A network that rounds values is skipped, because its loss has steps, and its gradients go
// straight through the rounding.
func checkGradients(r *recorder, s *modelSession) {
	if s.rounds(r) {
		r.skip("the network rounds values, which gradients go straight through and differences of the loss do not")
	}
	shape := s.build.Shape
	shape.Sequences = 8
	s = s.fresh(r, shape)
	s.shake(0.1)
	buffers := s.buffers()
	loss := func() float64 {
		s.restore(buffers)
		return s.step(r).Loss
	}
	loss()
	gradients := s.copied(grad)
	random := randomness()
	settled := 0
	for _, name := range s.names() {
		along := direction(gradients[name], random)
		if along == nil {
			continue // the gradient is 0
		}
		got := 0.0
		for i, g := range gradients[name] {
			got += float64(g) * along[i]
		}
		want, ok := slope(used(s.build.Parameters[name]), along, got, loss)
		if !ok {
			continue
		}
		settled++
		if want != got {
			r.saw("the gradients of %s that Step writes come to a slope of %.4g along a direction near them", name, got).
				want("%.4g, as the loss of Step changes there", want)
		}
	}
	if settled == 0 {
		r.skip("the loss is not smooth, or no parameter matters to it: its differences settle along no gradient")
	}
}

// rounds reports whether the deployed network has an operation that rounds.
func (s *modelSession) rounds(r *recorder) bool {
	s = s.fresh(r, s.build.Shape)
	s.calibrate(r)
	exported, err := s.Export(r.ctx)
	if err != nil {
		return false // checkExport reports it
	}
	for _, stage := range exported.Stages {
		if slices.ContainsFunc(stage.Graph.Nodes, func(n stepgraph.Node) bool { return n.Op == stepgraph.Round }) {
			return true
		}
	}
	return false
}

// direction returns a unit vector: the gradient with each element scaled at random, plus a
// random vector. It is nil if the gradient is 0.
func direction(gradient []float32, random *rand.Rand) []float64 {
	square := 0.0
	for _, g := range gradient {
		square += float64(g) * float64(g)
	}
	if square == 0 {
		return nil
	}
	size := math.Sqrt(square / float64(len(gradient)))
	along := make([]float64, len(gradient))
	for i, g := range gradient {
		along[i] = float64(g)*(0.5+random.Float64()) + size*random.NormFloat64()
	}
	norm := rms(along) * math.Sqrt(float64(len(along)))
	for i := range along {
		along[i] /= norm
	}
	return along
}

// slope returns the slope of the loss along a direction, from differences over ever shorter
// steps. It returns the claimed slope if a difference is near it, and another one if the last
// differences agree on it. If they do not agree, ok is false.
// agree on that, and not ok where they do not.
func slope(values []float32, direction []float64, claimed float64, loss func() float64) (slope float64, ok bool) {
	const (
		near     = 0.05 // relative
		rounding = 1e-6 // of a difference of losses in float32, nats
	)
	start := slices.Clone(values)
	defer copy(values, start)
	agree := func(a, b, precision float64) bool {
		return math.Abs(a-b) <= near*max(math.Abs(a), math.Abs(b))+precision
	}
	last := math.NaN()
	for h := 0.02; h > 1e-4 && rounding/h < near*math.Abs(claimed); h /= 3 {
		difference := 0.0
		for _, sign := range []float64{1, -1} {
			for i := range values {
				values[i] = start[i] + float32(sign*h*direction[i])
			}
			difference += sign * loss()
		}
		slope = difference / (2 * h)
		if agree(slope, claimed, rounding/h) {
			return claimed, true
		}
		ok = agree(slope, last, rounding/h)
		last = slope
	}
	return slope, ok
}

// checkSeed checks that another seed gives other initial values.
func checkSeed(r *recorder, s *modelSession) {
	drawn := false
	for _, name := range s.names() {
		values := s.build.Parameters[name].Value
		drawn = drawn || slices.ContainsFunc(values, func(v float32) bool { return v != values[0] })
	}
	if !drawn {
		r.skip("every parameter starts with one value in all its elements")
	}
	other := buildModelWith(r, s.plugins, 1, s.options, s.build.Shape, firstSeed+1, model.Adam, model.Float32)
	for _, name := range s.names() {
		if difference(s.build.Parameters[name].Value, other.build.Parameters[name].Value) >= 0 {
			return
		}
	}
	r.saw("the parameters start with the same values for the seeds %d and %d", firstSeed, firstSeed+1).want("other ones, drawn by Build.Seed")
}

// fillGradients writes random gradients times a factor, in place of a quantizer's, and returns
// their norm.
func (s *modelSession) fillGradients(seed uint64, factor float64) float64 {
	random := rand.New(rand.NewPCG(seed, 29))
	square := 0.0
	for _, name := range s.names() {
		g := s.build.Parameters[name].Grad
		for i := range g {
			g[i] = float32(factor * (0.5 + random.Float64()) * math.Copysign(1, random.Float64()-0.5))
			square += float64(g[i]) * float64(g[i])
		}
	}
	return math.Sqrt(square)
}

// checkSGD checks that plain gradient descent moves each value by the learning rate times the
// gradient, downwards.
func checkSGD(r *recorder, s *modelSession) {
	const rate = 0.25
	sgd := buildModelWith(r, s.plugins, 1, s.options, s.build.Shape, firstSeed, model.SGD, model.Float32)
	before := sgd.copied(value)
	sgd.fillGradients(1, 1)
	gradients := sgd.copied(grad)
	sgd.update(r, model.Update{Number: 1, LearningRate: rate})
	for _, name := range sgd.names() {
		for i, got := range sgd.build.Parameters[name].Value {
			want := float64(before[name][i]) - rate*float64(gradients[name][i])
			if math.Abs(float64(got)-want) > 1e-5*(1+math.Abs(want)) {
				r.saw("with SGD and a learning rate of %g, element %d of %s goes from %v to %v on a gradient of %v", rate, i, name, before[name][i], got, gradients[name][i]).
					want("%.6g, the value less the learning rate times the gradient", want)
			}
		}
	}
}

// checkClipping checks that gradients whose norm is above ClipNorm are scaled down to it: an
// update with ClipNorm equals one without it on gradients that were scaled before.
func checkClipping(r *recorder, s *modelSession) {
	const share = 0.25
	for _, optimiser := range []model.Optimiser{model.Adam, model.SGD} {
		after := func(number int, factor float64, clip bool) *modelSession {
			session := buildModelWith(r, s.plugins, number, s.options, s.build.Shape, firstSeed, optimiser, model.Float32)
			for update := range uint64(2) {
				// The second update is not clipped. With Adam, one alone would not do: scaling
				// all gradients alike does not change the first update.
				request := model.Update{Number: update + 1, LearningRate: 0.01}
				if update == 1 {
					factor = share
				}
				norm := session.fillGradients(update, factor)
				if clip {
					request.ClipNorm = norm
					if update == 0 {
						request.ClipNorm = share * norm
					}
				}
				session.update(r, request)
			}
			return session
		}
		clipped, scaled := after(0, 1, true), after(1, share, false)
		for _, name := range clipped.names() {
			want := scaled.build.Parameters[name].Value
			for i, got := range clipped.build.Parameters[name].Value {
				if math.Abs(float64(got-want[i])) > 1e-5*(1+math.Abs(float64(want[i]))) {
					r.saw("with %s, after an update with ClipNorm a quarter of the gradients' norm and one more, element %d of %s = %v", optimiser, i, name, got).
						want("%v, as of gradients a quarter as large that are not clipped", want[i])
				}
			}
		}
	}
}

// checkMoments copies values and moments to another session, as a resumed run does. The next
// update must be the same in both: so the optimiser takes its count from Update.Number, and
// keeps everything else in the moments.
func checkMoments(r *recorder, s *modelSession) {
	for number := range uint64(3) {
		s.fillGradients(number, 1)
		s.update(r, model.Update{Number: number + 1, LearningRate: 0.01})
	}
	resumed := s.fresh(r, s.build.Shape)
	for _, name := range s.names() {
		from, to := s.build.Parameters[name], resumed.build.Parameters[name]
		copy(to.Value, from.Value)
		copy(to.Moment1, from.Moment1)
		copy(to.Moment2, from.Moment2)
	}
	for _, session := range []*modelSession{s, resumed} {
		session.fillGradients(9, 0.3)
		session.update(r, model.Update{Number: 4, LearningRate: 0.01})
	}
	sameTensors(r, "values after update 4 in a fresh session with the values and moments of update 3", resumed.copied(value), s.copied(value))
}

// checkEvaluateQuantized checks that an evaluation does not use latent weights.
func checkEvaluateQuantized(r *recorder, s *modelSession) {
	s.calibrate(r)
	for _, statistics := range []model.Statistics{model.Batch, model.Frozen} {
		buffers, latent := s.buffers(), s.copied(value)
		want := s.evaluate(r, model.Evaluate{Statistics: statistics})
		for _, p := range s.build.Parameters {
			if p.Quantized != nil {
				for i := range p.Value {
					p.Value[i] = 0.5 - p.Value[i]
				}
			}
		}
		s.restore(buffers)
		if got := s.evaluate(r, model.Evaluate{Statistics: statistics}); got != want {
			r.saw("with %s statistics, Evaluate with other latent weights and the same quantized ones = %+v", statistics, got).want("%+v as computed from the quantized ones", want)
		}
		for name, p := range s.build.Parameters {
			copy(p.Value, latent[name])
		}
		s.restore(buffers)
	}
}
