package lut

import (
	"slices"
	"sync"

	"bittern/accel/kernels/vecmath"
)

// dense sets Y = W·x for all products, where W is float32.
func (m *Matrix) dense(products []Product) {
	if m.kernels.denseTogether != nil && len(products) > 1 {
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
	x    []float32 // of each together vectors, column after column, an element of each
	sums []float32 // denseApart times those of two blocks
}

var denseScratches = sync.Pool{New: func() any { return new(denseScratch) }}

// multiply computes products with several vectors, each with the sums that the kernel dense has.
// Two blocks of W are multiplied by all vectors before the next ones are read.
func (d *denseScratch) multiply(m *Matrix, products []Product) {
	k := m.kernels
	d.gather(k.together, m.columns, products)
	block := k.lanes * m.columns
	done := 0 // rows
	for ; done+k.lanes < m.rows; done += 2 * k.lanes {
		w := m.values[done*m.columns:]
		for first := 0; first < len(products); first += k.together {
			ahead := w[:0]
			if first == 0 {
				ahead = w[2*block:]
			}
			d.sum(k, w, d.x[first*m.columns:], ahead, block, m.columns)
			for v, p := range products[first:min(first+k.together, len(products))] {
				for b := range 2 {
					from := done + b*k.lanes
					copy(p.Y[from:min(from+k.lanes, m.rows)], d.sums[(b*k.together+v)*k.lanes:])
				}
			}
		}
	}
	if done < m.rows { // one more block
		for _, p := range products {
			k.dense(p.Y[done:], m.values[done*m.columns:], p.X.x[:m.columns])
		}
	}
}

// gather writes the vectors of the products to x, filled up with vectors of zeros.
func (d *denseScratch) gather(together, columns int, products []Product) {
	size := (len(products) + together - 1) / together * together * columns
	d.x = slices.Grow(d.x[:0], size)[:size]
	if len(products)%together != 0 {
		clear(d.x[len(products)/together*together*columns:])
	}
	for i, p := range products {
		x := d.x[i/together*together*columns+i%together:]
		for c, value := range p.X.x[:columns] {
			x[c*together] = value
		}
	}
}

// sum sets the first of the sums to the products of two blocks with all columns. Meanwhile the
// memory of ahead is brought closer, if it is not empty.
func (d *denseScratch) sum(k *kernels, w, x, ahead []float32, block, columns int) {
	size := 2 * k.together * k.lanes
	d.sums = slices.Grow(d.sums[:0], denseApart*size)[:denseApart*size]
	clear(d.sums)
	if whole := columns / denseApart; whole > 0 {
		for i := range denseApart {
			from := min(i*whole*2*k.lanes, len(ahead))
			k.denseTogether(d.sums[i*size:], w[i*k.lanes:], x[i*k.together:], block, whole, ahead[from:])
		}
	}
	for c := columns / denseApart * denseApart; c < columns; c++ {
		k.denseTogether(d.sums, w[c*k.lanes:], x[c*k.together:], block, 1, nil)
	}
	for n := denseApart / 2; n > 0; n /= 2 {
		vecmath.Add(d.sums[:n*size], d.sums[n*size:2*n*size])
	}
}
