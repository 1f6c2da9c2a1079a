// Package lstm is the model plugin of the paper: layers of long short-term
// memory, batch-normalised unless told otherwise, under a softmax.
//
//	layer:  a_t = BN(Wh·h_{t−1}; γh, β) + BN(Wx·x_t; γx, 0)
//	        (g,f,i,o) = (tanh, σ, σ, σ)(a_t)
//	        c_t = f∘c_{t−1} + i∘g
//	        h_t = o∘tanh(BN(c_t; γc, βc))
//	output: softmax(W·h_t + b)
//
// With hidden-bits=k, h_t is the nearest of 2^k evenly spaced levels from −1 to 1,
// min(1, max(−1, (2·⌊n·h/2⌋ + 1)/n)) of the h above with n = 2^k − 1, and so is h_0; its
// gradient goes straight through. c_t is not rounded.
//
// The equations and starting values are those of Ardakani et al., "Learning
// Recurrent Binary/Ternary Weights" (ICLR 2019). The other normalizations, and with
// normalize-cell=false batch and batch-shared, are those of Hou et al.,
// "Normalization Helps Training of Quantized LSTM" (NeurIPS 2019).
package lstm

import (
	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins"
	"bittern/plugins/model"
)

// New returns the plugin. Build makes its network; a second Build replaces it.
func New() model.Model {
	return stack.New(stack.Model{
		Name: "lstm", Version: "2.0.2", Kind: recurrent.LSTM,
		Summary: "LSTM with batch normalization at three places and learned start state (Ardakani et al., ICLR 2019)",
		Facts:   []plugins.Fact{{Name: "gates", Value: "g, f, i, o stacked in Wx and Wh"}},
	})
}
