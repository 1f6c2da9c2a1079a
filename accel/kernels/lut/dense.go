package lut

import (
	"slices"
	"sync"

	"bittern/accel/kernels/vecmath"
)

// dense sets Y = W·x for all products, where W is float32.
func (m *Matrix) dense(products []Product) {
	if len(m.kernels.together) > 0 && len(products) > 1 {
		d := denseScratches.Get().(*denseScratch)
		d.multiply(m, products)
		denseScratches.Put(d)
		return
	}
	for _, p := range products {
		m.kernels.dense(p.Y, m.values, p.X.x[:m.columns])
	}
}

// denseScratch is what products of several vectors work in.
type denseScratch struct {
	x    []float32 // of the vectors of each kernel, column after column, an element of each
	sums []float32 // denseApart times those of two blocks
}

var denseScratches = sync.Pool{New: func() any { return new(denseScratch) }}

// next returns the kernel for the next of so many vectors. Only the narrowest may be for more.
func (k *kernels) next(vectors int) denseTogether {
	for _, t := range k.together {
		if t.vectors <= vectors {
			return t
		}
	}
	return k.together[len(k.together)-1]
}

// multiply computes products with several vectors, each with the sums that the kernel dense has.
// Two blocks of W are multiplied by all vectors before the next ones are read.
func (d *denseScratch) multiply(m *Matrix, products []Product) {
	k := m.kernels
	d.gather(m, products)
	done := 0 // rows
	for ; done+k.lanes < m.rows; done += 2 * k.lanes {
		d.multiplyBlocks(m, products, done)
	}
	if done < m.rows { // one more block
		for _, p := range products {
			k.dense(p.Y[done:], m.values[done*m.columns:], p.X.x[:m.columns])
		}
	}
}

// multiplyBlocks computes the rows of two blocks, from the given row on.
func (d *denseScratch) multiplyBlocks(m *Matrix, products []Product, row int) {
	k := m.kernels
	w := m.values[row*m.columns:]
	ahead := w[2*k.lanes*m.columns:]
	for x := d.x; len(products) > 0; ahead = nil {
		t := k.next(len(products))
		d.sum(t, k.lanes, w, x, ahead, m.columns)
		now := products[:min(t.vectors, len(products))]
		for v, p := range now {
			for b := range 2 {
				from := row + b*k.lanes
				copy(p.Y[from:min(from+k.lanes, m.rows)], d.sums[(b*t.vectors+v)*k.lanes:])
			}
		}
		products, x = products[len(now):], x[t.vectors*m.columns:]
	}
}

// gather writes the vectors of the products to x. A kernel for more than there are finds zeros
// in place of others.
func (d *denseScratch) gather(m *Matrix, products []Product) {
	d.x = d.x[:0]
	for len(products) > 0 {
		n := m.kernels.next(len(products)).vectors
		at := len(d.x)
		d.x = slices.Grow(d.x, n*m.columns)[:at+n*m.columns]
		if n > len(products) {
			clear(d.x[at:])
		}
		now := products[:min(n, len(products))]
		for v, p := range now {
			for c, value := range p.X.x[:m.columns] {
				d.x[at+c*n+v] = value
			}
		}
		products = products[len(now):]
	}
}

// sum sets the first of the sums to the products of two blocks with all columns. Meanwhile the
// memory of ahead is brought closer, if it is not empty.
func (d *denseScratch) sum(t denseTogether, lanes int, w, x, ahead []float32, columns int) {
	size, block := 2*t.vectors*lanes, lanes*columns
	d.sums = slices.Grow(d.sums[:0], denseApart*size)[:denseApart*size]
	clear(d.sums)
	if whole := columns / denseApart; whole > 0 {
		for i := range denseApart {
			from := min(i*whole*2*lanes, len(ahead))
			t.add(d.sums[i*size:], w[i*lanes:], x[i*t.vectors:], block, whole, ahead[from:])
		}
	}
	for c := columns / denseApart * denseApart; c < columns; c++ {
		t.add(d.sums, w[c*lanes:], x[c*t.vectors:], block, 1, nil)
	}
	for n := denseApart / 2; n > 0; n /= 2 {
		vecmath.Add(d.sums[:n*size], d.sums[n*size:2*n*size])
	}
}
