package emit

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// avo knows only the instructions of amd64, but allocates registers and follows jumps whatever
// the instructions are. Here the opcode of an instruction is a format for its line of assembly,
// in which the operands are put. Registers are those of amd64 until they are printed: there
// are as many vector registers, and fewer others.

// arm holds the functions for arm64.
var arm = build.NewContext()

// armConstants are the constants of the function that is being written. They are loaded at its
// beginning.
var armConstants map[uint64]VecVirtual

func beginARM(name, signature string) {
	arm.Function(name)
	arm.Attributes(attr.NOSPLIT)
	arm.SignatureExpr(signature)
	arm.Pragma("noescape")
	armConstants = map[uint64]VecVirtual{}
}

// armFunction is the function that is being written.
func armFunction() *ir.Function {
	file, err := arm.Result()
	if err != nil {
		panic(err)
	}
	all := file.Functions()
	return all[len(all)-1]
}

func returnARM() { arm.Instruction(&ir.Instruction{Opcode: "RET", IsTerminal: true}) }

func branchARM(format, label string, conditional bool) {
	arm.Instruction(&ir.Instruction{
		Opcode: format, Operands: []operand.Op{operand.LabelRef(label)}, IsBranch: true, IsConditional: conditional,
	})
}

// WriteARM appends an instruction that changes its first operand, without reading it, and reads
// the others.
func WriteARM(format string, to Register, from ...operand.Op) {
	arm.Instruction(&ir.Instruction{
		Opcode: format, Operands: append([]operand.Op{to}, from...), Inputs: from, Outputs: []operand.Op{to},
	})
}

// ReadARM appends an instruction that reads all its operands.
func ReadARM(format string, from ...operand.Op) {
	arm.Instruction(&ir.Instruction{Opcode: format, Operands: from, Inputs: from})
}

// General returns a new general-purpose register.
func General() GPVirtual { return arm.GP64() }

func setARM(r GPVirtual, value uint32) { WriteARM("MOVD $%[2]d, %[1]s", r, operand.U32(value)) }

func compareARM(a operand.Op, n int) { ReadARM("CMP $%[2]d, %[1]s", a, operand.U32(uint32(n))) }

func loadARM(from operand.Mem) GPVirtual {
	r := arm.GP64()
	WriteARM("MOVD %[2]s, %[1]s", r, from)
	return r
}

// inBase returns the address with a base register and an offset alone.
func inBase(at operand.Mem) operand.Mem {
	if at.Index == nil {
		return at
	}
	base := arm.GP64()
	shift := map[uint8]uint32{1: 0, 2: 1, 4: 2, 8: 3}[at.Scale]
	WriteARM("ADD %[2]s<<%[4]d, %[3]s, %[1]s", base, at.Index, at.Base, operand.U32(shift))
	return operand.Mem{Base: base, Disp: at.Disp}
}

func loadVectorARM(from operand.Mem, to VecVirtual) { WriteARM("FMOVQ %[2]s, %[1]f", to, inBase(from)) }
func loadLaneARM(from operand.Mem, to VecVirtual)   { WriteARM("FMOVS %[2]s, %[1]f", to, inBase(from)) }
func storeVectorARM(v VecVirtual, to operand.Mem)   { ReadARM("FMOVQ %[1]f, %[2]s", v, inBase(to)) }
func storeLaneARM(v VecVirtual, to operand.Mem)     { ReadARM("FMOVS %[1]f, %[2]s", v, inBase(to)) }
func fetchARM(at operand.Mem)                       { ReadARM("PRFM %[1]s, PLDL1KEEP", inBase(at)) }

func spreadARM(from operand.Mem, to VecVirtual) {
	bits := arm.GP64()
	WriteARM("MOVWU %[2]s, %[1]s", bits, inBase(from))
	WriteARM("VDUP %[2]s, %[1]s.S4", to, bits)
}

// ARMData puts elements into read-only memory and returns their address.
func ARMData[C operand.Constant](name string, elements []C) operand.Mem {
	at, written := armTables[name]
	if !written {
		at = arm.StaticGlobal(name)
		arm.DataAttributes(attr.RODATA | attr.NOPTR)
		for i, word := range words(elements) {
			arm.AddDatum(8*i, word)
		}
		armTables[name] = at
	}
	return at
}

var armTables = map[string]operand.Mem{}

// ARMTable loads a vector from read-only memory.
func ARMTable(to VecVirtual, from operand.Mem) {
	at := arm.GP64()
	WriteARM("MOVD $%[2]s, %[1]s", at, from)
	loadVectorARM(operand.Mem{Base: at}, to)
}

// ARMResult returns the lowest 32 bits of v as the function's result.
func ARMResult(v VecVirtual) { storeLaneARM(v, Place(arm.ReturnIndex(0))) }

// table is four registers in a row, which an instruction looks up as one table.
var table = []operand.Op{Z28, Z29, Z30, Z31}

// LoadTable loads 64 bytes for LookUp.
func LoadTable(from GPVirtual) {
	for i, r := range table {
		WriteARM("FMOVQ %[2]s, %[1]f", r.(Register), operand.Mem{Base: from, Disp: 16 * i})
	}
}

// LookUp replaces each byte of v by that byte of the table.
func LookUp(v VecVirtual) {
	arm.Instruction(&ir.Instruction{
		Opcode: "tbl4", Operands: []operand.Op{v, table[0], v}, Inputs: append([]operand.Op{v}, table...), Outputs: []operand.Op{v},
	})
}

// StoreFirst stores the first lanes of v, as many as left has but four at most, and moves y
// behind them. If more are left it continues at the label.
func StoreFirst(v VecVirtual, y, left GPVirtual, label string) {
	one, done := Unique("one"), Unique("done")
	NEON.JumpIfLess(left, NEON.Lanes, one)
	storeVectorARM(v, operand.Mem{Base: y})
	NEON.Advance(y, NEON.Bytes())
	NEON.Advance(left, -NEON.Lanes)
	NEON.JumpIfPositive(left, label)
	NEON.Jump(done)
	NEON.Label(one)
	storeLaneARM(v, operand.Mem{Base: y})
	ARM("next", v, v, v)
	NEON.Advance(y, 4)
	NEON.CountDown(left, 1, one)
	NEON.Label(done)
}

// constantARM returns a vector with c in every lane, which must not be changed.
func constantARM(c Constant) VecVirtual {
	if v, ok := armConstants[c.pattern]; ok {
		return v
	}
	v, bits := arm.ZMM(), arm.GP64()
	armConstants[c.pattern] = v
	f := armFunction()
	body := f.Nodes
	f.Nodes = nil
	setARM(bits, uint32(c.pattern))
	WriteARM("VDUP %[2]s, %[1]s.S4", v, bits)
	f.Nodes = append(f.Nodes, body...)
	return v
}

// ARM appends the vector instruction with this name in the manual of Arm. Instructions
// that accumulate read their first operand too.
func ARM(name string, to Register, from ...Register) {
	v, ok := armVectors[name]
	if !ok {
		panic("emit: no encoding of " + name)
	}
	operands := []operand.Op{to}
	var inputs []operand.Op
	if v.accumulates {
		inputs = append(inputs, to)
	}
	for _, r := range from {
		operands, inputs = append(operands, r), append(inputs, r)
	}
	arm.Instruction(&ir.Instruction{
		Opcode: name, Operands: operands, Inputs: inputs, Outputs: []operand.Op{to},
		CancellingInputs: name == "eor",
	})
}

// ARMShift appends the shift with this name.
func ARMShift(name string, to, from Register, by uint8) {
	arm.Instruction(&ir.Instruction{
		Opcode: name, Operands: []operand.Op{to, from, operand.U8(by)}, Inputs: []operand.Op{from}, Outputs: []operand.Op{to},
	})
}
