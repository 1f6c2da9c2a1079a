package lut

import (
	"fmt"

	"bittern/accel/kernels/vecmath"
)

// Product is one vector that a matrix multiplies: Y = W·X or, where Scale is not nil,
// Scale∘(W·X) + Shift. Y is as long as the matrix has rows.
type Product struct {
	Y            []float32
	X            *Activations // of no other product at a time
	Scale, Shift []float32
}

// Multiply computes products with several vectors. It reads a stretch of the codes for all
// of them before it goes on to the next one: codes that do not fit in the cache pass
// through it once. No result depends on what else is computed.
func (m *Matrix) Multiply(products ...Product) {
	for i := range products {
		m.check(&products[i])
	}
	for i, s := range m.sums {
		m.sum(products, i)
		for _, p := range products {
			m.take(p, i, s)
		}
	}
	if m.values != nil {
		m.dense(products)
	}
	for _, p := range products {
		m.finish(p)
	}
}

// take turns the sums of plane sum i into float32 values: the first plane sum sets Y, the
// further ones are added to it.
func (m *Matrix) take(p Product, i int, s planeSum) {
	switch {
	case i > 0:
		m.further(p.Y, p.X.part[:m.rows], p.X.unit, s)
	case p.Scale != nil && m.shifted():
		m.kernels.fromIntegersScaleShift(p.Y, s.weights[0]*p.X.unit, p.Scale, p.Shift)
	default:
		m.first(p.Y, p.X.unit, s)
	}
}

// shifted says whether the step that scales the sums of the matrix also applies the
// product's Scale and Shift.
func (m *Matrix) shifted() bool {
	return len(m.sums) == 1 && m.centre == nil && len(m.sums[0].weights) == 1 && m.whole(m.sums[0])
}

// finish does what follows the sums.
func (m *Matrix) finish(p Product) {
	switch {
	case len(m.centre) == 1:
		shift := m.centre[0] * p.X.total()
		for r := range p.Y {
			p.Y[r] += shift
		}
	case len(m.centre) > 1:
		vecmath.Axpy(p.Y, p.X.total(), m.centre)
	}
	if p.Scale != nil && !m.shifted() {
		vecmath.ScaleShift(p.Y, p.Scale, p.Y, p.Shift)
	}
}

// whole says that the sums of s are whole numbers, not float32.
func (m *Matrix) whole(s planeSum) bool { return m.precision != Exact && s.coded == nil }

// scale turns y, which holds the sums of s, into y·factor.
func (m *Matrix) scale(y []float32, factor float32, s planeSum) {
	switch {
	case m.whole(s):
		m.kernels.fromIntegers(y, factor)
	case factor != 1:
		vecmath.Scale(y, factor)
	}
}

// first turns y, which holds the sums of s, into float32 values.
func (m *Matrix) first(y []float32, unit float32, s planeSum) {
	if len(s.weights) == 1 {
		m.scale(y, unit*s.weights[0], s)
		return
	}
	m.scale(y, unit, s)
	vecmath.Mul(y, s.weights)
}

// further adds the sums of s, which part holds, to y as float32 values. It overwrites part.
func (m *Matrix) further(y, part []float32, unit float32, s planeSum) {
	switch {
	case len(s.weights) == 1:
		m.scale(part, unit*s.weights[0], s)
		vecmath.Add(y, part)
	case m.whole(s):
		m.kernels.fromIntegersScaleShift(part, unit, s.weights, y)
		copy(y, part)
	default: // float32, of which one is 1
		vecmath.ScaleShift(y, s.weights, part, y)
	}
}

func (m *Matrix) check(p *Product) {
	a := p.X
	if len(p.Y) != m.rows || a.n != m.columns {
		panic(fmt.Sprintf("lut: a %d×%d matrix for %d sums of %d activations", m.rows, m.columns, len(p.Y), a.n))
	}
	if p.Scale != nil && (len(p.Scale) != m.rows || len(p.Shift) != m.rows) {
		panic(fmt.Sprintf("lut: %d scales and %d shifts for a %d×%d matrix", len(p.Scale), len(p.Shift), m.rows, m.columns))
	}
	m.checkActivations(a)
}

func (m *Matrix) checkActivations(a *Activations) {
	if a.precision != m.precision || a.kernels != m.kernels {
		panic("lut: activations and matrix are made for different precisions")
	}
}

// sum computes the sums of plane sum i for all products, into the place that sums names:
// float32 for Exact, otherwise int32 in the same memory. It also notes what a sum of 1
// stands for.
func (m *Matrix) sum(products []Product, i int) {
	s, backward := m.sums[i], products[0].X.backward
	for _, p := range products {
		if p.X.unit = 1; s.coded == nil {
			p.X.unit = p.X.table(s.planes).unit
		}
	}
	floats := func(k int) (dst, last []float32, tables []byte) {
		p := products[k]
		if dst, last = p.sums(i), p.X.last[:]; s.coded != nil {
			return dst, last, bytesOf(p.X.x)
		}
		return dst, last, p.X.table(s.planes).bytes
	}
	whole := func(k int) (dst, last []int32, tables []byte) {
		dst32, last32, tables := floats(k)
		return integers(dst32), integers(last32), tables
	}
	switch {
	case s.coded != nil:
		s.coded.run(len(products), floats, s.codes, m.columns, backward)
	case m.precision == Int14:
		m.kernels.int14[s.planes-1].run(len(products), whole, s.codes, m.columns, backward)
	case m.precision == Int8:
		m.kernels.int8[s.planes-1].run(len(products), whole, s.codes, m.columns, backward)
	default:
		exact[s.planes-1].run(len(products), floats, s.codes, m.columns, backward)
	}
}

// sums returns where plane sum i is put; the first one is put into Y.
func (p Product) sums(i int) []float32 {
	if i == 0 {
		return p.Y
	}
	return p.X.part[:len(p.Y)]
}

// stretch is how many bytes of codes are read in one direction at a time.
const stretch = 128 << 10

// run sums all rows for the given number of vectors, which of returns. The sums of a last
// block that is not whole pass through last.
//
// Codes that do not fit in the cache are read from first to last and then, for
// the next vectors, from last to first: what the cache still holds of one product
// is read first by the next, not pushed out by it.
func (k *summation[Sum]) run(vectors int, of func(vector int) (dst, last []Sum, tables []byte), codes []byte, columns int, backward bool) {
	chunks, blockBytes := k.chunks(columns), k.blockBytes(columns)
	first, _, _ := of(0)
	blocks := (len(first) + blockRows - 1) / blockRows
	length := max(1, stretch/blockBytes)
	stretches := (blocks + length - 1) / length
	for i := range stretches {
		if backward {
			i = stretches - 1 - i
		}
		from, to := i*length, min((i+1)*length, blocks)
		part := codes[from*blockBytes:]
		whole := min(to, len(first)/blockRows) - from // without a last block that is not whole
		for vector := 0; vector < vectors; {
			if k.together != nil && whole > 0 && vector+togetherSums <= vectors {
				k.sumTogether(vector, of, part, from*blockRows, whole, chunks)
				for range togetherSums {
					k.sumLast(vector, of, part, from, to, chunks)
					vector++
				}
				continue
			}
			dst, _, tables := of(vector)
			if whole > 0 {
				k.sums(dst[from*blockRows:(from+whole)*blockRows], part, tables, chunks)
			}
			k.sumLast(vector, of, part, from, to, chunks)
			vector++
		}
	}
}

// sumLast sums the block that is not whole, if it is among the blocks from … to.
func (k *summation[Sum]) sumLast(vector int, of func(vector int) (dst, last []Sum, tables []byte), part []byte, from, to, chunks int) {
	dst, last, tables := of(vector)
	if whole := len(dst) / blockRows; whole < to {
		k.sums(last, part[(whole-from)*chunks*k.codeBytes:], tables, chunks)
		copy(dst[whole*blockRows:], last)
	}
}

// togetherChunks is the most chunks that are summed together before the next ones, so that the
// tables of the vectors stay in the first-level cache.
const togetherChunks = 48

// sumTogether sums whole blocks for the vectors from the given one on, from the given row on.
func (k *summation[Sum]) sumTogether(vector int, of func(vector int) (dst, last []Sum, tables []byte), part []byte, row, blocks, chunks int) {
	var dst [togetherSums][]Sum
	var tables [togetherSums][]byte
	for i := range dst {
		dst[i], _, tables[i] = of(vector + i)
		dst[i] = dst[i][row:][:blocks*blockRows]
		clear(dst[i])
	}
	strips := (chunks + togetherChunks - 1) / togetherChunks
	for i := range strips {
		from, to := i*chunks/strips, (i+1)*chunks/strips
		k.together(&dst, part[from*k.codeBytes:], &tables, from, to-from, (chunks-to+from)*k.codeBytes, blocks)
	}
}
