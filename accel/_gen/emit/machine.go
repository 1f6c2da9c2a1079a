// Package emit writes float32 vector code once for AVX2 and AVX-512, which differ in the width
// of a register. A [Machine] stands for one of them; its methods append instructions to avo's
// current function.
//
// Methods that return a vector put it into a new register and leave their operands as they are.
// Methods that return nothing change their first operand.
package emit

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Machine is an instruction set with the width of its vectors.
type Machine struct {
	Suffix string // of function names
	Lanes  int    // float32 in a vector
}

// Machines has the instruction sets that kernels are generated for.
var Machines = []Machine{{"AVX2", 8}, {"AVX512", 16}}

// Wide reports whether the machine has AVX-512.
func (m Machine) Wide() bool { return m.Lanes == 16 }

// Bytes is the size of a vector in bytes.
func (m Machine) Bytes() int { return 4 * m.Lanes }

// Function begins the function name+Suffix with this signature.
func (m Machine) Function(name, signature string) {
	TEXT(name+m.Suffix, NOSPLIT, signature)
	Pragma("noescape")
}

// Return ends a function.
func (m Machine) Return() {
	VZEROUPPER()
	RET()
}

// Vector allocates a vector register.
func (m Machine) Vector() VecVirtual {
	if m.Wide() {
		return ZMM()
	}
	return YMM()
}

// half returns the lower half of v.
func (m Machine) half(v VecVirtual) Register {
	if m.Wide() {
		return v.AsY()
	}
	return v.AsX()
}

// Pointer loads an argument that is a pointer or an integer into a register.
func Pointer(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

// Slice loads the address of the first element of an argument that is a slice.
func Slice(name string) GPVirtual { return Load(Param(name).Base(), GP64()).(GPVirtual) }

// Length loads the length of an argument that is a slice.
func Length(name string) GPVirtual { return Load(Param(name).Len(), GP64()).(GPVirtual) }

// Argument returns an argument as a memory operand.
func Argument(name string) operand.Mem { return Place(Param(name)) }

// Place returns a part of an argument as a memory operand.
func Place(part gotypes.Component) operand.Mem {
	argument, err := part.Resolve()
	if err != nil {
		panic(err)
	}
	return argument.Addr
}

// Tail says which lanes of a vector are used. The zero value is all of them.
type Tail struct {
	mask Register // an opmask on AVX-512, a vector of signs on AVX2
}

// All uses every lane.
var All Tail

// First returns a tail of the first n lanes, 0 ≤ n ≤ Lanes.
func (m Machine) First(n GPVirtual) Tail {
	if m.Wide() {
		bits, mask := GP32(), K()
		MOVL(operand.I32(-1), bits)
		BZHIL(n.As32(), bits, bits)
		KMOVW(bits, mask)
		return Tail{mask}
	}
	mask, at := YMM(), GP64()
	LEAQ(tailWindow(), at)
	offset := GP64()
	MOVQ(operand.U32(8), offset)
	SUBQ(n, offset)
	VMOVDQU(operand.Mem{Base: at, Index: offset, Scale: 4}, mask)
	return Tail{mask}
}

// Load loads a vector. Lanes outside tail become 0, and their memory is not read.
func (m Machine) Load(from operand.Mem, tail Tail) VecVirtual {
	v := m.Vector()
	switch {
	case tail == All:
		VMOVUPS(from, v)
	case m.Wide():
		VMOVUPS_Z(from, tail.mask, v)
	default:
		VMASKMOVPS(from, tail.mask, v)
	}
	return v
}

// LoadOr loads a vector. Lanes outside tail are taken from other, and their memory is not read.
func (m Machine) LoadOr(from operand.Mem, tail Tail, other VecVirtual) VecVirtual {
	v := m.Load(from, tail)
	if tail == All {
		return v
	}
	merged := m.Vector()
	if m.Wide() {
		VBLENDMPS(v, other, tail.mask, merged)
	} else {
		VBLENDVPS(tail.mask, v, other, merged)
	}
	return merged
}

// Store stores the lanes of tail.
func (m Machine) Store(v VecVirtual, to operand.Mem, tail Tail) {
	switch {
	case tail == All:
		VMOVUPS(v, to)
	case m.Wide():
		VMOVUPS(v, tail.mask, to)
	default:
		VMASKMOVPS(v, tail.mask, to)
	}
}

// Zero returns a vector of zeros.
func (m Machine) Zero() VecVirtual {
	v := m.Vector()
	if m.Wide() {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
	return v
}

// Spread returns a vector with the float32 at from in every lane.
func (m Machine) Spread(from operand.Mem) VecVirtual {
	v := m.Vector()
	VBROADCASTSS(from, v)
	return v
}

// Elements runs body for count elements, one vector at a time, and at the end for the tail.
// index is the first element of the vector. count is 0 afterwards.
func (m Machine) Elements(count GPVirtual, body func(index GPVirtual, tail Tail)) {
	whole, rest, done := Unique("whole"), Unique("rest"), Unique("done")
	index := GP64()
	XORQ(index, index)
	Label(whole)
	CMPQ(count, operand.Imm(uint64(m.Lanes)))
	JL(operand.LabelRef(rest))
	body(index, All)
	ADDQ(operand.Imm(uint64(m.Lanes)), index)
	SUBQ(operand.Imm(uint64(m.Lanes)), count)
	JMP(operand.LabelRef(whole))
	Label(rest)
	TESTQ(count, count)
	JZ(operand.LabelRef(done))
	body(index, m.First(count))
	Label(done)
}

// Unique returns a new label that begins with name. A body that is written twice needs two
// labels for each of its loops.
func Unique(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

var labels int

// At is the address of element index of a float32 slice.
func At(base, index GPVirtual) operand.Mem { return operand.Mem{Base: base, Index: index, Scale: 4} }
