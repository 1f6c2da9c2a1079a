package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

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
