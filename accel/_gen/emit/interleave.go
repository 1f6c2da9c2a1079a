package emit

import (
	"iter"
	"slices"
)

// Interleaved writes body n times, for i from 0 to n−1: an operation of each in turn. A processor
// has room for a limited number of operations that wait for others. A long chain, of which each
// operation waits for the one before, fills it; chains that take turns wait less.
func Interleaved(n int, body func(i int)) {
	type chain struct {
		resume func() (struct{}, bool)
		pause  func(struct{}) bool
	}
	chains := make([]*chain, n)
	for i := range chains {
		c := &chain{}
		c.resume, _ = iter.Pull(func(pause func(struct{}) bool) {
			c.pause, pauseChain = pause, pause
			body(i)
		})
		chains[i] = c
	}
	for len(chains) > 0 {
		chains = slices.DeleteFunc(chains, func(c *chain) bool {
			pauseChain = c.pause
			_, goesOn := c.resume()
			return !goesOn
		})
	}
	pauseChain = nil
}

// pauseChain pauses the chain that is being written. It is nil outside of Interleaved.
var pauseChain func(struct{}) bool

// takeTurns lets the other chains go on before the next operation is written.
func takeTurns() {
	if pauseChain != nil {
		pauseChain(struct{}{})
	}
}
