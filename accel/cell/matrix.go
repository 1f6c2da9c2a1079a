package cell

import "fmt"

// Matrix is a row-major matrix or a part of one: element (r, j) lies at
// Data[r·Stride+j].
type Matrix struct {
	Data   []float32
	Stride int
}

// gates is the number of gates, in the order g, f, i, o.
const gates = 4

// check panics unless m holds rows of the width that are reached.
func (m Matrix) check(name string, rows, reach int) {
	if rows > 0 && reach > 0 && (m.Stride < 0 || len(m.Data) < (rows-1)*m.Stride+reach) {
		panic(fmt.Sprintf("cell: %s has %d elements, which is too few for %d rows of %d at stride %d",
			name, len(m.Data), rows, reach, m.Stride))
	}
}

func checkVector(name string, v []float32, reach int) {
	if len(v) < reach {
		panic(fmt.Sprintf("cell: %s has %d elements, which is too few for %d", name, len(v), reach))
	}
}

// gateReach is the length of a row that holds all four gates.
func gateReach(columns, spacing int) int {
	if columns <= 0 {
		return 0
	}
	return (gates-1)*spacing + columns
}
