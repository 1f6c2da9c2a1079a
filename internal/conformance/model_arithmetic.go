package conformance

import (
	"math"
	"slices"

	"bittern/plugins/model"
)

// Rounding an operand of a product to bfloat16 changes it by 2⁻⁹ at most. Steps and normalizations
// magnify that, and a batch of three sequences does so greatly. So gradients are compared as a whole:
// by their angle.
const (
	roundedLoss   = 0.1 // of the loss
	roundedCosine = 0.8 // of the angle
)

// checkBFloat16 checks that a model which can train with bfloat16 does so: nearly the loss and
// gradients of float32, but not the same, the same at every step, and no other score with float32.
// With bfloat16 it scores nearly as with float32, but not the same.
func checkBFloat16(r *recorder, s *modelSession) {
	if !slices.Contains(s.plugins.open(r, 0).description.Traits, model.TraitBFloat16) {
		r.skip("the model trains with float32 alone, for it has no trait " + model.TraitBFloat16)
	}
	exact := s.step(r)
	gradients := s.copied(grad)
	score := s.evaluate(r, model.Evaluate{Statistics: model.Batch})

	rounded := buildModelWith(r, s.plugins, 1, s.options, s.build.Shape, firstSeed, model.Adam, model.BFloat16)
	buffers := rounded.buffers()
	first := rounded.step(r)
	if !(math.Abs(first.Loss-exact.Loss) <= roundedLoss*exact.Loss) {
		r.saw("with bfloat16 the loss of a step = %v", first.Loss).want("about %v as with float32", exact.Loss)
	}
	var dot, norm, roundedNorm float64
	same := true
	roundedGradients := rounded.copied(grad)
	for name, values := range gradients {
		for i, v := range values {
			w := roundedGradients[name][i]
			dot, norm, roundedNorm = dot+float64(v)*float64(w), norm+float64(v)*float64(v), roundedNorm+float64(w)*float64(w)
			same = same && v == w
		}
	}
	if same && norm > 0 {
		r.saw("with bfloat16 every gradient is that of float32").want("products with rounded operands, or a description without the trait %s", model.TraitBFloat16)
	}
	if cosine := dot / math.Sqrt(norm*roundedNorm); norm > 0 && !(cosine >= roundedCosine) {
		r.saw("the cosine between the gradients with bfloat16 and those with float32 = %.3f", cosine).want("nearly 1")
	}
	if got := rounded.evaluate(r, model.Evaluate{Statistics: model.Batch}); got != score {
		r.saw("Evaluate with float32 after Step with bfloat16 = %+v", got).want("%+v as after Step with float32", score)
	}
	asTraining := model.Evaluate{Statistics: model.Batch, Arithmetic: model.BFloat16}
	near := rounded.evaluate(r, asTraining)
	if near.Count != score.Count || !(math.Abs(near.LossSum-score.LossSum) <= roundedLoss*score.LossSum) {
		r.saw("Evaluate with bfloat16 = %+v", near).want("about %+v as with float32", score)
	}
	if near.LossSum == score.LossSum && norm > 0 {
		r.saw("Evaluate with bfloat16 = %+v, as with float32", near).want("products with rounded operands")
	}
	if again := rounded.evaluate(r, asTraining); again != near {
		r.saw("Evaluate again with bfloat16 = %+v", again).want("%+v", near)
	}
	rounded.restore(buffers)
	if again := rounded.step(r); again != first {
		r.saw("the same step again with bfloat16 = %+v", again).want("%+v", first)
	}
	sameTensors(r, "gradients of the same step with bfloat16", rounded.copied(grad), roundedGradients)
}
