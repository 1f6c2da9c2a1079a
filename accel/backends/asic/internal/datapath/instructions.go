package datapath

import "bittern/accel/kernels/fixed"

// instruction is one operation of a time step on the registers of a machine.
type instruction interface {
	run(m *machine) error
}

// lookup: sum = the column of the matrix that the token names.
type lookup struct {
	weights matrix
	columns []int16 // the weights, column after column
	input   int     // number of the input that is the token
	sum     view
}

func (i lookup) run(m *machine) error {
	for b := range m.sequences {
		sum := m.sum(i.sum, b)
		column := i.columns[int(m.tokens[i.input][b])*len(sum):][:len(sum)]
		for k, weight := range column {
			sum[k] = float64(weight)
		}
	}
	return nil
}

// scaleShift: y = x · scale + offset, where x is exact sums or a value. Each sequence reads the
// row of the tables at its own position.
type scaleShift struct {
	x       view
	exact   bool
	wiring  bool // every factor is 1, so that the sums are the values: it takes no time
	scales  scales
	offsets offsets
	y       view
}

func (i scaleShift) run(m *machine) error {
	result := conversion(i.scales.to, i.y.format)
	for b := range m.sequences {
		factors, offset := i.scales.row(m.positions[b]), i.offsets.row(m.positions[b])
		if y := m.at(i.y, b); i.exact {
			fixed.ScaleSums(y, m.sum(i.x, b), factors, offset, lanes, result)
		} else {
			fixed.ScaleIntegers(y, m.at(i.x, b), factors, offset, lanes, result)
		}
	}
	return nil
}

// add: z = x + y.
type add struct{ x, y, z view }

func (i add) run(m *machine) error {
	sum := format{fraction: max(accumulator.fraction, i.x.format.fraction, i.y.format.fraction)}
	left := [2]int32{int32(sum.fraction - i.x.format.fraction), int32(sum.fraction - i.y.format.fraction)}
	result := conversion(sum, i.z.format)
	for b := range m.sequences {
		fixed.Add(m.at(i.z, b), m.at(i.x, b), m.at(i.y, b), left, result)
	}
	return nil
}

// multiply: z = x ∘ y.
type multiply struct{ x, y, z view }

func (i multiply) run(m *machine) error {
	result := conversion(format{fraction: i.x.format.fraction + i.y.format.fraction}, i.z.format)
	for b := range m.sequences {
		fixed.Multiply(m.at(i.z, b), m.at(i.x, b), m.at(i.y, b), result)
	}
	return nil
}

// function: y = table of x.
type function struct {
	table *functionTable
	x, y  view
}

func (i function) run(m *machine) error {
	for b := range m.sequences {
		x, y := m.at(i.x, b), m.at(i.y, b)
		x = x[:len(y)]
		for k := range y {
			y[k] = int32(i.table[x[k]+int32(len(i.table)/2)])
		}
	}
	return nil
}

// move: y = x in the format of y.
type move struct{ x, y view }

func (i move) run(m *machine) error {
	result := conversion(i.x.format, i.y.format)
	for b := range m.sequences {
		x, y := m.at(i.x, b), m.at(i.y, b)
		if i.x.format == i.y.format {
			copy(y, x)
			continue
		}
		fixed.Convert(y, x, result)
	}
	return nil
}
