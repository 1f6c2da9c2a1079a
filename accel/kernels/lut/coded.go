package lut

import (
	"encoding/binary"
	"slices"

	"bittern/plugins/packed"
)

// A plane whose levels are not sums of signs is kept as its codes, of at most codedBits
// each. A product looks up the level of each code.
const (
	codedBits   = 4
	codedLevels = 1 << codedBits
	codedLanes  = 16 // words of a block of a column
)

// codedWidth returns the bits in which codes for the given number of levels are kept, and
// false if there are too many levels.
func codedWidth(levels int) (bits int, ok bool) {
	if levels > codedLevels {
		return 0, false
	}
	for bits = 1; 1<<bits < levels; bits++ {
	}
	return bits, true
}

// perWord returns how many codes fit into 32 bits.
func perWord(bits int) int { return 32 / bits }

// repeated returns the table in which a code of the given bits finds its level whatever
// bits stand above the code: the levels, repeated. They are multiplied by the scale if
// there is one for all rows.
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

// rowScales returns the scales of a plane's rows, or nil if it has only one scale.
func rowScales(p packed.Plane) []float32 {
	if len(p.Scales) == 1 {
		return nil
	}
	return slices.Clone(p.Scales)
}

// coded returns the layout of codes of the given bits. Every row has one 32-bit word in a
// chunk, which has as many columns as codes fit into that. Its tables are the activations
// themselves.
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

// codedSummation returns how codes of the given bits are summed.
func (k *kernels) codedSummation(levels []float32, bits int) *summation[float32] {
	return &summation[float32]{layout: coded(bits), sums: func(dst []float32, codes, x []byte, chunks int) {
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

// codedBlock returns how many rows of a column a block has.
func codedBlock(bits int) int { return codedLanes * perWord(bits) }

// filledRows returns the number of rows, rounded up to whole blocks.
func filledRows(rows, bits int) int {
	block := codedBlock(bits)
	return (rows + block - 1) / block * block
}

// newCodedPlanes lays out a plane of m. If it has more levels than a code can look up, it
// becomes two planes, one of the upper bits of the codes and one of the lower bits: each
// bit of such a code has a value of its own, so that the levels of both add up.
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

// newCodedPlane lays out some bits of the codes of a plane of m, from the given bit on.
// levels are what these bits stand for.
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
