package emit

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// encoding is the form of a vector instruction, most of which Go's assembler does not have.
// Registers stand in the bits from 0, 5 and 16 on. All are of the Arm Architecture Reference
// Manual, section C7.2.
type encoding struct {
	bits        uint32
	text        string // without the numbers of registers: v.4s, v.4s, v.4s
	accumulates bool   // it reads its first register too
}

var armVectors = map[string]encoding{
	"fadd":   {0x4E20D400, "fadd v.4s, v.4s, v.4s", false},
	"fsub":   {0x4EA0D400, "fsub v.4s, v.4s, v.4s", false},
	"fmul":   {0x6E20DC00, "fmul v.4s, v.4s, v.4s", false},
	"fdiv":   {0x6E20FC00, "fdiv v.4s, v.4s, v.4s", false},
	"fmin":   {0x4EA0F400, "fmin v.4s, v.4s, v.4s", false},
	"fmax":   {0x4E20F400, "fmax v.4s, v.4s, v.4s", false},
	"fmla":   {0x4E20CC00, "fmla v.4s, v.4s, v.4s", true},
	"fmls":   {0x4EA0CC00, "fmls v.4s, v.4s, v.4s", true},
	"fsqrt":  {0x6EA1F800, "fsqrt v.4s, v.4s", false},
	"frintn": {0x4E218800, "frintn v.4s, v.4s", false},
	"fcvtns": {0x4E21A800, "fcvtns v.4s, v.4s", false},
	"scvtf":  {0x4E21D800, "scvtf v.4s, v.4s", false},

	"mov":   {0x4EA01C00, "mov v.16b, v.16b", false},
	"and":   {0x4E201C00, "and v.16b, v.16b, v.16b", false},
	"orr":   {0x4EA01C00, "orr v.16b, v.16b, v.16b", false},
	"eor":   {0x6E201C00, "eor v.16b, v.16b, v.16b", false},
	"bsl":   {0x6E601C00, "bsl v.16b, v.16b, v.16b", true},
	"tbl":   {0x4E000000, "tbl v.16b, {v.16b}, v.16b", false},
	"tbl4":  {0x4E006000, "tbl v.16b, {v.16b-v31.16b}, v.16b", false}, // see LookUp
	"ushl":  {0x6EA04400, "ushl v.4s, v.4s, v.4s", false},
	"uzp1":  {0x4E001800, "uzp1 v.16b, v.16b, v.16b", false},
	"uzp2":  {0x4E005800, "uzp2 v.16b, v.16b, v.16b", false},
	"next":  {0x6E002000 | 4<<11, "ext v.16b, v.16b, v.16b, #4", false}, // lane 1 becomes the first
	"add":   {0x4EA08400, "add v.4s, v.4s, v.4s", false},
	"sub":   {0x6EA08400, "sub v.4s, v.4s, v.4s", false},
	"mul":   {0x4EA09C00, "mul v.4s, v.4s, v.4s", false},
	"umax":  {0x6EA06400, "umax v.4s, v.4s, v.4s", false},
	"cmtst": {0x4EA08C00, "cmtst v.4s, v.4s, v.4s", false},
	"umaxv": {0x6EB0A800, "umaxv s, v.4s", false},
	"addv":  {0x4EB1B800, "addv s, v.4s", false},

	"mul.8h":      {0x4E609C00, "mul v.8h, v.8h, v.8h", false},
	"mla.8h":      {0x4E609400, "mla v.8h, v.8h, v.8h", true},
	"sqrdmulh.8h": {0x6E60B400, "sqrdmulh v.8h, v.8h, v.8h", false},
	"uzp1.8h":     {0x4E401800, "uzp1 v.8h, v.8h, v.8h", false},
	"abs.8h":      {0x4E60B800, "abs v.8h, v.8h", false},
	"addp.8h":     {0x4E60BC00, "addp v.8h, v.8h, v.8h", false},
	"smax.8h":     {0x4E606400, "smax v.8h, v.8h, v.8h", false},
	"smaxv.8h":    {0x4E70A800, "smaxv h, v.8h", false},

	// These add the lower or (2) the upper half of the last register's lanes.
	"saddw.8h":  {0x0E201000, "saddw v.8h, v.8h, v.8b", false},
	"saddw2.8h": {0x4E201000, "saddw2 v.8h, v.8h, v.16b", false},
	"uaddw.8h":  {0x2E201000, "uaddw v.8h, v.8h, v.8b", false},
	"uaddw2.8h": {0x6E201000, "uaddw2 v.8h, v.8h, v.16b", false},
	"saddw.4s":  {0x0E601000, "saddw v.4s, v.4s, v.4h", false},
	"saddw2.4s": {0x4E601000, "saddw2 v.4s, v.4s, v.8h", false},
	"uaddw.4s":  {0x2E601000, "uaddw v.4s, v.4s, v.4h", false},
	"uaddw2.4s": {0x6E601000, "uaddw2 v.4s, v.4s, v.8h", false},
}

// armShifts are shifts by a number, which is added to base or subtracted from it.
var armShifts = map[string]struct {
	bits  uint32
	text  string
	base  int
	right bool
}{
	"sshr":      {0x4F000400, "sshr v.4s, v.4s", 64, true},
	"ushr":      {0x6F000400, "ushr v.4s, v.4s", 64, true},
	"shl":       {0x4F005400, "shl v.4s, v.4s", 32, false},
	"ushr.16b":  {0x6F000400, "ushr v.16b, v.16b", 16, true},
	"sshll.4s":  {0x0F00A400, "sshll v.4s, v.4h", 16, false},
	"sshll2.4s": {0x4F00A400, "sshll2 v.4s, v.8h", 16, false},
}

// encode returns a vector instruction as a word, with the instruction as a comment. It returns
// false if the name is that of none.
func encode(name string, operands []operand.Op) (line string, ok bool) {
	if s, ok := armShifts[name]; ok {
		by := int(operands[2].(operand.U8))
		field := s.base + by
		if s.right {
			field = s.base - by
		}
		return word(s.bits|uint32(field)<<16, fmt.Sprintf("%s, #%d", s.text, by), operands[:2]), true
	}
	v, ok := armVectors[name]
	if !ok {
		return "", false
	}
	if name == "mov" { // is orr of a register with itself
		v.bits |= number(operands[1]) << 16
	}
	return word(v.bits, v.text, operands), true
}

// word puts registers into an instruction, and into its text behind each v, h or s.
func word(bits uint32, text string, registers []operand.Op) string {
	opcode, rest, _ := strings.Cut(text, " ")
	var all strings.Builder
	for i, part := range strings.SplitAfter(rest, ",") {
		if i < len(registers) {
			n := number(registers[i])
			bits |= n << [...]uint32{0, 5, 16}[i]
			at := strings.IndexAny(part, "vhs") + 1
			part = fmt.Sprintf("%s%d%s", part[:at], n, part[at:])
		}
		all.WriteString(part)
	}
	return fmt.Sprintf("WORD $0x%08x // %s %s", bits, opcode, all.String())
}

// number returns the number of a register.
func number(r operand.Op) uint32 { return uint32(ToPhysical(r.(Register)).PhysicalIndex()) }
