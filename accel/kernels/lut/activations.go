package lut

import (
	"fmt"
	"math"
	"unsafe"
)

// Precision says how a product treats the activations. Weights are exact in all
// of them.
type Precision int

const (
	// Int14 rounds activations to whole numbers of 14 bits, sign included, with
	// one scale per vector.
	Int14 Precision = iota
	// Int8 rounds them to 13 bits, and then their partial sums to 8 with one scale
	// per vector: two thirds of the work of Int14, and as precise as activations of
	// 7 to 8 bits.
	Int8
	// Exact takes activations as the float32 they are; sums are in float32. It shows what the
	// others cost in accuracy, and is a hundred times as slow.
	Exact
)

// Limit is the largest magnitude of a quantised activation. Up to five of Int8
// sum up in 16 bits.
func (p Precision) Limit() int {
	if p == Int8 {
		return 4095
	}
	return 8191
}

// SumLimit is the largest magnitude of a partial sum that Int8 has rounded.
const SumLimit = 127

// MaxColumns is the length up to which whole-number sums of two planes cannot overflow:
// 2·8191·65536 < 2³¹.
const MaxColumns = 1 << 16

// Activations is a vector made ready for products with one or more matrices. It
// is also the workspace of a [Product]: one goroutine uses it at a time.
type Activations struct {
	kernels   *kernels
	precision Precision
	n         int

	x        []float32 // filled up with zeros to whole chunks
	q        []int16   // of whole numbers: x ≈ scale·q
	rounded  bool      // q, scale and sum have been computed from x
	scale    float32
	sum      float32 // Σ scale·q
	tables   [2]table
	backward bool // whether the next product reads its codes from last to first; see run

	last [blockRows]float32 // sums of a block of fewer rows
	part []float32          // sums of a further plane
	unit float32            // what a sum of 1 stands for in the product that is running
}

// table is the partial sums that one plane looks up, or two planes together.
type table struct {
	bytes []byte // nil where no matrix needs it
	ready bool   // it has been computed from the activations
	unit  float32
}

// NewActivations makes room for a vector that the given matrices multiply. There must be
// at least one, and all must have the same number of columns and the same precision.
func NewActivations(matrices ...*Matrix) *Activations {
	first := matrices[0]
	a := &Activations{kernels: first.kernels, precision: first.precision, n: first.columns}
	longest, rows := a.n, 0
	for _, m := range matrices {
		if m.columns != a.n {
			panic(fmt.Sprintf("lut: activations for matrices of %d and of %d columns", a.n, m.columns))
		}
		m.checkActivations(a)
		for i, s := range m.sums {
			if i > 0 {
				rows = max(rows, m.rows)
			}
			if s.coded != nil {
				longest = max(longest, s.coded.chunks(a.n)*s.coded.chunk)
				continue
			}
			l := m.layout(s.planes)
			chunks := l.chunks(a.n)
			longest = max(longest, chunks*l.chunk)
			a.tables[a.kind(s.planes)].bytes = aligned(chunks * l.tableBytes)
		}
	}
	const vector = 16 // that activations are rounded in
	longest = (longest + vector - 1) / vector * vector
	a.x = floats(aligned(4 * longest))
	a.part = make([]float32, rows)
	if a.precision != Exact {
		a.q = make([]int16, longest)
	}
	return a
}

// kind returns the index of the table for sums over the given number of planes. Only Int8,
// which rounds partial sums, needs another table for two planes than for one.
func (a *Activations) kind(planes int) int {
	if a.precision == Int8 {
		return planes - 1
	}
	return 0
}

// Bytes is the memory of the activations, of their tables and of the sums of further
// planes.
func (a *Activations) Bytes() int {
	return 4*len(a.x) + 2*len(a.q) + len(a.tables[0].bytes) + len(a.tables[1].bytes) + 4*len(a.part)
}

// Set copies the vector x. Tables are computed when a product first needs them.
//
// With Int14 and Int8, a vector that holds a NaN or an infinity makes every product with
// looked-up weights NaN.
func (a *Activations) Set(x []float32) {
	if len(x) != a.n {
		panic(fmt.Sprintf("lut: vector of %d elements for activations of %d", len(x), a.n))
	}
	copy(a.x, x)
	a.rounded, a.tables[0].ready, a.tables[1].ready = false, false, false
	a.backward = !a.backward
}

// table returns the tables for sums over the given number of planes.
func (a *Activations) table(planes int) *table {
	t := &a.tables[a.kind(planes)]
	if t.ready {
		return t
	}
	if t.bytes == nil {
		panic("lut: activations are made for products with other matrices")
	}
	t.ready = true
	if a.precision == Exact {
		l := exact[planes-1].layout
		exactTables(t.bytes, a.x[:l.chunks(a.n)*l.chunk])
		t.unit = 1
		return t
	}
	a.round()
	t.unit = a.scale
	if a.precision == Int14 {
		l := a.kernels.int14[planes-1].layout
		a.kernels.int14Tables(t.bytes, a.q[:l.chunks(a.n)*l.chunk])
		return t
	}
	l := a.kernels.int8[planes-1].layout
	q := a.q[:l.chunks(a.n)*l.chunk]
	multiplier := int32(0)
	if largest := a.kernels.int8Largest[planes-1](q); largest > 0 {
		multiplier = SumLimit << 15 / largest
		t.unit = a.scale * (1 << 15 / float32(multiplier))
	}
	a.kernels.int8Tables[planes-1](t.bytes, q, int16(multiplier))
	return t
}

// round computes q, scale and sum from x.
func (a *Activations) round() {
	if a.rounded {
		return
	}
	a.rounded = true
	// Below the smallest normal number over the limit, limit/max|x| is not finite or
	// the scale loses bits: such a vector is zero beside any other activation.
	const smallest = 0x1p-100
	const infinity = 0x7F800000
	limit := float32(a.precision.Limit())
	inverse := float32(0)
	switch bits := a.kernels.largest(a.x); {
	case bits >= infinity:
		a.scale = float32(math.NaN())
	case math.Float32frombits(bits) < smallest:
		a.scale = 0
	default:
		a.scale = math.Float32frombits(bits) / limit
		inverse = limit / math.Float32frombits(bits)
	}
	if inverse == 0 {
		clear(a.q)
		a.sum = a.scale // 0 or NaN
	} else {
		a.sum = a.scale * float32(a.kernels.quantize(a.q, a.x, inverse))
	}
}

// total returns Σ x in the precision's arithmetic.
func (a *Activations) total() float32 {
	if a.precision != Exact {
		a.round()
		return a.sum
	}
	sum := 0.0
	for _, v := range a.x[:a.n] {
		sum += float64(v)
	}
	return float32(sum)
}

// floats views bytes as float32, without copying.
func floats(bytes []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&bytes[0])), len(bytes)/4)
}

// bytesOf views floats as bytes, without copying.
func bytesOf(floats []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&floats[0])), 4*len(floats))
}

// integers views floats as int32, without copying.
func integers(floats []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(&floats[0])), len(floats))
}
