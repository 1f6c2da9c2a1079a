// Command vecmath generates the assembly of accel/kernels/vecmath.
package main

import (
	"slices"

	"bittern/accel/_gen/emit"
)

func main() {
	for _, m := range append(slices.Clone(emit.Machines), emit.NEON) {
		activations(m)
		linear(m)
		adam(m)
	}
	for _, m := range emit.Machines {
		reciprocalDeviation(m)
		dot(m)
		softmax(m)
		exponentials(m)
		dropout(m)
		sampleBinary(m)
		sampleTernary(m)
	}
	transpose()
	emit.Write()
}
