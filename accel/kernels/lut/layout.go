package lut

import "unsafe"

// blockRows is the number of rows that are summed together, at every level.
const blockRows = 64

// layout places the codes of a plane of bits, or of two together. A code stands
// for group columns of one row: for their signs in one or both planes, or for the
// sums of both as digits to base 3. Chunks of columns of a block of rows are
// codeBytes long, and have tables of tableBytes.
type layout struct {
	chunk                 int // columns
	codeBytes, tableBytes int

	group int
	trits bool
	bits  int // of a code
	// place is the byte of the chunk, and the bit in it, of a bit of the code of
	// a row and group.
	place func(row, group, bit int) (at, shift int)
}

// chunks is the number of chunks that hold columns.
func (l layout) chunks(columns int) int { return (columns + l.chunk - 1) / l.chunk }

// blockBytes is the size of the codes of a block of rows.
func (l layout) blockBytes(columns int) int { return l.chunks(columns) * l.codeBytes }

// code returns the code of a group, or of its first columns. Bit p of signs[c] is set
// where plane p of column c is +1.
func (l layout) code(signs []uint8, planes []int) uint8 {
	code, digit := uint8(0), uint8(1)
	for c, sign := range signs {
		for i, p := range planes {
			if one := sign >> p & 1; l.trits {
				code += one * digit
			} else {
				code |= one << (i*l.group + c)
			}
		}
		digit *= 3
	}
	return code
}

// arrange lays out planes of rows×columns signs, as many as the layout is for.
func (l layout) arrange(signs []uint8, rows, columns int, planes []int) []byte {
	codes := aligned((rows + blockRows - 1) / blockRows * l.blockBytes(columns))
	type position struct {
		at    int
		shift uint8
	}
	groups := l.chunk / l.group
	positions := make([]position, blockRows*groups*l.bits)
	for i := range positions {
		at, shift := l.place(i/l.bits/groups, i/l.bits%groups, i%l.bits)
		positions[i] = position{at, uint8(shift)}
	}
	for r := range rows {
		block := codes[r/blockRows*l.blockBytes(columns):]
		for c := 0; c < columns; c += l.group {
			chunk := block[c/l.chunk*l.codeBytes:]
			first := (r%blockRows*groups + c%l.chunk/l.group) * l.bits
			code := l.code(signs[r*columns+c:r*columns+min(c+l.group, columns)], planes)
			for bit, p := range positions[first : first+l.bits] {
				chunk[p.at] |= code >> bit & 1 << p.shift
			}
		}
	}
	return codes
}

// aligned returns n zero bytes that begin at a cache line.
func aligned(n int) []byte {
	const line = 64
	bytes := make([]byte, n+line)
	skip := int(-uintptr(unsafe.Pointer(&bytes[0])) % line)
	return bytes[skip : skip+n : skip+n]
}
