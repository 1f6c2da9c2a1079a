package backend

import (
	"bittern/plugins"
	"bittern/plugins/stepgraph"
)

// Validate returns a *plugins.Problem where the request does not fit the graph,
// which must be valid: too few or too many inputs, no room for the outputs, a
// token beyond the vocabulary, a feature that is no number.
func (e Execute) Validate(g stepgraph.Graph) error {
	if e.Sequences < 0 || e.Length < 0 {
		return plugins.Problemf("%d sequences of %d steps cannot be run: give numbers that are not negative", e.Sequences, e.Length)
	}
	steps := e.Sequences * e.Length
	inputs, what, width := len(e.Tokens), "tokens", 1
	if !g.Input.Token {
		inputs, what, width = len(e.Dense), "features", g.Input.Size
	}
	if inputs != steps*width {
		return plugins.Problemf("%d %s are given for %d sequences of %d steps, which take %d", inputs, what, e.Sequences, e.Length, steps*width)
	}
	if outputs := steps * g.Sizes()[g.Output]; len(e.Outputs) != outputs {
		return plugins.Problemf("there is room for %d outputs of %d sequences of %d steps, which give %d", len(e.Outputs), e.Sequences, e.Length, outputs)
	}
	if g.Input.Token {
		for i, token := range e.Tokens {
			if token < 0 || int(token) >= g.Input.Size {
				return plugins.Problemf("token %d at step %d of sequence %d is outside the vocabulary of %d", token, i%e.Length, i/e.Length, g.Input.Size)
			}
		}
		return nil
	}
	for i, x := range e.Dense {
		if x-x != 0 {
			step := i / width
			return plugins.Problemf("feature %d at step %d of sequence %d is %v", i%width, step%e.Length, step/e.Length, x)
		}
	}
	return nil
}
