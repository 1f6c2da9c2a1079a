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
		defer denseScratches.Put(d)
		for len(products) > 0 {
			n := min(m.kernels.together, len(products))
			d.multiply(m, products[:n])
			products = products[n:]
		}
		return
	}
	for _, p := range products {
		m.kernels.dense(p.Y, m.values, p.X.x[:m.columns])
	}
}

// denseScratch is what products of several vectors work in.
type denseScratch struct {
	x    []float32 // column after column, an element of each vector
	sums []float32 // denseApart times those of two blocks
}

var denseScratches = sync.Pool{New: func() any { return new(denseScratch) }}

// multiply computes products with a few vectors, each with the sums that the kernel dense has.
func (d *denseScratch) multiply(m *Matrix, products []Product) {
	k := m.kernels
	d.gather(k.together, m.columns, products)
	block := k.lanes * m.columns
	done := 0 // rows
	for ; done+k.lanes < m.rows; done += 2 * k.lanes {
		d.sum(k, m.values[done*m.columns:], block, m.columns)
		for v, p := range products {
			for b := range 2 {
				from := done + b*k.lanes
				copy(p.Y[from:min(from+k.lanes, m.rows)], d.sums[(b*k.together+v)*k.lanes:])
			}
		}
	}
	if done < m.rows { // one more block
		for _, p := range products {
			k.dense(p.Y[done:], m.values[done*m.columns:], p.X.x[:m.columns])
		}
	}
}

// gather writes the vectors of the products to x. Where there are fewer than together, the
// others are of zeros.
func (d *denseScratch) gather(together, columns int, products []Product) {
	d.x = slices.Grow(d.x[:0], together*columns)[:together*columns]
	for v := range together {
		if v >= len(products) {
			for c := range columns {
				d.x[c*together+v] = 0
			}
			continue
		}
		for c, value := range products[v].X.x[:columns] {
			d.x[c*together+v] = value
		}
	}
}

// sum sets the first of the sums to the products of two blocks with all columns.
func (d *denseScratch) sum(k *kernels, w []float32, block, columns int) {
	size := 2 * k.together * k.lanes
	d.sums = slices.Grow(d.sums[:0], denseApart*size)[:denseApart*size]
	clear(d.sums)
	if whole := columns / denseApart; whole > 0 {
		for i := range denseApart {
			k.denseTogether(d.sums[i*size:], w[i*k.lanes:], d.x[i*k.together:], block, whole)
		}
	}
	for c := columns / denseApart * denseApart; c < columns; c++ {
		k.denseTogether(d.sums, w[c*k.lanes:], d.x[c*k.together:], block, 1)
	}
	for n := denseApart / 2; n > 0; n /= 2 {
		vecmath.Add(d.sums[:n*size], d.sums[n*size:2*n*size])
	}
}
