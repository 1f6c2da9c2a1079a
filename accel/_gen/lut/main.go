// Command lut generates the assembly of accel/lut.
package main

import (
	. "github.com/mmcloughlin/avo/build"

	"bittern/accel/_gen/emit"
)

func main() {
	integerTablesAVX512()
	integerTablesAVX2()
	exactTablesAVX512()
	exactTablesAVX2()
	for planes := 1; planes <= 2; planes++ {
		integerSumsAVX512(planes)
		integerSumsAVX2(planes)
		for _, m := range emit.Machines {
			exactSums(m, planes)
		}
	}
	for _, m := range emit.Machines {
		largest(m)
		quantize(m)
		fromIntegers(m)
		choose(m, 2)
		choose(m, 3)
		dense(m)
	}
	Generate()
}
