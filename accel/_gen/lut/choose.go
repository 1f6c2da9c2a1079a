package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// choose sets y[i] to the highest level whose bit i is set, or to level 0, which has no bits.
// The bits of level k begin at byte (k−1)·plane of bits. The value of level k for element i is
// levels[k·distance + i·step]. With step 1 each element has its own value; with step 0 all have
// the same, which is stored as a whole vector. chooseScaleAdd sets y[i] to scale[i] times that
// value plus other[i].
func choose(m emit.Machine, levels int) {
	for _, scaled := range []bool{false, true} {
		name, arguments := "choose", ""
		if scaled {
			name, arguments = "chooseScaleAdd", ", scale, other []float32"
		}
		m.Function(fmt.Sprintf("%s%d", name, levels), "func(y []float32, bits []byte, plane int, levels []float32, distance, step int"+arguments+")")
		y, count := emit.Slice("y"), emit.Length("y")
		bits, plane := emit.Slice("bits"), emit.Pointer("plane")
		values, distance, step := emit.Slice("levels"), emit.Pointer("distance"), emit.Pointer("step")
		var scale, other GPVirtual
		if scaled {
			scale, other = emit.Slice("scale"), emit.Slice("other")
		}
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
			if scaled {
				v = m.MulAdd(v, m.Load(emit.At(scale, index), tail), m.Load(emit.At(other, index), tail))
			}
			m.Store(v, emit.At(y, index), tail)
		})
		m.Return()
	}
}

// whereSet takes lanes from set if their bit at bits is set, and from clear otherwise.
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
