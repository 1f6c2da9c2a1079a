// Command vecmath generates the assembly of accel/kernels/vecmath.
package main

import "bittern/accel/_gen/emit"

func main() {
	for _, m := range emit.Machines {
		activations(m)
		linear(m)
		softmax(m)
		adam(m)
		dropout(m)
		sampleBinary(m)
		sampleTernary(m)
	}
	transpose()
	emit.Write()
}
