package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Label marks the next instruction.
func (m Machine) Label(name string) {
	if m.neon() {
		arm.Label(name)
	} else {
		Label(name)
	}
}

// Jump continues at a label.
func (m Machine) Jump(label string) {
	if m.neon() {
		branchARM("B %[1]s", label, false)
	} else {
		JMP(operand.LabelRef(label))
	}
}

// Rarely runs rare where condition jumps to the label that it is given, and else otherwise.
// rare stands behind the end of the function, so that the usual way is straight on.
func (m Machine) Rarely(condition func(label string), rare, otherwise func()) {
	label, back := Unique("rare"), Unique("back")
	condition(label)
	otherwise()
	m.Label(back)
	behind = append(behind, func() {
		m.Label(label)
		rare()
		m.Jump(back)
	})
}

// behind is what stands behind the end of the function that is being written.
var behind []func()

// end writes what stands behind the end of a function, which may add to it.
func end() {
	for len(behind) > 0 {
		next := behind[0]
		behind = behind[1:]
		next()
	}
}

// Unless runs body where condition does not jump to the label that it is given.
func (m Machine) Unless(condition func(label string), body func()) {
	done := Unique("done")
	condition(done)
	body()
	m.Label(done)
}

// Counter returns a register with 0.
func (m Machine) Counter() GPVirtual {
	if m.neon() {
		r := arm.GP64()
		setARM(r, 0)
		return r
	}
	r := GP64()
	XORQ(r, r)
	return r
}

// Copy returns a new register with what another holds.
func (m Machine) Copy(from GPVirtual) GPVirtual {
	if m.neon() {
		r := General()
		WriteARM("MOVD %[2]s, %[1]s", r, from)
		return r
	}
	r := GP64()
	MOVQ(from, r)
	return r
}

// Advance adds a number to a register.
func (m Machine) Advance(r GPVirtual, by int) {
	switch {
	case by == 0:
	case m.neon() && by < 0:
		WriteARM("SUB $%[3]d, %[2]s, %[1]s", r, r, operand.U32(uint32(-by)))
	case m.neon():
		WriteARM("ADD $%[3]d, %[2]s, %[1]s", r, r, operand.U32(uint32(by)))
	case by < 0:
		SUBQ(number32(-by), r)
	default:
		ADDQ(number32(by), r)
	}
}

// number32 is a number as an operand of an instruction that takes 8 or 32 bits.
func number32(n int) operand.Op {
	if n < 128 {
		return operand.Imm(uint64(n))
	}
	return operand.U32(uint32(n))
}

// Move sets a register to an address.
func (m Machine) Move(to GPVirtual, address operand.Mem) {
	if m.neon() {
		from := inBase(address)
		WriteARM("ADD $%[3]d, %[2]s, %[1]s", to, from.Base, operand.U32(uint32(from.Disp)))
	} else {
		LEAQ(address, to)
	}
}

// Scaled returns the address of float32 number index·step from base on.
func (m Machine) Scaled(base, index, step GPVirtual) GPVirtual {
	if m.neon() {
		at := General()
		WriteARM("MUL %[3]s, %[2]s, %[1]s", at, index, step)
		m.Move(at, At(base, at))
		return at
	}
	at := GP64()
	MOVQ(index, at)
	IMULQ(step, at)
	m.Move(at, At(base, at))
	return at
}

// Bit returns the address of the byte with bit number index from base on, and on NEON the place
// of the bit in the byte. Elsewhere that is 0, as vectors have whole bytes of bits.
func (m Machine) Bit(base, index GPVirtual) (at, bit GPVirtual) {
	if m.neon() {
		at, bit = General(), General()
		WriteARM("LSR $3, %[2]s, %[1]s", at, index)
		WriteARM("ADD %[3]s, %[2]s, %[1]s", at, at, base)
		WriteARM("AND $7, %[2]s, %[1]s", bit, index)
		return at, bit
	}
	at = GP64()
	MOVQ(index, at)
	SHRQ(operand.Imm(3), at)
	ADDQ(base, at)
	return at, nil
}

// AdvanceBy adds an argument of the function to a register.
func (m Machine) AdvanceBy(r GPVirtual, argument string) {
	if m.neon() {
		WriteARM("ADD %[3]s, %[2]s, %[1]s", r, r, m.Pointer(argument))
	} else {
		ADDQ(m.Argument(argument), r)
	}
}

// compare compares a register or a part of memory with a number.
func (m Machine) compare(a operand.Op, n int) {
	if !m.neon() {
		CMPQ(a, operand.Imm(uint64(n)))
		return
	}
	if at, ok := a.(operand.Mem); ok {
		a = loadARM(at)
	}
	compareARM(a, n)
}

// JumpIfLess jumps if a < n. Here and below, numbers are signed, and a is a register or memory.
func (m Machine) JumpIfLess(a operand.Op, n int, label string) {
	m.compare(a, n)
	if m.neon() {
		branchARM("BLT %[1]s", label, true)
	} else {
		JL(operand.LabelRef(label))
	}
}

// JumpIfAtLeast jumps if a ≥ n.
func (m Machine) JumpIfAtLeast(a operand.Op, n int, label string) {
	m.compare(a, n)
	if m.neon() {
		branchARM("BGE %[1]s", label, true)
	} else {
		JGE(operand.LabelRef(label))
	}
}

// JumpIfPositive jumps if a > 0.
func (m Machine) JumpIfPositive(a operand.Op, label string) { m.JumpIfAtLeast(a, 1, label) }

// JumpUnlessPositive jumps if a ≤ 0.
func (m Machine) JumpUnlessPositive(a operand.Op, label string) { m.JumpIfLess(a, 1, label) }

// JumpIfZero jumps if a = 0.
func (m Machine) JumpIfZero(a operand.Op, label string) {
	m.compare(a, 0)
	if m.neon() {
		branchARM("BEQ %[1]s", label, true)
	} else {
		JE(operand.LabelRef(label))
	}
}

// JumpIfNotZero jumps if a ≠ 0.
func (m Machine) JumpIfNotZero(a operand.Op, label string) {
	m.compare(a, 0)
	if m.neon() {
		branchARM("BNE %[1]s", label, true)
	} else {
		JNE(operand.LabelRef(label))
	}
}

// CountDown subtracts a number from a register and jumps if the result is not 0.
func (m Machine) CountDown(r GPVirtual, by int, label string) {
	if m.neon() {
		WriteARM("SUBS $%[3]d, %[2]s, %[1]s", r, r, operand.U32(uint32(by)))
		branchARM("BNE %[1]s", label, true)
		return
	}
	if by == 1 {
		DECQ(r)
	} else {
		SUBQ(number32(by), r)
	}
	JNZ(operand.LabelRef(label))
}
