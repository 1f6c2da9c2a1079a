package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Transpose4x4 transposes the 4 × 4 float32 in each half of four 256-bit registers.
func Transpose4x4(rows [4]VecVirtual) (columns [4]VecVirtual) {
	var pairs [4]VecVirtual
	for i := range 4 {
		pairs[i] = YMM()
	}
	VUNPCKLPS(rows[1], rows[0], pairs[0])
	VUNPCKHPS(rows[1], rows[0], pairs[1])
	VUNPCKLPS(rows[3], rows[2], pairs[2])
	VUNPCKHPS(rows[3], rows[2], pairs[3])
	for i := range 4 {
		columns[i] = YMM()
		const lowHalves, highHalves = 0x44, 0xEE
		VSHUFPS(operand.Imm([2]uint64{lowHalves, highHalves}[i%2]), pairs[2+i/2], pairs[i/2], columns[i])
	}
	return columns
}
