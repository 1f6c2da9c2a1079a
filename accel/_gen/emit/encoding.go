package emit

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// encoding is the form of a vector instruction, which Go's assembler does not have. Registers
// stand in the bits from 0, 5 and 16 on. All are of the Arm Architecture Reference Manual,
// section C7.2.
type encoding struct {
	bits        uint32
	lanes       string // of the registers, as in the manual; one for all or one for each
	accumulates bool
}

var armVectors = map[string]encoding{
	"fadd":   {bits: 0x4E20D400, lanes: "4s"},
	"fsub":   {bits: 0x4EA0D400, lanes: "4s"},
	"fmul":   {bits: 0x6E20DC00, lanes: "4s"},
	"fdiv":   {bits: 0x6E20FC00, lanes: "4s"},
	"fmin":   {bits: 0x4EA0F400, lanes: "4s"},
	"fmax":   {bits: 0x4E20F400, lanes: "4s"},
	"fmla":   {bits: 0x4E20CC00, lanes: "4s", accumulates: true},
	"fmls":   {bits: 0x4EA0CC00, lanes: "4s", accumulates: true},
	"fsqrt":  {bits: 0x6EA1F800, lanes: "4s"},
	"frintn": {bits: 0x4E218800, lanes: "4s"},
	"fcvtns": {bits: 0x4E21A800, lanes: "4s"},
	"and":    {bits: 0x4E201C00, lanes: "16b"},
	"orr":    {bits: 0x4EA01C00, lanes: "16b"},
	"eor":    {bits: 0x6E201C00, lanes: "16b"},
	"bsl":    {bits: 0x6E601C00, lanes: "16b", accumulates: true},
	"mov":    {bits: 0x4EA01C00, lanes: "16b"},
	"add":    {bits: 0x4EA08400, lanes: "4s"},
	"sub":    {bits: 0x6EA08400, lanes: "4s"},
	"cmtst":  {bits: 0x4EA08C00, lanes: "4s"},
}

// shifts are those of 32-bit lanes. by is added to, or subtracted from, base.
var armShifts = map[string]struct {
	bits  uint32
	base  int
	right bool
}{
	"sshr": {0x4F000400, 64, true},
	"ushr": {0x6F000400, 64, true},
	"shl":  {0x4F005400, 32, false},
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
		to, from := number(operands[0]), number(operands[1])
		return word(s.bits|uint32(field)<<16|from<<5|to, fmt.Sprintf("%s v%d.4s, v%d.4s, #%d", name, to, from, by)), true
	}
	v, ok := armVectors[name]
	if !ok {
		return "", false
	}
	bits, lanes := v.bits, strings.Split(v.lanes, " ")
	var text []string
	for i, r := range operands {
		n := number(r)
		bits |= n << [...]uint32{0, 5, 16}[i]
		text = append(text, fmt.Sprintf("v%d.%s", n, lanes[min(i, len(lanes)-1)]))
	}
	if name == "mov" { // is orr with itself
		bits |= number(operands[1]) << 16
	}
	return word(bits, name+" "+strings.Join(text, ", ")), true
}

func word(bits uint32, text string) string { return fmt.Sprintf("WORD $0x%08x // %s", bits, text) }

// number returns the number of a register.
func number(r operand.Op) uint32 { return uint32(ToPhysical(r.(Register)).PhysicalIndex()) }
