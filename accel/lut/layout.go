package lut

import "unsafe"

// blockRows is the number of rows that are summed together, at every level.
const blockRows = 64

// layout places the bits of a plane: chunk columns of a block of rows are
// bytes bytes and have tables of tableBytes.
type layout struct {
	chunk      int
	tableBytes int
	// place is the byte, and the bit in it, of a row and column of the chunk.
	place func(row, column int) (at int, bit int)
}

// bytes is the size of a chunk of one plane.
func (l layout) bytes() int { return blockRows * l.chunk / 8 }

// chunks is the number of chunks that hold columns.
func (l layout) chunks(columns int) int { return (columns + l.chunk - 1) / l.chunk }

// arrange lays out planes of rows×columns signs: bit p of signs[r·columns+c] is
// set where plane p of row r, column c is +1.
func (l layout) arrange(signs []uint8, rows, columns int, planes []int) []byte {
	chunks := l.chunks(columns)
	blocks := (rows + blockRows - 1) / blockRows
	codes := aligned(blocks * chunks * len(planes) * l.bytes())

	type position struct {
		at  int
		bit uint8
	}
	places := make([]position, blockRows*l.chunk)
	for i := range places {
		at, bit := l.place(i/l.chunk, i%l.chunk)
		places[i] = position{at, uint8(bit)}
	}
	for r := range rows {
		row := signs[r*columns : (r+1)*columns]
		for c, sign := range row {
			position := places[r%blockRows*l.chunk+c%l.chunk]
			chunk := (r/blockRows*chunks+c/l.chunk)*len(planes)*l.bytes() + position.at
			for i, p := range planes {
				codes[chunk+i*l.bytes()] |= sign >> p & 1 << position.bit
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
