package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Tail says which lanes of a vector are used. The zero value is all of them.
type Tail struct {
	// An opmask on AVX-512 and a vector of signs on AVX2. NEON has no masks: a tail is the
	// first lane alone, so that a loop goes on one lane at a time.
	mask Register

	// How many elements are left, which may be more than a vector has; nil if that is known to
	// be less. A vector of AVX2 or NEON is loaded and stored in another way if it is less.
	left operand.Op
}

// All uses every lane.
var All Tail

// First returns a tail of the first n lanes, 0 ≤ n ≤ Lanes.
func (m Machine) First(n GPVirtual) Tail {
	tail := Tail{mask: m.newMask()}
	m.setFirst(tail, n)
	return tail
}

func (m Machine) newMask() Register {
	if m.Wide() {
		return K()
	}
	return YMM()
}

// whole returns a tail with a mask of all lanes.
func (m Machine) whole() Tail {
	mask := m.newMask()
	if m.Wide() {
		KXNORW(mask, mask, mask)
	} else {
		VPCMPEQD(mask, mask, mask)
	}
	return Tail{mask: mask}
}

// setFirst sets the mask to the first n lanes, 0 ≤ n ≤ Lanes.
func (m Machine) setFirst(tail Tail, n GPVirtual) {
	if m.Wide() {
		bits := GP32()
		MOVL(operand.I32(-1), bits)
		BZHIL(n.As32(), bits, bits)
		KMOVW(bits, tail.mask)
		return
	}
	at, offset := GP64(), GP64()
	LEAQ(tailWindow(), at)
	MOVQ(operand.U32(8), offset)
	SUBQ(n, offset)
	VMOVDQU(operand.Mem{Base: at, Index: offset, Scale: 4}, tail.mask)
}

// Load loads a vector. Lanes outside tail become 0, and their memory is not read.
func (m Machine) Load(from operand.Mem, tail Tail) VecVirtual {
	v := m.Vector()
	m.LoadTo(v, from, tail)
	return v
}

// LoadTo loads a vector as Load does, to v.
func (m Machine) LoadTo(v VecVirtual, from operand.Mem, tail Tail) {
	switch {
	case m.neon():
		m.byLanes(tail, func() { loadVectorARM(from, v) }, func() { loadLaneARM(from, v) })
	case tail == All:
		VMOVUPS(from, v)
	case m.Wide():
		VMOVUPS_Z(from, tail.mask, v)
	default:
		VMASKMOVPS(from, tail.mask, v)
	}
}

// Operand returns memory as an operand of vector instructions. NEON has none in memory.
func (m Machine) Operand(from operand.Mem) operand.Op {
	if m.neon() {
		return m.Load(from, All)
	}
	return from
}

// LoadOr loads a vector. Lanes outside tail are taken from other, and their memory is not read.
func (m Machine) LoadOr(from operand.Mem, tail Tail, other VecVirtual) VecVirtual {
	v := m.Load(from, tail)
	switch {
	case tail == All:
	case m.Wide():
		VBLENDMPS(v, other, tail.mask, v)
	default:
		VBLENDVPS(tail.mask, v, other, v)
	}
	return v
}

// Store stores the lanes of tail. On AVX2 a whole vector is stored without a mask, which takes
// AMD's processors much longer.
func (m Machine) Store(v VecVirtual, to operand.Mem, tail Tail) {
	switch {
	case m.neon():
		m.byLanes(tail, func() { storeVectorARM(v, to) }, func() { storeLaneARM(v, to) })
	case tail == All:
		VMOVUPS(v, to)
	case m.Wide():
		VMOVUPS(v, tail.mask, to)
	case tail.left == nil:
		VMASKMOVPS(v, tail.mask, to)
	default:
		m.byLanes(tail, func() { VMOVUPS(v, to) }, func() { VMASKMOVPS(v, tail.mask, to) })
	}
}

// byLanes runs all if every lane is used, and some otherwise.
func (m Machine) byLanes(tail Tail, all, some func()) {
	if tail == All {
		all()
		return
	}
	m.Rarely(func(label string) { m.JumpIfLess(tail.left, m.Lanes, label) }, some, all)
}

// Columns runs body for the columns of a block, whose number is the argument lanes. On NEON,
// which has no masks, that is 1 or all.
func (m Machine) Columns(body func(tail Tail)) {
	lanes := m.Pointer("lanes")
	if m.neon() {
		body(Tail{left: lanes})
	} else {
		tail := m.First(lanes)
		tail.left = lanes
		body(tail)
	}
	m.Return()
}

// Vectors runs body for count elements, a multiple of the lanes, one vector at a time. index is
// the first element of the vector.
func (m Machine) Vectors(count GPVirtual, body func(index GPVirtual)) {
	top, check := Unique("vector"), Unique("check")
	index := m.Counter()
	m.Jump(check)
	m.Label(top)
	body(index)
	m.Advance(index, m.Lanes)
	m.Advance(count, -m.Lanes)
	m.Label(check)
	m.JumpIfPositive(count, top)
}

// Elements runs body for count elements, one vector at a time, and at the end for the tail.
// index is the first element of the vector.
func (m Machine) Elements(count GPVirtual, body func(index GPVirtual, tail Tail)) {
	if m.neon() {
		m.elementsOrOne(count, body)
		return
	}
	m.elementsFrom(m.Counter(), count, body)
}

// elementsFrom runs body for count elements from index on, as Elements does. It changes index.
func (m Machine) elementsFrom(index, count GPVirtual, body func(index GPVirtual, tail Tail)) {
	top, check, done := Unique("elements"), Unique("check"), Unique("done")
	tail := m.whole()
	tail.left = count
	m.Jump(check)
	m.Label(top)
	body(index, tail)
	m.Advance(index, m.Lanes)
	m.Advance(count, -m.Lanes)
	m.Label(check)
	m.JumpIfAtLeast(count, m.Lanes, top)
	m.JumpUnlessPositive(count, done)
	m.setFirst(tail, count)
	m.Jump(top)
	m.Label(done)
}

// ElementsInChains is Elements for a body that is a long chain of operations. Where there are
// registers for several vectors, as AVX-512 has them, their chains are Interleaved.
func (m Machine) ElementsInChains(count GPVirtual, body func(index GPVirtual, tail Tail)) {
	if !m.Wide() {
		m.Elements(count, body)
		return
	}
	const chains = 4
	top, check := Unique("chains"), Unique("check")
	index := m.Counter()
	m.Jump(check)
	m.Label(top)
	Interleaved(chains, func(i int) {
		at := m.Copy(index)
		m.Advance(at, i*m.Lanes)
		body(at, All)
	})
	m.Advance(index, chains*m.Lanes)
	m.Advance(count, -chains*m.Lanes)
	m.Label(check)
	m.JumpIfAtLeast(count, chains*m.Lanes, top)
	m.elementsFrom(index, count, body)
}

// FewElements is Elements for a body of few instructions. It writes the body twice, for whole
// vectors and for the tail, so that whole vectors need no mask and no question.
func (m Machine) FewElements(count GPVirtual, body func(index GPVirtual, tail Tail)) {
	if m.neon() {
		m.elementsOrOne(count, body)
		return
	}
	top, check, done := Unique("few"), Unique("check"), Unique("done")
	index := m.Counter()
	m.Jump(check)
	m.Label(top)
	body(index, All)
	m.Advance(index, m.Lanes)
	m.Advance(count, -m.Lanes)
	m.Label(check)
	m.JumpIfAtLeast(count, m.Lanes, top)
	m.JumpIfZero(count, done)
	body(index, m.First(count))
	m.Label(done)
}

// elementsOrOne is Elements without masks: the tail goes one element at a time.
func (m Machine) elementsOrOne(count GPVirtual, body func(index GPVirtual, tail Tail)) {
	top, check, done := Unique("elements"), Unique("check"), Unique("done")
	index, step := m.Counter(), General()
	setARM(step, uint32(m.Lanes))
	m.Jump(check)
	m.Label(top)
	body(index, Tail{left: count})
	WriteARM("ADD %[2]s, %[3]s, %[1]s", index, step, index)
	WriteARM("SUB %[2]s, %[3]s, %[1]s", count, step, count)
	m.Label(check)
	m.JumpIfAtLeast(count, m.Lanes, top)
	m.JumpUnlessPositive(count, done)
	setARM(step, 1)
	m.Jump(top)
	m.Label(done)
}
