package lut

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// portable is plain Go. Its tables are of eight activations: a lookup takes as
// long as any other here, so it should be worth as many columns as it can.
var portable = kernels{
	int14: [2]summation[int32]{
		{doubleWords(1), sumBytes1, nil},
		{doubleWords(2), sumBytes2, nil},
	},
	int8: [2]summation[int32]{
		{doubleWords(1), sumBytes1, nil},
		{doubleWords(2), sumBytes2, nil},
	},
	int14Tables:            byteTables,
	int8Tables:             [2]func([]byte, []int16, int16){roundedByteTables, roundedByteTables},
	int8Largest:            [2]func([]int16) int32{largestGroup, largestGroup},
	largest:                largest,
	quantize:               quantize,
	fromIntegers:           fromIntegers,
	fromIntegersScaleShift: fromIntegersScaleShift,
	choose:                 [2]func([]float32, []byte, int, []float32, int, int){choose, choose},
	chooseScaleAdd:         [2]func([]float32, []byte, int, []float32, int, int, []float32, []float32){chooseScaleAdd, chooseScaleAdd},
	codedSums:              codedSums,
	codedColumn:            codedColumn,
	dense:                  dense,
	lanes:                  portableLanes,
}

// doubleWords holds a row of 64 columns of a plane in a 64-bit word.
func doubleWords(planes int) layout {
	return layout{
		chunk: 64, codeBytes: planes * 512, tableBytes: 8 * 256 * 4,
		group: 4, bits: planes * 4,
		place: func(row, group, bit int) (at, shift int) {
			return bit/4*512 + 8*row + group/2, group%2*4 + bit%4
		},
	}
}

// byteTable holds, for every 8 columns of a chunk, the sums of all their signs.
type byteTable [8][256]int32

// views is the tables of all chunks.
func views(tables []byte) []byteTable {
	return unsafe.Slice((*byteTable)(unsafe.Pointer(&tables[0])), len(tables)/int(unsafe.Sizeof(byteTable{})))
}

func byteTables(tables []byte, q []int16) {
	all := views(tables)
	for i := range all {
		for group := range all[i] {
			sums := &all[i][group]
			sums[0] = 0
			for j, v := range q[64*i+8*group:][:8] {
				for e := range 1 << j {
					sums[1<<j+e] = sums[e] + int32(v)
					sums[e] -= int32(v)
				}
			}
		}
	}
}

// roundedByteTables rounds the sums of either half of the eight activations, as
// tables of four would hold them.
func roundedByteTables(tables []byte, q []int16, multiplier int16) {
	all := views(tables)
	for i := range all {
		for group := range all[i] {
			var halves [2][16]int32
			for h := range halves {
				sums := &halves[h]
				for j, v := range q[64*i+8*group+4*h:][:4] {
					for e := range 1 << j {
						sums[1<<j+e] = sums[e] + int32(v)
						sums[e] -= int32(v)
					}
				}
				for e, sum := range sums {
					sums[e] = (sum*int32(multiplier) + 1<<14) >> 15
				}
			}
			for e := range all[i][group] {
				all[i][group][e] = halves[0][e%16] + halves[1][e/16]
			}
		}
	}
}

func sumBytes1(dst []int32, codes, tables []byte, chunks int) {
	sumBytes(dst, codes, tables, chunks, 1)
}

func sumBytes2(dst []int32, codes, tables []byte, chunks int) {
	sumBytes(dst, codes, tables, chunks, 2)
}

func sumBytes(dst []int32, codes, tables []byte, chunks, planes int) {
	all := views(tables)[:chunks]
	for ; len(dst) > 0; dst = dst[blockRows:] {
		block := dst[:blockRows]
		clear(block)
		for i := range all {
			t := &all[i]
			for range planes {
				for r := range block {
					w := binary.LittleEndian.Uint64(codes[8*r:])
					block[r] += t[0][byte(w)] + t[1][byte(w>>8)] + t[2][byte(w>>16)] + t[3][byte(w>>24)] +
						t[4][byte(w>>32)] + t[5][byte(w>>40)] + t[6][byte(w>>48)] + t[7][byte(w>>56)]
				}
				codes = codes[8*blockRows:]
			}
		}
	}
}

func largest(x []float32) uint32 {
	most := uint32(0)
	for _, v := range x {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	return most
}

func quantize(q []int16, x []float32, inverse float32) int32 {
	sum := int32(0)
	for i, v := range x {
		q[i] = int16(math.RoundToEven(float64(v * inverse)))
		sum += int32(q[i])
	}
	return sum
}

// largestGroup returns the largest Σ|q| of a group of 4 activations.
func largestGroup(q []int16) int32 {
	most := int32(0)
	for ; len(q) > 0; q = q[4:] {
		sum := int32(0)
		for _, v := range q[:4] {
			sum += max(int32(v), -int32(v))
		}
		most = max(most, sum)
	}
	return most
}

func fromIntegers(y []float32, factor float32) {
	for i, sum := range integers(y) {
		y[i] = float32(sum) * factor
	}
}

func fromIntegersScaleShift(y []float32, factor float32, scale, shift []float32) {
	for i, sum := range integers(y) {
		y[i] = float32(sum)*factor*scale[i] + shift[i]
	}
}

func choose(y []float32, bits []byte, plane int, levels []float32, distance, step int) {
	for i := range y {
		level := 0
		for at := i / 8; at < len(bits) && bits[at]>>(i%8)&1 != 0; at += plane {
			level++
		}
		y[i] = levels[level*distance+i*step]
	}
}

func chooseScaleAdd(y []float32, bits []byte, plane int, levels []float32, distance, step int, scale, other []float32) {
	for i := range y {
		level := 0
		for at := i / 8; at < len(bits) && bits[at]>>(i%8)&1 != 0; at += plane {
			level++
		}
		y[i] = levels[level*distance+i*step]*scale[i] + other[i]
	}
}

func codedSums(dst []float32, codes, x []byte, chunks int, levels []float32, bits, columns int) {
	activations := floats(x)
	for ; len(dst) > 0; dst = dst[blockRows:] {
		block := dst[:blockRows]
		clear(block)
		for i := range chunks {
			for r := range block {
				word, sum := binary.LittleEndian.Uint32(codes[4*r:]), block[r]
				for _, v := range activations[i*columns : (i+1)*columns] {
					sum += float32(levels[word%codedLevels] * v) // rounded before it is added
					word >>= bits
				}
				block[r] = sum
			}
			codes = codes[4*blockRows:]
		}
	}
}

func codedColumn(y []float32, codes []byte, levels []float32, bits, rows int) {
	for ; len(y) > 0; codes = codes[4*codedLanes:] {
		for lane := range codedLanes {
			word := binary.LittleEndian.Uint32(codes[4*lane:])
			for row := range rows {
				y[codedLanes*row+lane] = levels[word%codedLevels]
				word >>= bits
			}
		}
		y = y[codedLanes*rows:]
	}
}

// portableLanes rows are summed side by side: the additions of one row wait for
// each other.
const portableLanes = 8

func dense(y, w, x []float32) {
	for len(y) > 0 {
		var sums [portableLanes]float32
		for _, v := range x {
			column := (*[portableLanes]float32)(w)
			for i := range sums {
				sums[i] += column[i] * v
			}
			w = w[portableLanes:]
		}
		y = y[copy(y, sums[:]):]
	}
}
