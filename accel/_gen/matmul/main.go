// Command matmul generates the tiles and packing loops of accel/kernels/matmul.
package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"

	"bittern/accel/_gen/emit"
)

// vectors is the width of the widest tile, in vectors.
const vectors = 3

// integerVectors is the same for tiles of whole numbers. On AVX2 these need a register for
// products.
func integerVectors(m emit.Machine) int {
	if m.Wide() {
		return vectors
	}
	return 2
}

// heights are the numbers of rows of the tiles: as many as leave registers for the columns of B
// and an element of A.
func heights(m emit.Machine) []int {
	if m.Wide() {
		return []int{8, 4, 2, 1}
	}
	return []int{4, 2, 1}
}

func main() {
	for _, m := range slices.Backward(emit.Machines) {
		tiles(m, product{name: "tile", flushes: true, step: multiplyAdd})
		for _, height := range heights(m) {
			for width := 1; width <= integerVectors(m); width++ {
				integerTile(m, height, width)
			}
		}
	}
	tiles(emit.Machine{Suffix: "BF16", Lanes: 16}, product{name: "dot", step: dot})
	copyRows()
	transpose()
	pairAlong()
	pairAcross()
	for _, m := range slices.Backward(emit.Machines) {
		roundAlong(m)
		roundAcross(m)
	}
	Generate()
}

// tiles writes the tiles of a kernel.
func tiles(m emit.Machine, p product) {
	for _, height := range heights(m) {
		for width := 1; width <= vectors; width++ {
			p.tile(m, height, width)
		}
	}
}
