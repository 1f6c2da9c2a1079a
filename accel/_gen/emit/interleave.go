package emit

import (
	"iter"
	"slices"
)

// Interleaved writes body n times, for i from 0 to n−1: an operation of each in turn. A processor
// has room for a limited number of operations that wait for others. A long chain, of which each
// operation waits for the one before, fills it; chains that take turns wait less.
func Interleaved(n int, body func(i int)) {
	chains := make([]func() (struct{}, bool), n)
	for i := range chains {
		// Each chain is resumed until it ends, so that none need be stopped.
		chains[i], _ = iter.Pull(func(yield func(struct{}) bool) {
			var pause func()
			pause = func() {
				yield(struct{}{})
				takeTurns = pause
			}
			takeTurns = pause
			body(i)
		})
	}
	for len(chains) > 0 {
		chains = slices.DeleteFunc(chains, func(resume func() (struct{}, bool)) bool {
			_, goesOn := resume()
			return !goesOn
		})
	}
	takeTurns = alone
}

// takeTurns lets the other chains of Interleaved go on before the next operation is written.
var takeTurns = alone

func alone() {}
