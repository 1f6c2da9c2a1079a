package lut

import (
	"encoding/binary"
	"slices"

	"bittern/plugins/packed"
)

// A plane whose levels are no sum of signs is kept as its codes, of at most
// codedBits, and multiplied by looking up the level of each.
const (
	codedBits   = 4
	codedLevels = 1 << codedBits
	codedLanes  = 16 // words of a block of a column
)

// codedWidth is the width that codes for so many levels are kept in, and false where
// there are too many. A code of one bit fills words that are longer than any need be.
func codedWidth(levels int) (bits int, ok bool) {
	if levels > codedLevels {
		return 0, false
	}
	for bits = 1; 1<<bits < levels; bits++ {
	}
	return bits, true
}

// perWord is how many codes go into 32 bits.
func perWord(bits int) int { return 32 / bits }

// repeated is levels as a code of so many bits finds them that has other bits above
// it, multiplied by the scale where that is one for all rows.
func repeated(levels, scales []float32, bits int) []float32 {
	all := make([]float32, codedLevels)
	for i := range all {
		if code := i % (1 << bits); code < len(levels) {
			all[i] = levels[code]
			if len(scales) == 1 {
				all[i] *= scales[0]
			}
		}
	}
	return all
}

// rowScales is the scales of a plane, or nothing where it has only one.
func rowScales(p packed.Plane) []float32 {
	if len(p.Scales) == 1 {
		return nil
	}
	return slices.Clone(p.Scales)
}

// coded is the layout of codes of so many bits: a chunk is as many columns as go into
// a 32-bit word, of which every row has one. Its tables are the activations.
func coded(bits int) layout {
	columns := perWord(bits)
	return layout{
		chunk: columns, codeBytes: 4 * blockRows, tableBytes: 4 * columns,
		group: 1, bits: bits,
		place: func(row, column, bit int) (at, shift int) {
			shift = column*bits + bit
			return 4*row + shift/8, shift % 8
		},
	}
}

// codedSummation is how codes of so many bits are summed.
func (k *kernels) codedSummation(levels []float32, bits int) *summation[float32] {
	return &summation[float32]{coded(bits), func(dst []float32, codes, x []byte, chunks int) {
		k.codedSums(dst, codes, x, chunks, levels, bits, perWord(bits))
	}}
}

// codedPlane is a plane of columns as codes of few bits.
type codedPlane struct {
	bits   int
	codes  []byte // column after column, each in blocks of 16 words
	column int    // bytes of one
	levels []float32
	scales []float32 // one a row, or nothing where levels have the scale
}

// codedBlock is how many rows a block of a column has.
func codedBlock(bits int) int { return codedLanes * perWord(bits) }

// filledRows is the rows of a column, filled up to whole blocks.
func filledRows(rows, bits int) int {
	block := codedBlock(bits)
	return (rows + block - 1) / block * block
}

// newCodedPlanes lays out a plane of m, in two where its levels are more than a code
// looks up: they are sums of what each bit of a code is worth, so that the levels of the
// upper and of the lower bits sum up to those of both.
func newCodedPlanes(m packed.Matrix, plane int) []codedPlane {
	levels := m.Planes[plane].Levels
	if bits, ok := codedWidth(len(levels)); ok {
		return []codedPlane{newCodedPlane(m, plane, 0, bits, levels)}
	}
	var lower, upper []float32
	for code, level := range levels {
		if code < codedLevels {
			lower = append(lower, level-levels[0])
		}
		if code%codedLevels == 0 {
			upper = append(upper, level)
		}
	}
	bits, _ := codedWidth(len(upper))
	return []codedPlane{newCodedPlane(m, plane, 0, codedBits, lower), newCodedPlane(m, plane, codedBits, bits, upper)}
}

// newCodedPlane lays out so many bits of the codes of a plane of m, from bit on, which
// stand for levels.
func newCodedPlane(m packed.Matrix, plane, bit, bits int, levels []float32) codedPlane {
	p := m.Planes[plane]
	block := codedBlock(bits)
	c := codedPlane{
		bits: bits, column: filledRows(m.Rows, bits) / block * 4 * codedLanes,
		levels: repeated(levels, p.Scales, bits), scales: rowScales(p),
	}
	c.codes = aligned(m.Cols * c.column)
	for i, code := range m.Codes(plane) {
		r, col := i/m.Cols, i%m.Cols
		word := c.codes[col*c.column+(r/block*codedLanes+r%codedLanes)*4:]
		part := uint32(code) >> bit & (1<<bits - 1)
		binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)|part<<(r%block/codedLanes*bits))
	}
	return c
}
