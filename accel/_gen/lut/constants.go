package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// entries has the 16 entries of a table in order.
var entries = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// signs is a constant of 16 pairs of words. They are the signs by which table entry e multiplies
// the activations 2·pair and 2·pair+1 of a group: −1 if the activation's bit in e is clear.
func signs(name string, pair int, order []int) Mem {
	var words []U16
	for _, e := range order {
		for j := range 2 {
			sign := -1
			if e>>(2*pair+j)&1 != 0 {
				sign = 1
			}
			words = append(words, U16(uint16(sign)))
		}
	}
	return emit.Table(name, words)
}

// broadcast16 sets every word of v to a 16-bit pattern.
func broadcast16(pattern uint16, v VecVirtual) {
	broadcast32(uint32(pattern)<<16|uint32(pattern), v)
}

// broadcast32 sets every lane of v to a 32-bit pattern.
func broadcast32(pattern uint32, v VecVirtual) {
	scratch := GP32()
	MOVL(U32(pattern), scratch)
	if v.Size() == uint(wide.Bytes()) {
		VPBROADCASTD(scratch, v)
		return
	}
	x := XMM()
	VMOVD(scratch, x)
	VPBROADCASTD(x, v)
}
