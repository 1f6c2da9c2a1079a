// Command vecmath generates the assembly of accel/kernels/vecmath.
package main

import (
	. "github.com/mmcloughlin/avo/build"

	"bittern/accel/_gen/emit"
)

func main() {
	for _, m := range emit.Machines {
		activations(m)
		linear(m)
		softmax(m)
		exponentials(m)
		adam(m)
		dropout(m)
		sampleBinary(m)
		sampleTernary(m)
	}
	transpose()
	Generate()
}
