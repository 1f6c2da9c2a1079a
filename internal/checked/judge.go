// Package checked wraps plugins so that a mistake is found where it is made:
// options are resolved against the plugin's description before the plugin sees
// them, and answers that cannot be used (NaN, a wrong shape) become errors.
package checked

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"bittern/internal/arena"
	"bittern/internal/wire"
	"bittern/plugins"
)

// Judge is what the wrappers of all kinds need to know.
type Judge struct {
	Owner   string           // the plugin, in a Problem about an option
	Options []plugins.Option // from its Description, like Traits
	Traits  []string
	// Nonsense makes the error of a call whose answer cannot be used.
	Nonsense func(call, detail string) error
}

func (j Judge) resolve(options plugins.Values) (plugins.Values, error) {
	return plugins.Resolve(j.Owner, j.Options, options)
}

// blame turns the error of a call into nonsense where it says that what the
// plugin left behind cannot be read.
func (j Judge) blame(call string, err error) error {
	if errors.Is(err, arena.ErrTruncated) || errors.Is(err, wire.ErrUnreadable) {
		return j.nonsense(call, "%s", err)
	}
	return err
}

func (j Judge) nonsense(call, format string, args ...any) error {
	return j.Nonsense(call, fmt.Sprintf(format, args...))
}

// mostElements bounds all the tensors that a plugin asks for: more than any
// machine's memory, and yet so little that their bytes, with a gradient and
// moments for each, can be counted.
const mostElements = math.MaxInt >> 16

// elements counts what a plugin asks for.
type elements int

// add counts a tensor, or refuses it where it is of no size or too large.
func (e *elements) add(shape []int) error {
	n := 1
	for _, size := range shape {
		if size < 1 {
			return fmt.Errorf("the shape %v has a size below 1", shape)
		}
		if size > mostElements/n {
			return fmt.Errorf("the shape %v has more than %d elements", shape, mostElements)
		}
		n *= size
	}
	if n > mostElements-int(*e) {
		return fmt.Errorf("the shape %v brings all that is asked for to more than %d elements", shape, mostElements)
	}
	*e += elements(n)
	return nil
}

// names finds names that are empty or given twice.
type names map[string]bool

func (n names) add(what, name string) error {
	if name == "" {
		return fmt.Errorf("a %s has no name", what)
	}
	if shown := plugins.Line(name); shown != name {
		return fmt.Errorf("the name of a %s is no short line of text: %s", what, shown)
	}
	if n[name] {
		return fmt.Errorf("the %s %q is listed twice", what, name)
	}
	n[name] = true
	return nil
}

// mostQuantity bounds losses, norms, energies and the like: beyond anything
// meant, and yet so little that sums and ratios of them stay finite.
const mostQuantity = 1e100

// bounded reports whether a quantity is a number that can be calculated with.
func bounded(x float64) bool { return math.Abs(x) <= mostQuantity } // false for NaN

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// notFinite returns the index of the first NaN or infinity, or −1. It runs over
// all weights at every training step, so it first looks whether there is any at
// all.
func notFinite(values []float32) int {
	if allFinite(values) {
		return -1
	}
	for i, v := range values {
		if !finite(float64(v)) {
			return i
		}
	}
	return -1
}

// allFinite looks for an exponent that is all ones: adding one to it carries into
// the sign bit. It takes two values at a time, which is twice as fast.
func allFinite(values []float32) bool {
	const (
		magnitude    = 1<<31 - 1
		exponentStep = 1 << 23
		twice        = 1<<32 + 1
	)
	carries := uint32(0)
	one := func(v float32) { carries |= math.Float32bits(v)&magnitude + exponentStep }
	if len(values) > 0 && uintptr(unsafe.Pointer(&values[0]))%8 != 0 {
		one(values[0])
		values = values[1:]
	}
	if len(values)%2 != 0 {
		one(values[len(values)-1])
		values = values[:len(values)-1]
	}
	if len(values) == 0 {
		return carries>>31 == 0
	}
	var sums [4]uint64
	pairs := unsafe.Slice((*uint64)(unsafe.Pointer(&values[0])), len(values)/2)
	for ; len(pairs) >= len(sums); pairs = pairs[len(sums):] {
		sums[0] |= pairs[0]&(magnitude*twice) + exponentStep*twice
		sums[1] |= pairs[1]&(magnitude*twice) + exponentStep*twice
		sums[2] |= pairs[2]&(magnitude*twice) + exponentStep*twice
		sums[3] |= pairs[3]&(magnitude*twice) + exponentStep*twice
	}
	for _, pair := range pairs {
		sums[0] |= pair&(magnitude*twice) + exponentStep*twice
	}
	all := sums[0] | sums[1] | sums[2] | sums[3]
	return (carries|uint32(all)|uint32(all>>32))>>31 == 0
}
