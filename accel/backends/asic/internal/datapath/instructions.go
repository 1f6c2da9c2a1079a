package datapath

// instruction is one operation of a time step on the registers of a machine.
type instruction interface {
	run(m *machine) error
}

// lookup: sum = column token of the matrix.
type lookup struct {
	columns []int16
	input   int // which token
	sum     view
}

func (i lookup) run(m *machine) error {
	for b := range m.sequences {
		sum := m.sum(i.sum, b)
		column := i.columns[int(m.tokens[i.input][b])*len(sum):][:len(sum)]
		for k, weight := range column {
			sum[k] = int64(weight)
		}
	}
	return nil
}

// scaleShift: y = x · scale + offset, x being exact sums or a value. Each sequence has
// the row of the tables for its own position.
type scaleShift struct {
	x       view
	exact   bool
	scales  scales
	offsets offsets
	y       view
}

func (i scaleShift) run(m *machine) error {
	result := newConversion(accumulator, i.y.format)
	for b := range m.sequences {
		mantissa, shift := i.scales.row(m.positions[b])
		offset := i.offsets.row(m.positions[b])
		if y := m.at(i.y, b); i.exact {
			scale(y, result, m.sum(i.x, b), mantissa, shift, offset)
		} else {
			scale(y, result, m.at(i.x, b), mantissa, shift, offset)
		}
	}
	return nil
}

func scale[T int32 | int64](y []int32, result conversion, x []T, mantissa []int32, shift []uint8, offset []int32) {
	x, mantissa, shift, offset = x[:len(y)], mantissa[:len(y)], shift[:len(y)], offset[:len(y)]
	for k := range y {
		scaled := apply(int64(x[k]), mantissa[k], shift[k])
		y[k] = result.of(accumulate(scaled + int64(offset[k])))
	}
}

// add: z = x + y.
type add struct{ x, y, z view }

func (i add) run(m *machine) error {
	left := accumulator.fraction - i.x.format.fraction
	right := accumulator.fraction - i.y.format.fraction
	result := newConversion(accumulator, i.z.format)
	for b := range m.sequences {
		x, y, z := m.at(i.x, b), m.at(i.y, b), m.at(i.z, b)
		x, y = x[:len(z)], y[:len(z)]
		for k := range z {
			z[k] = result.of(int64(x[k])<<left + int64(y[k])<<right)
		}
	}
	return nil
}

// multiply: z = x ∘ y.
type multiply struct{ x, y, z view }

func (i multiply) run(m *machine) error {
	exact := format{fraction: i.x.format.fraction + i.y.format.fraction}
	result := newConversion(exact, i.z.format)
	for b := range m.sequences {
		x, y, z := m.at(i.x, b), m.at(i.y, b), m.at(i.z, b)
		x, y = x[:len(z)], y[:len(z)]
		for k := range z {
			z[k] = result.of(int64(x[k]) * int64(y[k]))
		}
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
	result := newConversion(i.x.format, i.y.format)
	for b := range m.sequences {
		x, y := m.at(i.x, b), m.at(i.y, b)
		if i.x.format == i.y.format {
			copy(y, x)
			continue
		}
		for k := range y {
			y[k] = result.of(int64(x[k]))
		}
	}
	return nil
}
