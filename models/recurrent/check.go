package recurrent

import (
	"fmt"
	"slices"
)

// mismatch returns an error that names both unless a slice of got elements has
// the shape.
func mismatch(operator, name string, got int, shape ...int) error {
	want := 1
	for _, n := range shape {
		want *= n
	}
	if got == want {
		return nil
	}
	// The clone is what the error keeps: shape itself stays on the caller's stack.
	return fmt.Errorf("%s: %s has %d elements, its shape %v wants %d", operator, name, got, slices.Clone(shape), want)
}

// checkTokens returns an error that names the first token outside of the vocabulary.
func checkTokens(operator string, tokens []int32, vocabulary int) error {
	for i, token := range tokens {
		if token < 0 || int(token) >= vocabulary {
			return fmt.Errorf("%s: token %d is %d, outside of a vocabulary of %d", operator, i, token, vocabulary)
		}
	}
	return nil
}
