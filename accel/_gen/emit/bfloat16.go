package emit

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// extension is what tells the instructions of AVX512_BF16 apart, which neither avo nor Go's
// assembler knows (Intel SDM volume 2, "VDPBF16PS" and "VCVTNE2PS2BF16").
type extension struct {
	prefix byte // pp of the EVEX prefix: 2 for F3, 3 for F2
	opcode byte
	adds   bool // whether the destination is read too
}

var extensions = map[string]extension{
	"VDPBF16PS":      {prefix: 2, opcode: 0x52, adds: true},
	"VCVTNE2PS2BF16": {prefix: 3, opcode: 0x72},
}

// DotBFloat16 adds to each float32 of sum the two products of the pairs of bfloat16 in its lane of
// a and b.
func DotBFloat16(a, b, sum reg.VecVirtual) { extended("VDPBF16PS", a, b, sum) }

// RoundBFloat16 returns the 16 numbers of low, then those of high, as 32 bfloat16.
func RoundBFloat16(low, high reg.VecVirtual) reg.VecVirtual {
	v := ZMM()
	extended("VCVTNE2PS2BF16", low, high, v)
	return v
}

// extended appends an instruction on whole AVX-512 registers, with Go's order of operands.
func extended(name string, second, first, destination operand.Op) {
	i := &ir.Instruction{
		Opcode: name, Operands: []operand.Op{second, first, destination},
		Inputs: []operand.Op{second, first}, Outputs: []operand.Op{destination}, ISA: []string{"AVX512_BF16"},
	}
	if extensions[name].adds {
		i.Inputs = append(i.Inputs, destination)
	}
	Instruction(i)
}

// avo's Generate prints what Compile leaves, so the bytes have to be there by then.
func init() { pass.Compile = pass.Concat(pass.Compile, pass.FunctionPass(extend)) }

// extend replaces the instructions by their bytes, once their registers are known.
func extend(f *ir.Function) error {
	var nodes []ir.Node
	for _, node := range f.Nodes {
		i, ok := node.(*ir.Instruction)
		if !ok || extensions[i.Opcode].opcode == 0 {
			nodes = append(nodes, node)
			continue
		}
		b := evex(extensions[i.Opcode], byte(number(i.Operands[2])), byte(number(i.Operands[1])), byte(number(i.Operands[0])))
		text := fmt.Sprintf("LONG $0x%02x%02x%02x%02x; WORD $0x%02x%02x // %s %s, %s, %s", b[3], b[2], b[1], b[0], b[5], b[4],
			i.Opcode, i.Operands[0].Asm(), i.Operands[1].Asm(), i.Operands[2].Asm())
		nodes = append(nodes, &ir.Instruction{Opcode: text})
	}
	f.Nodes = nodes
	return nil
}

// evex encodes an instruction on three whole registers (Intel SDM volume 2, section 2.7.1): the
// first operand, the destination, in ModRM.reg, the second in EVEX.vvvv and the third in
// ModRM.rm. The upper bits of their numbers are stored inverted.
func evex(e extension, destination, first, second byte) [6]byte {
	const map0F38, length512 = 2, 2
	inverted := func(number, bit byte) byte { return ^number >> bit & 1 }
	return [6]byte{
		0x62,
		inverted(destination, 3)<<7 | inverted(second, 4)<<6 | inverted(second, 3)<<5 | inverted(destination, 4)<<4 | map0F38,
		^first&15<<3 | 1<<2 | e.prefix,
		length512<<5 | inverted(first, 4)<<3,
		e.opcode,
		3<<6 | destination&7<<3 | second&7,
	}
}
