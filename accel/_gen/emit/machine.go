// Package emit writes float32 vector code once for AVX2, AVX-512 and NEON. A [Machine] stands for
// one of them; its methods append instructions to the current function. Not every method is
// there for NEON: one that is not appends instructions of amd64, outside a function.
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

// Machines has the instruction sets of amd64.
var Machines = []Machine{{"AVX2", 8}, {"AVX512", 16}}

// NEON is the instruction set of arm64.
var NEON = Machine{"NEON", 4}

// Wide reports whether the machine has AVX-512.
func (m Machine) Wide() bool { return m.Lanes == 16 }

// neon reports whether the machine has NEON.
func (m Machine) neon() bool { return m.Lanes == 4 }

// Bytes is the size of a vector in bytes.
func (m Machine) Bytes() int { return 4 * m.Lanes }

// Function begins the function name+Suffix with this signature.
func (m Machine) Function(name, signature string) {
	if m.neon() {
		beginARM(name+m.Suffix, signature)
		return
	}
	TEXT(name+m.Suffix, NOSPLIT, signature)
	Pragma("noescape")
}

// Return ends a function.
func (m Machine) Return() {
	if m.neon() {
		returnARM()
	} else {
		VZEROUPPER()
		RET()
	}
	end()
}

// Vector allocates a vector register.
func (m Machine) Vector() VecVirtual {
	if m.neon() {
		return arm.ZMM()
	}
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

// Pointer, Slice, Length and Argument are what the methods of these names are, for functions
// that are there only for amd64.
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

// Pointer loads an argument that is a pointer or an integer into a register.
func (m Machine) Pointer(name string) GPVirtual { return m.load(m.Param(name)) }

// Slice loads the address of the first element of an argument that is a slice.
func (m Machine) Slice(name string) GPVirtual { return m.load(m.Param(name).Base()) }

// Length loads the length of an argument that is a slice.
func (m Machine) Length(name string) GPVirtual { return m.load(m.Param(name).Len()) }

// Argument returns an argument as a memory operand.
func (m Machine) Argument(name string) operand.Mem { return Place(m.Param(name)) }

// Param returns an argument of the function.
func (m Machine) Param(name string) gotypes.Component {
	if m.neon() {
		return arm.Param(name)
	}
	return Param(name)
}

func (m Machine) load(part gotypes.Component) GPVirtual {
	if m.neon() {
		return loadARM(Place(part))
	}
	return Load(part, GP64()).(GPVirtual)
}

// Zero returns a vector of zeros.
func (m Machine) Zero() VecVirtual {
	v := m.Vector()
	switch {
	case m.neon():
		ARM("eor", v, v, v)
	case m.Wide():
		VPXORD(v, v, v)
	default:
		VXORPS(v, v, v)
	}
	return v
}

// Spread returns a vector with the float32 at from in every lane.
func (m Machine) Spread(from operand.Mem) VecVirtual {
	v := m.Vector()
	m.SpreadTo(v, from)
	return v
}

// SpreadTo sets every lane of v to the float32 at from.
func (m Machine) SpreadTo(v VecVirtual, from operand.Mem) {
	if m.neon() {
		spreadARM(from, v)
	} else {
		VBROADCASTSS(from, v)
	}
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
