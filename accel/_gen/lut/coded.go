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
	dst, rows, codes := m.Slice("dst"), m.Length("dst"), m.Slice("codes")
	nextCode, level := shift(m), levelOf(m)

	// Four vectors of rows are summed at a time, so that an addition need not wait for the one
	// before.
	const vectors, blockRows, unrolled = 4, 64, 2
	part := vectors * m.Lanes
	m.Label("block")
	parts := m.Counter()
	m.Advance(parts, blockRows/part)
	m.Label("part")
	at, x, left := m.Copy(codes), m.Slice("x"), m.Pointer("chunks")
	var sums, words [vectors]VecVirtual
	for i := range sums {
		sums[i], words[i] = m.Zero(), m.Vector()
	}
	m.Label("chunk")
	for i, word := range words {
		m.LoadTo(word, Mem{Base: at, Disp: m.Bytes() * i}, emit.All)
	}
	columns := m.Pointer("columns")
	m.Label("column")
	for i := range unrolled { // the number of columns is even
		activation := m.Spread(Mem{Base: x, Disp: 4 * i})
		for i, word := range words {
			m.Accumulate(sums[i], m.Mul(level(word), activation))
			nextCode(word)
		}
	}
	m.Advance(x, 4*unrolled)
	m.CountDown(columns, unrolled, "column")
	m.Advance(at, 4*blockRows)
	m.CountDown(left, 1, "chunk")
	for i, sum := range sums {
		m.Store(sum, Mem{Base: dst, Disp: m.Bytes() * i}, emit.All)
	}
	m.Advance(dst, 4*part)
	m.Advance(codes, 4*part)
	m.CountDown(parts, 1, "part")
	m.Move(codes, Mem{Base: at})
	m.Advance(codes, -4*(blockRows-part))
	m.CountDown(rows, blockRows, "block")
	m.Return()
}

// codedColumn sets y to the levels of codes. A block is 16 words of 32 bits. Each word has as
// many rows as codes fit; first come the rows in the lowest bits of all words.
func codedColumn(m emit.Machine) {
	m.Function("codedColumn", "func(y []float32, codes []byte, levels []float32, bits, rows int)")
	y, count, codes := m.Slice("y"), m.Length("y"), m.Slice("codes")
	nextCode, level := shift(m), levelOf(m)
	const lanes = 16
	words := make([]VecVirtual, lanes/m.Lanes)

	m.Label("block")
	for i := range words {
		words[i] = m.Load(Mem{Base: codes, Disp: m.Bytes() * i}, emit.All)
	}
	rows := m.Pointer("rows")
	m.Label("row")
	for i, word := range words {
		m.Store(level(word), Mem{Base: y, Disp: m.Bytes() * i}, emit.All)
		nextCode(word)
	}
	m.Advance(y, 4*lanes)
	m.Advance(count, -lanes)
	m.CountDown(rows, 1, "row")
	m.Advance(codes, 4*lanes)
	m.JumpIfPositive(count, "block")
	m.Return()
}

// shift returns a function that shifts lanes right by the argument bits.
func shift(m emit.Machine) func(word VecVirtual) {
	if m == neon { // shifts left by a number, which may be negative
		bits, left := m.Pointer("bits"), m.Vector()
		emit.WriteARM("NEG %[2]s, %[1]s", bits, bits)
		emit.WriteARM("VDUP %[2]s, %[1]s.S4", left, bits)
		return func(word VecVirtual) { emit.ARM("ushl", word, word, left) }
	}
	bits := XMM()
	VMOVQ(m.Pointer("bits"), bits)
	return func(word VecVirtual) { VPSRLD(bits, word, word) }
}

// levelOf loads the argument levels. The function that it returns selects a level by the lowest
// four bits of each lane.
func levelOf(m emit.Machine) func(word VecVirtual) VecVirtual {
	levels := m.Slice("levels")
	if m == neon {
		emit.LoadTable(levels)
		return func(word VecVirtual) VecVirtual {
			// The four bytes of a level have the places 4·code to 4·code+3.
			bytes := m.And(word, emit.Bits(15))
			emit.ARM("mul", bytes, bytes, m.Fixed(emit.Bits(0x04040404)))
			emit.ARM("add", bytes, bytes, m.Fixed(emit.Bits(0x03020100)))
			emit.LookUp(bytes)
			return bytes
		}
	}
	lower := m.Load(Mem{Base: levels}, emit.All)
	if m.Wide() {
		return func(word VecVirtual) VecVirtual {
			level := m.Vector()
			VPERMPS(lower, word, level)
			return level
		}
	}
	// A permutation reads eight entries. So both halves are read, and bit 3 chooses.
	upper := m.Load(Mem{Base: levels, Disp: m.Bytes()}, emit.All)
	return func(word VecVirtual) VecVirtual {
		choice, level, other := m.Vector(), m.Vector(), m.Vector()
		VPSLLD(Imm(28), word, choice)
		VPERMPS(lower, word, level)
		VPERMPS(upper, word, other)
		VBLENDVPS(choice, other, level, level)
		return level
	}
}
