// Command lut generates the assembly of accel/kernels/lut.
package main

import "bittern/accel/_gen/emit"

func main() {
	int14TablesAVX512()
	for _, d := range []digits{fiveSigns, threeTrits} {
		int8LargestAVX512(d)
		int8TablesAVX512(d)
	}
	for _, size := range []entrySize{oneByte, twoBytes} {
		integerTablesAVX2(size)
	}
	for planes := 1; planes <= 2; planes++ {
		int14SumsAVX512(planes)
		int14TogetherAVX512(planes)
		for _, size := range []entrySize{oneByte, twoBytes} {
			integerSumsAVX2(size, planes)
		}
	}
	for _, twoPermutes := range []bool{false, true} {
		int8SumsAVX512(twoPermutes)
	}
	int8LargestAVX2()
	for _, m := range emit.Machines {
		largest(m)
		quantize(m)
		fromIntegers(m)
		choose(m, 2)
		choose(m, 3)
		codedSums(m)
		codedColumn(m)
		dense(m)
		for _, vectors := range togetherVectors(m) {
			denseTogether(m, vectors)
		}
	}
	for _, size := range []entrySize{oneByte, twoBytes} {
		integerTablesNEON(size)
		for planes := 1; planes <= 2; planes++ {
			integerSumsNEON(size, planes)
		}
	}
	int8LargestNEON()
	largest(neon)
	quantize(neon)
	fromIntegers(neon)
	choose(neon, 2)
	choose(neon, 3)
	codedSums(neon)
	codedColumn(neon)
	dense(neon)
	emit.Write()
}
