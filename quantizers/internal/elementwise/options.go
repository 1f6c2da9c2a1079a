package elementwise

import "bittern/plugins"

// Sampling is the option that chooses between random and deterministic weights.
const (
	Sampling      = "sampling"
	Stochastic    = "stochastic"
	Deterministic = "deterministic"
)

// SamplingOption is the option [Sampling] with the given default.
func SamplingOption(standard, doc string) plugins.Option {
	return plugins.Option{
		Name: Sampling, Type: plugins.String, Default: standard,
		Choices: []string{Stochastic, Deterministic}, Doc: doc,
	}
}

// Scale is the option that chooses the scale: one for the matrix or one for each row, if it is
// derived from the latent weights; otherwise one of the fixed scales.
const (
	Scale = "scale"

	PerMatrix = "matrix"
	PerRow    = "row"

	Glorot = "glorot"
	One    = "one"
)

// GroupOption is the option [Scale] between [PerMatrix] and [PerRow].
func GroupOption(standard, doc string) plugins.Option {
	return plugins.Option{Name: Scale, Type: plugins.String, Default: standard, Choices: []string{PerMatrix, PerRow}, Doc: doc}
}

// Clip is the option of whether latent weights are clipped after each update.
const Clip = "clip"

// ConnectOptions are the options of binaryconnect and ternaryconnect: a fixed scale, and
// clipping to it.
func ConnectOptions() []plugins.Option {
	return []plugins.Option{
		{
			Name: Scale, Type: plugins.String, Default: Glorot, Choices: []string{Glorot, One},
			Doc: "the scale α, glorot: ½·sqrt(6/(rows + cols)); one: 1, for networks that normalise, as Hou et al. 2019 train them",
		},
		{Name: Clip, Type: plugins.Bool, Default: "true", Doc: "clip latent weights to [−α, α] after each update; Hou et al. 2019 do not"},
	}
}

// Connect returns, for given [ConnectOptions], the fixed scale and the bound that latent
// weights are clipped to, which is nil if they are not clipped.
func Connect(options plugins.Values) (scale, clip func(rows, cols int) float32) {
	scale = Alpha
	if options.Text(Scale) == One {
		scale = Unit
	}
	if options.Bool(Clip) {
		clip = scale
	}
	return scale, clip
}
