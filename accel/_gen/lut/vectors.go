package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// largest returns the bits of the largest magnitude: magnitudes compare as
// whole numbers do, and NaN lies above infinity.
func largest(m emit.Machine) {
	m.Function("largest", "func(x []float32) uint32")
	x, count := emit.Slice("x"), emit.Length("x")
	most := m.Zero()
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		magnitude := m.And(m.Load(emit.At(x, index), tail), emit.Bits(0x7FFFFFFF))
		VPMAXUD(magnitude, most, most)
	})
	result := GP32()
	MOVD(m.Fold(most, VPMAXUD), result)
	Store(result, ReturnIndex(0))
	m.Return()
}

// quantize sets q = x·inverse, rounded to the nearest whole number, the even one
// of two, and returns the sum of q. The length of x is a multiple of 16.
func quantize(m emit.Machine) {
	m.Function("quantize", "func(q []int16, x []float32, inverse float32) int32")
	q, x, count := emit.Slice("q"), emit.Slice("x"), emit.Length("x")
	inverse, sum := m.Spread(emit.Argument("inverse")), m.Zero()
	Label("next")
	whole := m.Vector()
	VCVTPS2DQ(m.Mul(inverse, Mem{Base: x}), whole)
	VPADDD(whole, sum, sum)
	if m.Wide() {
		VPMOVDW(whole, Mem{Base: q})
	} else {
		low, high := XMM(), XMM()
		VEXTRACTI128(Imm(0), whole, low)
		VEXTRACTI128(Imm(1), whole, high)
		VPACKSSDW(high, low, low)
		VMOVDQU(low, Mem{Base: q})
	}
	ADDQ(Imm(uint64(m.Bytes())), x)
	ADDQ(Imm(uint64(m.Bytes()/2)), q)
	SUBQ(Imm(uint64(m.Lanes)), count)
	JNZ(LabelRef("next"))
	result := GP32()
	MOVD(m.Fold(sum, VPADDD), result)
	Store(result, ReturnIndex(0))
	m.Return()
}

// fromIntegers turns int32 lanes into float32: y = y·factor, and y·factor·scale + shift.
func fromIntegers(m emit.Machine) {
	convert := func(y, index GPVirtual, tail emit.Tail, factor VecVirtual) VecVirtual {
		v := m.Vector()
		VCVTDQ2PS(m.Load(emit.At(y, index), tail), v)
		return m.Mul(v, factor)
	}
	m.Function("fromIntegers", "func(y []float32, factor float32)")
	y, count := emit.Slice("y"), emit.Length("y")
	factor := m.Spread(emit.Argument("factor"))
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		m.Store(convert(y, index, tail, factor), emit.At(y, index), tail)
	})
	m.Return()

	m.Function("fromIntegersScaleShift", "func(y []float32, factor float32, scale, shift []float32)")
	y, count = emit.Slice("y"), emit.Length("y")
	scale, shift := emit.Slice("scale"), emit.Slice("shift")
	factor = m.Spread(emit.Argument("factor"))
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		v := convert(y, index, tail, factor)
		m.MulAdd(v, m.Load(emit.At(scale, index), tail), m.Load(emit.At(shift, index), tail))
		m.Store(v, emit.At(y, index), tail)
	})
	m.Return()
}

// choose sets y[i] to the highest of levels whose bit i is set, or to level 0,
// which has no bits. The bits of level k begin at byte (k−1)·plane of bits. The
// value of level k for element i is levels[k·distance + i·step]: a step of 1
// holds a value for each element, a step of 0 one for all, repeated to a vector.
func choose(m emit.Machine, levels int) {
	m.Function(fmt.Sprintf("choose%d", levels), "func(y []float32, bits []byte, plane int, levels []float32, distance, step int)")
	y, count := emit.Slice("y"), emit.Length("y")
	bits, plane := emit.Slice("bits"), emit.Pointer("plane")
	values, distance, step := emit.Slice("levels"), emit.Pointer("distance"), emit.Pointer("step")
	value, place := GP64(), GP64()
	m.Elements(count, func(index GPVirtual, tail emit.Tail) {
		MOVQ(index, value)
		IMULQ(step, value)
		LEAQ(emit.At(values, value), value)
		MOVQ(index, place)
		SHRQ(Imm(3), place)
		ADDQ(bits, place)
		v := m.Load(Mem{Base: value}, tail)
		for level := 1; level < levels; level++ {
			LEAQ(emit.At(value, distance), value)
			v = whereSet(m, Mem{Base: place}, m.Load(Mem{Base: value}, tail), v)
			ADDQ(plane, place)
		}
		m.Store(v, emit.At(y, index), tail)
	})
	m.Return()
}

// whereSet takes the lanes whose bit at bits is set from set, the others from clear.
func whereSet(m emit.Machine, bits Mem, set, clear VecVirtual) VecVirtual {
	v := m.Vector()
	if m.Wide() {
		mask := K()
		KMOVW(bits, mask)
		VBLENDMPS(set, clear, mask, v)
		return v
	}
	mask, lanes := YMM(), YMM()
	VPBROADCASTB(bits, mask)
	VMOVDQU(laneBits(), lanes)
	VPAND(lanes, mask, mask)
	VPCMPEQD(lanes, mask, mask)
	VBLENDVPS(mask, set, clear, v)
	return v
}

// laneBits has bit i set in lane i.
func laneBits() Mem {
	return emit.Table("laneBits", []U32{1, 2, 4, 8, 16, 32, 64, 128})
}

// unrolled is the number of columns that are summed apart, to hide the time a
// multiply-add takes.
const unrolled = 8

// dense sets y = W·x where w holds blocks of as many rows as a vector has lanes,
// column after column. The last block may be of fewer rows in y.
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
