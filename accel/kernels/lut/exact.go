package lut

import (
	"encoding/binary"
	"unsafe"
)

// Exact shows what rounding activations costs. It is plain Go at every level, so that all
// give the same sums.
var exact = [2]summation[float32]{
	{words(1), func(dst []float32, codes, tables []byte, chunks int) { exactSums(dst, codes, tables, chunks, 1) }},
	{words(2), func(dst []float32, codes, tables []byte, chunks int) { exactSums(dst, codes, tables, chunks, 2) }},
}

// words holds a row of 32 columns of a plane in a 32-bit word.
func words(planes int) layout {
	return layout{
		chunk: 32, codeBytes: planes * 256, tableBytes: int(unsafe.Sizeof(exactTable{})),
		group: 4, bits: planes * 4,
		place: func(row, group, bit int) (at, shift int) {
			return bit/4*256 + 4*row + group/2, group%2*4 + bit%4
		},
	}
}

// exactTable holds, for every 4 columns of a chunk, the sums of all their signs.
type exactTable [8][16]float32

func exactTables(tables []byte, x []float32) {
	for sums := floats(tables); len(x) > 0; x, sums = x[4:], sums[16:] {
		for e := range 16 {
			var terms [4]float32
			for j := range terms {
				if terms[j] = x[j]; e>>j&1 == 0 {
					terms[j] = -x[j]
				}
			}
			sums[e] = (terms[0] + terms[1]) + (terms[2] + terms[3])
		}
	}
}

func exactSums(dst []float32, codes, tables []byte, chunks, planes int) {
	all := unsafe.Slice((*exactTable)(unsafe.Pointer(&tables[0])), chunks)
	for ; len(dst) > 0; dst = dst[blockRows:] {
		block := dst[:blockRows]
		clear(block)
		for i := range all {
			for r := range block {
				sum := block[r]
				for group := range all[i] {
					for p := range planes {
						word := binary.LittleEndian.Uint32(codes[256*p+4*r:])
						sum += all[i][group][word>>(4*group)%16]
					}
				}
				block[r] = sum
			}
			codes = codes[256*planes:]
		}
	}
}
