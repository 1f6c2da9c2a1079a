package datapath

import "math"

// functionTable has the value of a function for every 12-bit input of one format, correctly
// rounded to another format. The value of input i is at index i + 2048.
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
