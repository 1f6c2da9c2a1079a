// Package checked wraps plugins so that mistakes are found where they are made. It resolves
// options against the plugin's description before the plugin sees them, and turns answers that
// cannot be used (NaN, a wrong shape) into errors.
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

// Judge is what the wrappers know of the plugin, and how they report its mistakes.
type Judge struct {
	Owner   string           // the plugin, as a Problem with an option names it
	Options []plugins.Option // of the plugin's Description, as are Traits
	Traits  []string
	// Nonsense makes the error of a call whose answer cannot be used.
	Nonsense func(call, detail string) error
}

func (j Judge) resolve(options plugins.Values) (plugins.Values, error) {
	return plugins.Resolve(j.Owner, j.Options, options)
}

// blame returns the error of a call. If it says that the tensors of the answer cannot be read,
// it is the plugin's mistake, and blame turns it into nonsense.
func (j Judge) blame(call string, err error) error {
	if errors.Is(err, arena.ErrTruncated) || errors.Is(err, wire.ErrUnreadable) {
		return j.nonsense(call, "%s", err)
	}
	return err
}

func (j Judge) nonsense(call, format string, args ...any) error {
	return j.Nonsense(call, fmt.Sprintf(format, args...))
}

// mostElements is how many elements all the tensors together may have that a plugin asks for.
// That is more than any machine's memory holds, and few enough that their bytes, with a gradient
// and moments for each, fit an int.
const mostElements = math.MaxInt >> 16

// elements counts the elements of the tensors that a plugin asks for.
type elements int

// add counts a tensor. A size below 1 is an error, and so is a sum that is too large.
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

// names is the set of names given so far.
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

// mostQuantity is the largest loss, norm, energy and the like. No real one comes near it, and
// sums and ratios of quantities below it stay finite.
const mostQuantity = 1e100

// bounded reports whether a quantity is a number of reasonable size.
func bounded(x float64) bool { return math.Abs(x) <= mostQuantity } // false for NaN

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// notFinite returns the index of the first NaN or infinity, or −1. It runs over all weights at
// every training step, so it first asks allFinite, which is faster.
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

// allFinite reports whether no value is NaN or infinite, which are the values whose exponent is
// all ones: adding one to such an exponent carries into the sign bit. It takes two values at a
// time, which is twice as fast.
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
