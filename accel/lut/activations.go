package lut

import (
	"fmt"
	"math"
	"unsafe"
)

// Precision says how a product treats the activations. Weights are exact in
// either.
type Precision int

const (
	// Int14 rounds activations to whole numbers of 14 bits, sign included, with
	// one scale per vector.
	Int14 Precision = iota
	// Exact takes activations as the float32 they are; sums are in float32.
	Exact
)

// Limit is the largest magnitude of a quantised activation.
const Limit = 8191

// MaxColumns is the longest vector that whole-number sums of two planes are
// sure not to overflow for: 2·8191·65536 < 2³¹.
const MaxColumns = 1 << 16

// Activations is a vector made ready for products, which all matrices with as
// many columns share. It is also the workspace of a product: one goroutine uses
// it at a time.
type Activations struct {
	kernels   *kernels
	precision Precision
	n         int

	x      []float32 // filled up with zeros to whole chunks
	ready  bool      // that all below are made from x
	q      []int16
	scale  float32 // of q: x ≈ scale·q
	sum    float32 // Σ scale·q
	tables []byte

	last [blockRows]float32 // sums of a block of fewer rows
	part []float32          // sums of a further plane
}

// NewActivations makes room for vectors of n elements, 1 ≤ n ≤ MaxColumns.
func NewActivations(n int, precision Precision) *Activations {
	return newActivations(active, n, precision)
}

func newActivations(k *kernels, n int, precision Precision) *Activations {
	if n < 1 || n > MaxColumns {
		panic(fmt.Sprintf("lut: activations of %d elements; there may be 1 to %d", n, MaxColumns))
	}
	a := &Activations{kernels: k, precision: precision, n: n}
	l := k.layout(precision)
	chunks := l.chunks(n)
	a.x = floats(aligned(4 * chunks * l.chunk))
	a.tables = aligned(chunks * l.tableBytes)
	if precision == Int14 {
		a.q = make([]int16, chunks*l.chunk)
	}
	return a
}

// Bytes is the memory of the activations: themselves and their tables.
func (a *Activations) Bytes() int { return 4*len(a.x) + 2*len(a.q) + len(a.tables) }

// layout is where a precision keeps bits.
func (k *kernels) layout(p Precision) layout {
	if p == Exact {
		return k.exact.layout
	}
	return k.integer.layout
}

// Set takes the vector x. Tables are made when a product first needs them.
//
// With Int14 a vector that holds a NaN or an infinity makes every product NaN.
func (a *Activations) Set(x []float32) {
	if len(x) != a.n {
		panic(fmt.Sprintf("lut: vector of %d elements for activations of %d", len(x), a.n))
	}
	copy(a.x, x)
	a.ready = false
}

// prepare makes the tables.
func (a *Activations) prepare() {
	if a.ready {
		return
	}
	a.ready = true
	if a.precision == Exact {
		a.kernels.exact.tables(a.tables, a.x)
		return
	}
	// Below the smallest normal number over Limit, 8191/max|x| is not finite or
	// the scale loses bits: such a vector is zero beside any other activation.
	const smallest = 0x1p-100
	const infinity = 0x7F800000
	inverse := float32(0)
	switch bits := a.kernels.largest(a.x); {
	case bits >= infinity:
		a.scale = float32(math.NaN())
	case math.Float32frombits(bits) < smallest:
		a.scale = 0
	default:
		a.scale = math.Float32frombits(bits) / Limit
		inverse = Limit / math.Float32frombits(bits)
	}
	if inverse == 0 {
		clear(a.q)
		a.sum = a.scale // 0 or NaN
	} else {
		a.sum = a.scale * float32(a.kernels.quantize(a.q, a.x, inverse))
	}
	a.kernels.integer.tables(a.tables, a.q)
}

// total is Σ x, as the precision has it.
func (a *Activations) total() float32 {
	if a.precision == Int14 {
		return a.sum
	}
	sum := 0.0
	for _, v := range a.x[:a.n] {
		sum += float64(v)
	}
	return float32(sum)
}

// floats is the float32 that lie in bytes.
func floats(bytes []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&bytes[0])), len(bytes)/4)
}

// integers is the int32 that lie in floats.
func integers(floats []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(&floats[0])), len(floats))
}
