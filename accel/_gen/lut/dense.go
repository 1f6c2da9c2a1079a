package main

import (
	. "github.com/mmcloughlin/avo/build"
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
	y, count, w := emit.Slice("y"), emit.Length("y"), emit.Slice("w")
	x, columns, left := GP64(), emit.Length("x"), GP64()
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		many, few, last, done := emit.Unique("many"), emit.Unique("few"), emit.Unique("last"), emit.Unique("done")
		Load(Param("x").Base(), x)
		MOVQ(columns, left)
		var sums [unrolled]VecVirtual
		for i := range sums {
			sums[i] = m.Zero()
		}
		step := func(n int) {
			for i := range n {
				m.AddProduct(sums[i], m.Spread(Mem{Base: x, Disp: 4 * i}), Mem{Base: w, Disp: m.Bytes() * i})
			}
			ADDQ(U32(uint32(4*n)), x)
			ADDQ(U32(uint32(n*m.Bytes())), w)
		}
		Label(many)
		CMPQ(left, Imm(unrolled))
		JL(LabelRef(few))
		step(unrolled)
		SUBQ(Imm(unrolled), left)
		JMP(LabelRef(many))
		Label(few)
		TESTQ(left, left)
		JZ(LabelRef(done))
		Label(last)
		step(1)
		DECQ(left)
		JNZ(LabelRef(last))
		Label(done)
		for distance := unrolled / 2; distance > 0; distance /= 2 {
			for i := range distance {
				VADDPS(sums[i+distance], sums[i], sums[i])
			}
		}
		m.Store(sums[0], emit.At(y, index), tail)
	})
	m.Return()
}
