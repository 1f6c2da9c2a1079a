package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"bittern/accel/_gen/emit"
)

// rows has the addresses of up to 8 rows that are a stride apart. Of each four rows, the first
// has a register; the others are one, two and three strides away from it, as an index.
type rows struct {
	bases         []Register
	stride, three Register
}

func rowsOf(base, stride Register, height int) rows {
	SHLQ(Imm(2), stride)
	r := rows{bases: []Register{base}, stride: stride}
	if height > 3 {
		r.three = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.three)
	}
	for i := 4; i < height; i += 4 {
		next := GP64()
		LEAQ(Mem{Base: r.bases[len(r.bases)-1], Index: stride, Scale: 4}, next)
		r.bases = append(r.bases, next)
	}
	return r
}

// row is the memory offset bytes into row i.
func (r rows) row(i, offset int) Mem {
	at := Mem{Base: r.bases[i/4], Disp: offset}
	switch i % 4 {
	case 1, 2:
		at.Index, at.Scale = r.stride, uint8(i%4)
	case 3:
		at.Index, at.Scale = r.three, 1
	}
	return at
}

func (r rows) advance(bytes Register) {
	for _, base := range r.bases {
		ADDQ(bytes, base)
	}
}

// fetchNext fetches what the next tile reads, as many rows after these, which another worker may just
// have written: a cache line of each, whenever depth, the number of steps that are left, is a multiple
// of a line's elements. Packed rows do not need it, and what it fetches there is close by.
func (r rows) fetchNext(m emit.Machine, height int, depth Register) {
	const line = 16
	m.Rarely(func(label string) {
		TESTQ(U32(line-1), depth)
		JZ(LabelRef(label))
	}, func() {
		next := rows{stride: r.stride, three: r.three}
		for _, base := range r.bases {
			at := GP64()
			LEAQ(Mem{Base: base, Index: r.stride, Scale: uint8(height)}, at)
			next.bases = append(next.bases, at)
		}
		for i := range height {
			PREFETCHT0(next.row(i, 0))
		}
	}, func() {})
}
