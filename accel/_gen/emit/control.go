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
