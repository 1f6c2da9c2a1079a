package main

import (
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// unrolled is how many columns are summed separately, so that a multiply-add need not wait for
// the one before.
const unrolled = 8

// dense sets y = W·x. w has blocks of as many rows as a vector has lanes, stored column after
// column. In y the last block may have fewer rows.
func dense(m emit.Machine) {
	m.Function("dense", "func(y, w, x []float32)")
	y, count, w := m.Slice("y"), m.Length("y"), m.Slice("w")
	columns := m.Length("x")
	rows := func(store func(sum VecVirtual)) {
		many, few, last, done := emit.Unique("many"), emit.Unique("few"), emit.Unique("last"), emit.Unique("done")
		x, left := m.Slice("x"), m.Copy(columns)
		var sums [unrolled]VecVirtual
		for i := range sums {
			sums[i] = m.Zero()
		}
		step := func(n int) {
			for i := range n {
				m.AddProduct(sums[i], m.Spread(Mem{Base: x, Disp: 4 * i}), m.Operand(Mem{Base: w, Disp: m.Bytes() * i}))
			}
			m.Advance(x, 4*n)
			m.Advance(w, n*m.Bytes())
		}
		m.Label(many)
		m.JumpIfLess(left, unrolled, few)
		step(unrolled)
		m.Advance(left, -unrolled)
		m.Jump(many)
		m.Label(few)
		m.JumpIfZero(left, done)
		m.Label(last)
		step(1)
		m.CountDown(left, 1, last)
		m.Label(done)
		for distance := unrolled / 2; distance > 0; distance /= 2 {
			for i := range distance {
				m.Accumulate(sums[i], sums[i+distance])
			}
		}
		store(sums[0])
	}
	if m == neon { // a block may have fewer rows, but not one row alone
		m.Label("block")
		rows(func(sum VecVirtual) { emit.StoreFirst(sum, y, count, "block") })
	} else {
		m.Elements(count, func(index GPVirtual, tail emit.Tail) {
			rows(func(sum VecVirtual) { m.Store(sum, emit.At(y, index), tail) })
		})
	}
	m.Return()
}
