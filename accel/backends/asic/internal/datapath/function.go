package datapath

import "math"

// functionTable holds a function of every 12-bit input of a format, correctly
// rounded to Q0.11; input i stands at index i + 2048.
type functionTable [1 << ActivationBits]int16

// unit is the format of results of sigmoid and tanh, Q0.11.
var unit = format{ActivationBits, ActivationBits - 1}

func newFunctionTable(f func(float64) float64, input format) *functionTable {
	var table functionTable
	for i := range table {
		integer := i - len(table)/2
		table[i] = int16(unit.encode(f(math.Ldexp(float64(integer), -input.fraction))))
	}
	return &table
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
