// Package dorefa is the quantizer of the weights of "DoReFa-Net: Training Low Bitwidth
// Convolutional Neural Networks with Low Bitwidth Gradients" (Zhou, Wu, Ni, Zhou, Wen &
// Zou 2016, arXiv 1606.06160).
//
// Its section 2.3: with one bit a weight is sign(w)·E|w|, the mean size of its matrix,
// +E|w| for 0, and the gradient passes straight through. With k bits
//
//	M    = max|tanh(w)| over the matrix
//	u    = tanh(w)/(2M) + ½, between 0 and 1
//	q(w) = s·(2·round((2^k − 1)·u)/(2^k − 1) − 1)
//
// with halves rounded to even, that is one of the odd integers from −(2^k − 1) to
// 2^k − 1, over 2^k − 1. The gradient passes straight through the rounding, and on through
// the rest as calculus has it, M included:
//
//	∂C/∂wᵢ = ∂C/∂qᵢ·(1 − tanh²(wᵢ))/M − [i = m]·sign(wₘ)·(1 − tanh²(wₘ))/M² · Σⱼ ∂C/∂qⱼ·tanh(wⱼ)
//
// for the largest weight m, the first if there are several.
//
// The factor s is 1 in the paper, scale: one, which is the default: weights span [−1, 1]
// whatever the latent weights are. A recurrent layer of hundreds of units then saturates
// its gates from the start unless it normalises its products. For one that does not,
// scale: max takes s = M, a constant to the gradient, which becomes ∂C/∂q·(1 − tanh²(w)):
// weights then span as much as tanh(w) does, which for small weights is w. One bit has
// no s.
//
// Inputs of a product and gradients stay as they are, 32 bits in the paper's terms.
package dorefa

import (
	"math"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
	"bittern/quantizers/internal/random"
)

const (
	bits    = "bits"
	largest = "max"
)

// New returns the quantizer "dorefa".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "dorefa",
		Version: "1.0.0",
		Summary: "2^k levels of equal distance between −1 and 1 for tanh(w)/max|tanh(w)|; with one bit sign(w)·mean|w|",
		Options: []plugins.Option{
			{Name: bits, Type: plugins.Int, Default: "2", Min: 1, Max: 8, Doc: "width of a weight"},
			{
				Name: elementwise.Scale, Type: plugins.String, Default: elementwise.One, Choices: []string{elementwise.One, largest},
				Doc: "what the largest weight becomes, from 2 bits on, one: 1, as the paper has it, for networks that normalise; max: max|tanh(w)|",
			},
		},
		Traits: []string{quantizer.TraitBackward},
		Facts: []plugins.Fact{
			{Name: "bits per weight", Value: "the option bits"},
			{Name: "method", Value: "rounded tanh(w)/max|tanh(w)|; one bit: sign and mean size", Source: "Zhou et al., arXiv 1606.06160"},
		},
	}, func(options plugins.Values) elementwise.Rule {
		k := options.Int(bits)
		if k == 1 {
			return elementwise.Rule{Fit: elementwise.MeanSize, Kernel: elementwise.Sign, Levels: elementwise.Binary}
		}
		top := float32(int(1)<<k - 1)
		rule := elementwise.Rule{
			Kernel: func(dst, latent []float32, fit elementwise.Fit, _ random.Stream, _ int) bool {
				return round(dst, latent, fit, top)
			},
		}
		for level := -top; level <= top; level += 2 {
			rule.Levels = append(rule.Levels, level)
		}
		if options.Text(elementwise.Scale) == largest {
			rule.Fit = func(g elementwise.Group) elementwise.Fit {
				m := maxTanh(g)
				return elementwise.Fit{Scale: m / top, Bound: m}
			}
			rule.Backward = backwardOfConstant
		} else {
			rule.Fit = func(g elementwise.Group) elementwise.Fit {
				m := maxTanh(g)
				if m == 0 || math.IsNaN(float64(m)) {
					return elementwise.Fit{Scale: m}
				}
				return elementwise.Fit{Scale: 1 / top, Bound: m}
			}
			rule.Backward = backward
		}
		return rule
	})
}

// maxTanh is M; it is NaN where a latent weight is not finite.
func maxTanh(g elementwise.Group) float32 {
	size, _ := g.MaxSize()
	m := []float32{size + (size - size)}
	vecmath.Tanh(m, m)
	return m[0]
}

// round writes the scale times the odd integers nearest to top·tanh(w)/M, and says
// whether all latent weights are finite.
func round(dst, latent []float32, fit elementwise.Fit, top float32) bool {
	const nearest = 3 << 22 // 1.5·2²³: numbers of this size have no fraction, so adding it rounds
	dst, seen := dst[:len(latent)], float32(0)
	vecmath.Tanh(dst, latent)
	factor, half := top/(2*fit.Bound), top/2
	for i, tanh := range dst {
		seen += latent[i] - latent[i] // NaN for an infinity or a NaN
		// The conversions keep products and sums from being fused.
		step := min(max(float32(tanh*factor)+half, 0), top) // 0 … top
		dst[i] = (2*(float32(step+nearest)-nearest) - top) * fit.Scale
	}
	return seen == 0
}

// backward is the gradient where the scale is 1.
func backward(g elementwise.Group, fit elementwise.Fit) {
	_, at := g.MaxSize()
	inverse := 1 / float64(fit.Bound)
	sum := g.Sum(func(from, to int) float64 {
		sum := 0.0
		tanhs(g, from, to, func(grad, tanh []float32) { sum += vecmath.Dot(grad, tanh) })
		return sum
	})
	g.Grad[at] -= float32(math.Copysign(inverse, float64(g.Latent[at])) * sum)
	scaleByDerivative(g, inverse)
}

// backwardOfConstant is the gradient where the scale is M, which it takes as a constant.
func backwardOfConstant(g elementwise.Group, _ elementwise.Fit) { scaleByDerivative(g, 1) }

// scaleByDerivative multiplies the gradient by the derivative of tanh and a factor.
func scaleByDerivative(g elementwise.Group, factor float64) {
	g.Parts(func(from, to int) {
		tanhs(g, from, to, func(grad, tanh []float32) {
			for i, t := range tanh {
				grad[i] = float32(float64(grad[i]) * factor * (1 - float64(t)*float64(t)))
			}
		})
	})
}

// tanhs calls each with the gradient and tanh(w) of the elements from … to−1, part by part.
func tanhs(g elementwise.Group, from, to int, each func(grad, tanh []float32)) {
	var buffer [1 << 8]float32
	for ; from < to; from += len(buffer) {
		end := min(from+len(buffer), to)
		tanh := buffer[:end-from]
		vecmath.Tanh(tanh, g.Latent[from:end])
		each(g.Grad[from:end], tanh)
	}
}
