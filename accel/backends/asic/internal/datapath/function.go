package datapath

import "math"

// functionTable holds a function of every 12-bit input of a format, correctly
// rounded to another; input i stands at index i + 2048.
type functionTable [1 << ActivationBits]int16

func newFunctionTable(f func(float64) float64, input, output format) *functionTable {
	var table functionTable
	for i := range table {
		integer := i - len(table)/2
		table[i] = int16(output.encode(f(math.Ldexp(float64(integer), -input.fraction))))
	}
	return &table
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
