package lut

import (
	"encoding/binary"
	"unsafe"
)

// Exact shows what rounding activations costs. It is plain Go at every level, so that all
// give the same sums.
var exact = [2]summation[float32]{
	{words(1), func(dst []float32, codes, tables []byte, chunks int) { exactSums(dst, codes, tables, chunks, 1) }, nil},
	{words(2), func(dst []float32, codes, tables []byte, chunks int) { exactSums(dst, codes, tables, chunks, 2) }, nil},
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

// exactSums sums four rows side by side: the additions of one row wait for each other.
func exactSums(dst []float32, codes, tables []byte, chunks, planes int) {
	all := unsafe.Slice((*exactTable)(unsafe.Pointer(&tables[0])), chunks)
	for ; len(dst) > 0; dst = dst[blockRows:] {
		block := dst[:blockRows]
		clear(block)
		for i := range all {
			for r := 0; r < blockRows; r += 4 {
				sums := (*[4]float32)(block[r:])
				s0, s1, s2, s3 := sums[0], sums[1], sums[2], sums[3]
				a0, a1, a2, a3 := fourWords(codes[4*r:])
				var b0, b1, b2, b3 uint32
				if planes == 2 {
					b0, b1, b2, b3 = fourWords(codes[256+4*r:])
				}
				for group := range all[i] {
					sum := &all[i][group]
					s0, s1, s2, s3 = s0+sum[a0%16], s1+sum[a1%16], s2+sum[a2%16], s3+sum[a3%16]
					a0, a1, a2, a3 = a0>>4, a1>>4, a2>>4, a3>>4
					if planes == 2 {
						s0, s1, s2, s3 = s0+sum[b0%16], s1+sum[b1%16], s2+sum[b2%16], s3+sum[b3%16]
						b0, b1, b2, b3 = b0>>4, b1>>4, b2>>4, b3>>4
					}
				}
				*sums = [4]float32{s0, s1, s2, s3}
			}
			codes = codes[256*planes:]
		}
	}
}

func fourWords(codes []byte) (a, b, c, d uint32) {
	codes = codes[:16]
	return binary.LittleEndian.Uint32(codes), binary.LittleEndian.Uint32(codes[4:]),
		binary.LittleEndian.Uint32(codes[8:]), binary.LittleEndian.Uint32(codes[12:])
}
