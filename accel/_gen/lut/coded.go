package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// codedSums sums blocks of 64 rows of codes times activations. A chunk has as many columns as
// codes fit into 32 bits. It is 256 bytes, with a row in each lane, whose lowest bits are the
// first column. There are always 16 levels, since four bits select one: shorter codes have bits
// of the next code above them, so their levels are repeated. A product is rounded before it is
// added, so that every machine gives the same sums.
func codedSums(m emit.Machine) {
	m.Function("codedSums", "func(dst []float32, codes, x []byte, chunks int, levels []float32, bits, columns int)")
	dst, blocks := emit.Slice("dst"), emit.Length("dst")
	codes, x, at, left, columns := emit.Slice("codes"), GP64(), GP64(), GP64(), GP64()
	bits := shiftCount()
	level := levelOf(m)
	SHRQ(Imm(6), blocks)

	// Four vectors of rows are summed at a time, so that an addition need not wait for the one
	// before.
	const vectors, blockRows, unrolled = 4, 64, 2
	rows := vectors * m.Lanes
	Label("block")
	for first := 0; first < blockRows; first += rows {
		chunk, column := emit.Unique("chunk"), emit.Unique("column")
		var sums, words [vectors]VecVirtual
		for i := range sums {
			sums[i], words[i] = m.Zero(), m.Vector()
		}
		LEAQ(Mem{Base: codes, Disp: 4 * first}, at)
		Load(Param("x").Base(), x)
		Load(Param("chunks"), left)
		Label(chunk)
		for i, word := range words {
			VMOVUPS(Mem{Base: at, Disp: m.Bytes() * i}, word)
		}
		Load(Param("columns"), columns)
		Label(column)
		for i := range unrolled { // the number of columns is even
			activation := m.Spread(Mem{Base: x, Disp: 4 * i})
			for i, word := range words {
				product := m.Mul(level(word), activation)
				VADDPS(product, sums[i], sums[i])
				VPSRLD(bits, word, word)
			}
		}
		ADDQ(Imm(4*unrolled), x)
		SUBQ(Imm(unrolled), columns)
		JNZ(LabelRef(column))
		ADDQ(U32(4*blockRows), at)
		DECQ(left)
		JNZ(LabelRef(chunk))
		for i, sum := range sums {
			VMOVUPS(sum, Mem{Base: dst, Disp: 4*first + m.Bytes()*i})
		}
	}
	LEAQ(Mem{Base: at, Disp: -4 * (blockRows - rows)}, codes)
	ADDQ(U32(4*blockRows), dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	m.Return()
}

// codedColumn sets y to the levels of codes. A block is 16 words of 32 bits. Each word has as
// many rows as codes fit; first come the rows in the lowest bits of all words.
func codedColumn(m emit.Machine) {
	m.Function("codedColumn", "func(y []float32, codes []byte, levels []float32, bits, rows int)")
	y, count, codes, rows := emit.Slice("y"), emit.Length("y"), emit.Slice("codes"), GP64()
	bits := shiftCount()
	level := levelOf(m)
	const lanes = 16
	words := make([]VecVirtual, lanes/m.Lanes)

	Label("block")
	for i := range words {
		words[i] = m.Vector()
		VMOVUPS(Mem{Base: codes, Disp: m.Bytes() * i}, words[i])
	}
	Load(Param("rows"), rows)
	Label("row")
	for i, word := range words {
		VMOVUPS(level(word), Mem{Base: y, Disp: m.Bytes() * i})
		VPSRLD(bits, word, word)
	}
	ADDQ(Imm(4*lanes), y)
	SUBQ(Imm(lanes), count)
	DECQ(rows)
	JNZ(LabelRef("row"))
	ADDQ(Imm(4*lanes), codes)
	TESTQ(count, count)
	JNZ(LabelRef("block"))
	m.Return()
}

// shiftCount loads the argument bits as a count for vector shifts.
func shiftCount() VecVirtual {
	bits := XMM()
	VMOVQ(emit.Pointer("bits"), bits)
	return bits
}

// levelOf loads the argument levels. The function that it returns selects a level by the lowest
// four bits of each lane.
func levelOf(m emit.Machine) func(word VecVirtual) VecVirtual {
	levels := emit.Slice("levels")
	lower := m.Vector()
	VMOVUPS(Mem{Base: levels}, lower)
	if m.Wide() {
		return func(word VecVirtual) VecVirtual {
			level := m.Vector()
			VPERMPS(lower, word, level)
			return level
		}
	}
	// A permutation reads eight entries. So both halves are read, and bit 3 chooses.
	upper := m.Vector()
	VMOVUPS(Mem{Base: levels, Disp: m.Bytes()}, upper)
	return func(word VecVirtual) VecVirtual {
		choice, level, other := m.Vector(), m.Vector(), m.Vector()
		VPSLLD(Imm(28), word, choice)
		VPERMPS(lower, word, level)
		VPERMPS(upper, word, other)
		VBLENDVPS(choice, other, level, level)
		return level
	}
}
