// Package gru is the model plugin of gated recurrent units (Cho et al., EMNLP 2014)
// under a softmax, batch-normalised unless told otherwise.
//
//	layer:  r, z = σ(N(Wh·h_{t−1}) + N(Wx·x_t) + β) of their rows
//	        n = tanh(N(Wx·x_t) + β + r∘N(Wh·h_{t−1})) of its rows, as PyTorch has it, or
//	            tanh(N(Wx·x_t) + β + N(Whn·(r∘h_{t−1}))) with reset=before
//	        h_t = (1−z)∘n + z∘h_{t−1}
//	output: softmax(W·h_t + b)
//
// With hidden-bits=k, h_t is the nearest of 2^k evenly spaced levels from −1 to 1,
// min(1, max(−1, (2·⌊n·h/2⌋ + 1)/n)) of the h above with n = 2^k − 1, and so is h_0; its
// gradient goes straight through. z∘h_{t−1} uses the rounded state too, so that a change of
// less than half the distance between two levels is lost.
//
// Ardakani et al. (ICLR 2019) give no equations for a GRU: the normalization of both
// products and its starting values are those of their LSTM.
package gru

import (
	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins"
	"bittern/plugins/model"
)

// New returns the plugin. Build makes its network; a second Build replaces it.
func New() model.Model {
	return stack.New(stack.Model{
		Name: "gru", Version: "2.0.1", Kind: recurrent.GRU,
		Summary: "GRU (Cho et al., EMNLP 2014) with normalized products and learned start state",
		Facts:   []plugins.Fact{{Name: "gates", Value: "r, z, n stacked in Wx and Wh; with reset=before n's rows of Wh are Whn"}},
	})
}
