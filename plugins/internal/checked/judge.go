// Package checked wraps plugins so that a mistake is found where it is made:
// options are resolved against the plugin's description before the plugin sees
// them, and answers that cannot be used (NaN, a wrong shape) become errors.
package checked

import (
	"fmt"
	"math"

	"bittern/plugins"
)

// Judge is what the wrappers of all kinds need to know.
type Judge struct {
	Owner   string           // the plugin, in a Problem about an option
	Options []plugins.Option // from its Description
	// Nonsense makes the error of a call whose answer cannot be used.
	Nonsense func(call, detail string) error
}

func (j Judge) resolve(options plugins.Values) (plugins.Values, error) {
	return plugins.Resolve(j.Owner, j.Options, options)
}

func (j Judge) nonsense(call, format string, args ...any) error {
	return j.Nonsense(call, fmt.Sprintf(format, args...))
}

// mostElements bounds a tensor that a plugin asks for: more than any machine's
// memory, and yet so little that the bytes of thousands can be summed.
const mostElements = math.MaxInt >> 16

// names finds names that are empty or given twice.
type names map[string]bool

func (n names) add(what, name string) error {
	if name == "" {
		return fmt.Errorf("a %s has no name", what)
	}
	if n[name] {
		return fmt.Errorf("the %s %q is listed twice", what, name)
	}
	n[name] = true
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// notFinite returns the index of the first NaN or infinity, or −1. It runs over
// all weights at every training step, so it first looks whether there is any at
// all: a float32 is not finite where its exponent is all ones, and adding one to
// the exponent then carries into the sign bit.
func notFinite(values []float32) int {
	const magnitude, exponentStep = 1<<31 - 1, 1 << 23
	var carries uint32
	for _, v := range values {
		carries |= math.Float32bits(v)&magnitude + exponentStep
	}
	if carries>>31 == 0 {
		return -1
	}
	for i, v := range values {
		if !finite(float64(v)) {
			return i
		}
	}
	return -1
}
