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

// writeARM appends an instruction that changes its first operand, without reading it, and reads
// the others.
func writeARM(format string, to Register, from ...operand.Op) {
	arm.Instruction(&ir.Instruction{
		Opcode: format, Operands: append([]operand.Op{to}, from...), Inputs: from, Outputs: []operand.Op{to},
	})
}

// readARM appends an instruction that reads all its operands.
func readARM(format string, from ...operand.Op) {
	arm.Instruction(&ir.Instruction{Opcode: format, Operands: from, Inputs: from})
}

// addressARM appends an instruction on general-purpose registers.
func addressARM(format string, to GPVirtual, from ...operand.Op) { writeARM(format, to, from...) }

func setARM(r GPVirtual, value uint32) { writeARM("MOVD $%[2]d, %[1]s", r, operand.U32(value)) }

func compareARM(a operand.Op, n int) { readARM("CMP $%[2]d, %[1]s", a, operand.U32(uint32(n))) }

func loadARM(from operand.Mem) GPVirtual {
	r := arm.GP64()
	writeARM("MOVD %[2]s, %[1]s", r, from)
	return r
}

// inBase returns the address with a base register and an offset alone.
func inBase(at operand.Mem) operand.Mem {
	if at.Index == nil {
		return at
	}
	base := arm.GP64()
	shift := map[uint8]uint32{1: 0, 2: 1, 4: 2, 8: 3}[at.Scale]
	writeARM("ADD %[2]s<<%[4]d, %[3]s, %[1]s", base, at.Index, at.Base, operand.U32(shift))
	return operand.Mem{Base: base, Disp: at.Disp}
}

func loadVectorARM(from operand.Mem, to VecVirtual) { writeARM("FMOVQ %[2]s, %[1]f", to, inBase(from)) }
func loadLaneARM(from operand.Mem, to VecVirtual)   { writeARM("FMOVS %[2]s, %[1]f", to, inBase(from)) }
func storeVectorARM(v VecVirtual, to operand.Mem)   { readARM("FMOVQ %[1]f, %[2]s", v, inBase(to)) }
func storeLaneARM(v VecVirtual, to operand.Mem)     { readARM("FMOVS %[1]f, %[2]s", v, inBase(to)) }
func fetchARM(at operand.Mem)                       { readARM("PRFM %[1]s, PLDL1KEEP", inBase(at)) }

func spreadARM(from operand.Mem, to VecVirtual) {
	bits := arm.GP64()
	writeARM("MOVWU %[2]s, %[1]s", bits, inBase(from))
	writeARM("VDUP %[2]s, %[1]s.S4", to, bits)
}

// gatherARM sets the address of a row to that of the next entry of its order.
func gatherARM(r Row, stride, base GPVirtual) {
	index := arm.GP64()
	writeARM("MOVW %[2]s, %[1]s", index, operand.Mem{Base: r.order})
	addressARM("MADD %[3]s, %[4]s, %[2]s, %[1]s", r.at, index, stride, base)
	addressARM("ADD $4, %[2]s, %[1]s", r.order, r.order)
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
	writeARM("VDUP %[2]s, %[1]s.S4", v, bits)
	f.Nodes = append(f.Nodes, body...)
	return v
}

// armVector appends the vector instruction with this name in the manual of Arm. Instructions
// that accumulate read their first operand too.
func armVector(name string, to VecVirtual, from ...VecVirtual) {
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

// armShift appends the shift of 32-bit lanes with this name.
func armShift(name string, to, from VecVirtual, by uint8) {
	arm.Instruction(&ir.Instruction{
		Opcode: name, Operands: []operand.Op{to, from, operand.U8(by)}, Inputs: []operand.Op{from}, Outputs: []operand.Op{to},
	})
}
