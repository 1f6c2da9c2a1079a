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
		y, count := m.Slice("y"), m.Length("y")
		bits, plane := m.Slice("bits"), m.Pointer("plane")
		values, distance, step := m.Slice("levels"), m.Pointer("distance"), m.Pointer("step")
		var scale, other GPVirtual
		if scaled {
			scale, other = m.Slice("scale"), m.Slice("other")
		}
		m.Elements(count, func(index GPVirtual, tail emit.Tail) {
			value := m.Scaled(values, index, step)
			place, bit := m.Bit(bits, index)
			v := m.Load(Mem{Base: value}, tail)
			for level := 1; level < levels; level++ {
				m.Move(value, emit.At(value, distance))
				v = whereSet(m, Mem{Base: place}, bit, m.Load(Mem{Base: value}, tail), v)
				m.Move(place, Mem{Base: place, Index: plane, Scale: 1})
			}
			if scaled {
				v = m.MulAdd(v, m.Load(emit.At(scale, index), tail), m.Load(emit.At(other, index), tail))
			}
			m.Store(v, emit.At(y, index), tail)
		})
		m.Return()
	}
}

// whereSet takes lanes from set if their bit at bits is set, and from clear otherwise. On NEON
// the first lane has the given bit of a byte.
func whereSet(m emit.Machine, bits Mem, bit GPVirtual, set, clear VecVirtual) VecVirtual {
	v := m.Vector()
	switch {
	case m == neon:
		byteOfBits := emit.General()
		emit.WriteARM("MOVBU %[2]s, %[1]s", byteOfBits, bits)
		emit.WriteARM("LSR %[3]s, %[2]s, %[1]s", byteOfBits, byteOfBits, bit)
		emit.WriteARM("VDUP %[2]s, %[1]s.S4", v, byteOfBits)
		lanes := m.Vector()
		emit.ARMTable(lanes, emit.ARMData("laneBits", []U32{1, 2, 4, 8}))
		emit.ARM("cmtst", v, v, lanes)
		emit.ARM("bsl", v, set, clear)
	case m.Wide():
		mask := K()
		KMOVW(bits, mask)
		VBLENDMPS(set, clear, mask, v)
	default:
		mask, lanes := YMM(), YMM()
		VPBROADCASTB(bits, mask)
		VMOVDQU(laneBits(), lanes)
		VPAND(lanes, mask, mask)
		VPCMPEQD(lanes, mask, mask)
		VBLENDVPS(mask, set, clear, v)
	}
	return v
}

// laneBits has bit i set in lane i.
func laneBits() Mem {
	return emit.Table("laneBits", []U32{1, 2, 4, 8, 16, 32, 64, 128})
}
