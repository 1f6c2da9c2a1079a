package integer

import (
	"math"
	"slices"

	"bittern/accel/kernels/fixed"
	"bittern/accel/kernels/matmul"
	"bittern/plugins/packed"
)

// Weight is a matrix as whole numbers.
type Weight struct {
	Rows, Cols int
	Planes     []Plane

	packed []*matmul.Integers // the planes, for products; nil before prepare
}

// Plane is a whole number for each weight, and the scales that they are multiples of.
type Plane struct {
	Bits   int       // of a stored code
	Scales []float32 // one for the matrix, or one a row

	values []float32 // whole numbers, row by row
	most   float32   // the largest size of them
}

// Most is the largest size of a whole number of the plane.
func (p Plane) Most() int { return int(p.most) }

// Bits is the width of a stored weight: that of the codes of all planes.
func (w *Weight) Bits() int {
	bits := 0
	for _, p := range w.Planes {
		bits += p.Bits
	}
	return bits
}

// ScaleCount is the number of the scales of all planes.
func (w *Weight) ScaleCount() int {
	n := 0
	for _, p := range w.Planes {
		n += len(p.Scales)
	}
	return n
}

// newWeight keeps the planes of a matrix if all of them are whole numbers. Otherwise it
// rounds the matrix to so many bits.
func newWeight(m packed.Matrix, bits int) (w *Weight, rounded bool) {
	w = &Weight{Rows: m.Rows, Cols: m.Cols}
	for i, p := range m.Planes {
		levels, step, ok := wholeLevels(p)
		if !ok {
			w.Planes = nil
			break
		}
		plane := Plane{Bits: p.Bits, values: make([]float32, 0, m.Rows*m.Cols)}
		for _, scale := range p.Scales {
			plane.Scales = append(plane.Scales, scale*step)
		}
		for _, code := range m.Codes(i) {
			plane.values = append(plane.values, levels[code])
			plane.most = max(plane.most, abs(levels[code]))
		}
		w.Planes = append(w.Planes, plane)
	}
	if len(w.Planes) > 0 {
		return w, false
	}
	w.Planes = []Plane{roundRows(m, bits)}
	return w, true
}

// wholeLevels returns the levels of a plane as whole numbers times a step, which is the
// smallest size of a level that is not 0. The plane is not ok if they are no such numbers,
// or are not below 2^Bits in size.
func wholeLevels(p packed.Plane) (whole []float32, step float32, ok bool) {
	if p.Bits > MostBits {
		return nil, 0, false
	}
	step = float32(math.Inf(1))
	for _, level := range p.Levels {
		if level != 0 {
			step = min(step, abs(level))
		}
	}
	if math.IsInf(float64(step), 1) { // all are 0
		step = 1
	}
	for _, level := range p.Levels {
		n := math.Round(float64(level) / float64(step))
		if float32(n)*step != level || math.Abs(n) >= float64(int(1)<<p.Bits) {
			return nil, 0, false
		}
		whole = append(whole, float32(n))
	}
	return whole, step, true
}

func roundRows(m packed.Matrix, bits int) Plane {
	n := largest(bits)
	p := Plane{Bits: bits, values: m.Decode(), Scales: make([]float32, m.Rows), most: n}
	for r := range m.Rows {
		row := p.values[r*m.Cols:][:m.Cols]
		p.Scales[r] = quantize(row, row, n)
	}
	return p
}

// largest is the largest whole number of so many bits that has a negative.
func largest(bits int) float32 { return float32(int(1)<<(bits-1) - 1) }

// quantize sets q to x in units of the scale that it returns, rounded to whole numbers. In
// these units the largest size of an element is n.
func quantize(q, x []float32, n float32) (scale float32) {
	most := float32(0)
	for _, v := range x {
		if s := abs(v); s > most || s != s {
			most = s
		}
	}
	if most == 0 {
		clear(q)
		return 0
	}
	// In float64, so that no x is too small to be divided by.
	units := float64(n) / float64(most)
	for i, v := range x {
		q[i] = float32(math.RoundToEven(float64(v) * units))
	}
	return float32(float64(most) / float64(n))
}

func abs(x float32) float32 { return float32(math.Abs(float64(x))) }

// prepare packs the planes for products with activations of at most n in size, unless
// they are packed already.
func (w *Weight) prepare(n float32) {
	if w.packed != nil {
		return
	}
	for _, p := range w.Planes {
		whole := make([]int16, len(p.values))
		for i, v := range p.values {
			whole[i] = int16(v)
		}
		w.packed = append(w.packed, matmul.PackIntegers(whole, w.Rows, w.Cols, int(n)))
	}
}

// column sets y to column c, in float32.
func (w *Weight) column(y []float32, c int) {
	for i := range w.Planes {
		p := &w.Planes[i]
		for r := range y {
			v := float32(p.scale(r) * p.values[r*w.Cols+c]) // rounded before it is added
			if i > 0 {
				v += y[r]
			}
			y[r] = v
		}
	}
}

func (p *Plane) scale(r int) float32 {
	if len(p.Scales) == 1 {
		return p.Scales[0]
	}
	return p.Scales[r]
}

// worker is the memory that products work in.
type worker struct {
	x       []int16
	product []int32
	sums    []float64
}

// multiply sets y, [sequences, Rows], to the weight times q, [sequences, Cols]. Each row of
// q is in units of the scale of its sequence.
func (w *Weight) multiply(y, q, scales []float32, sequences int, work *worker) {
	size, stride := sequences*w.Rows, w.packed[0].Stride()
	work.sums, work.product = slices.Grow(work.sums[:0], size)[:size], slices.Grow(work.product[:0], size)[:size]
	work.x = slices.Grow(work.x[:0], sequences*stride)[:sequences*stride]
	for s := range sequences {
		x := work.x[s*stride:]
		for c, v := range q[s*w.Cols : (s+1)*w.Cols] {
			x[c] = int16(v)
		}
	}
	for i, packed := range w.packed {
		for block := range packed.Blocks() {
			packed.Multiply(work.product, work.x, sequences, block)
			if block == 0 {
				fixed.Widen(work.sums, work.product)
			} else {
				fixed.Accumulate(work.sums, work.product)
			}
		}
		p := &w.Planes[i]
		for s := range sequences {
			for r := range w.Rows {
				v := float32(float32(p.scale(r)*scales[s]) * float32(work.sums[s*w.Rows+r]))
				if at := s*w.Rows + r; i == 0 {
					y[at] = v
				} else {
					y[at] += v
				}
			}
		}
	}
}
