package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Row is a pointer that moves down the rows of a matrix, within a block of columns. The argument
// stride says how far apart the rows are, in bytes.
type Row struct {
	at           GPVirtual
	name, stride string
	order        GPVirtual // of rows that may be gathered; rows may share it
}

// NewRow starts at the argument name and moves by the argument name+"Stride", in bytes.
func (m Machine) NewRow(name string) Row {
	return Row{at: m.Pointer(name), name: name, stride: name + "Stride"}
}

// NewRows returns a NewRow for each of the arguments.
func (m Machine) NewRows(names ...string) []Row {
	rows := make([]Row, len(names))
	for i, name := range names {
		rows[i] = m.NewRow(name)
	}
	return rows
}

// NewInputRow is like NewRow where the argument order is nil. Otherwise it moves through the
// rows of the matrix in the order that the int32 at order give.
func (m Machine) NewInputRow(name string) Row { return m.NewInputRows(name)[0] }

// NewInputRows returns a NewInputRow for each of the arguments.
func (m Machine) NewInputRows(names ...string) []Row {
	rows, order := m.NewRows(names...), m.Pointer("order")
	for i := range rows {
		rows[i].order = order
	}
	return rows
}

// At is the row's first element's address, in a register.
func (r Row) At() GPVirtual { return r.at }

// WhereGathered runs body where the rows of a NewInputRow are gathered.
func (m Machine) WhereGathered(r Row, body func()) {
	m.Rarely(func(label string) { m.JumpIfNotZero(r.order, label) }, body, func() {})
}

// enter computes the addresses of gathered rows. It is called before a row is used.
func (m Machine) enter(walkers []Row) {
	var gathered []Row
	for _, r := range walkers {
		if r.order != nil {
			gathered = append(gathered, r)
		}
	}
	if len(gathered) == 0 {
		return
	}
	order := gathered[0].order
	m.WhereGathered(gathered[0], func() {
		if m.neon() {
			index := General()
			WriteARM("MOVW %[2]s, %[1]s", index, operand.Mem{Base: order})
			for _, r := range gathered {
				WriteARM("MADD %[3]s, %[4]s, %[2]s, %[1]s", r.at, index, m.Pointer(r.stride), m.Pointer(r.name))
			}
		} else {
			for _, r := range gathered {
				MOVLQSX(operand.Mem{Base: order}, r.at)
				IMULQ(m.Argument(r.stride), r.at)
				ADDQ(m.Argument(r.name), r.at)
			}
		}
		m.Advance(order, 4)
	})
}

func (m Machine) advance(walkers []Row) {
	for _, r := range walkers {
		m.AdvanceBy(r.at, r.stride)
	}
}

// ahead is how many bytes ahead the next columns of a row are fetched. Rows are pages apart, so
// the processor's prefetchers do not follow them. Package recurrent processes units in blocks of
// as many bytes.
const ahead = 128

// Fetch prefetches the columns of the row that the next call works on.
func (m Machine) Fetch(r Row) { m.Prefetch(r.Mem().Offset(ahead)) }

// Prefetch has the processor bring a cache line to its first-level cache.
func (m Machine) Prefetch(at operand.Mem) {
	if m.neon() {
		fetchARM(at)
	} else {
		PREFETCHT0(at)
	}
}

// Mem is the address of the row's first element.
func (r Row) Mem() operand.Mem { return operand.Mem{Base: r.at} }

// Gate is the address of the first element of gate k, 0 to 2. The gates are spacing bytes apart.
func (r Row) Gate(k int, spacing GPVirtual) operand.Mem {
	if k == 0 {
		return r.Mem()
	}
	return operand.Mem{Base: r.at, Index: spacing, Scale: uint8(k)}
}

// FetchGate prefetches as Fetch does, for gate k.
func (m Machine) FetchGate(r Row, k int, spacing GPVirtual) {
	m.Prefetch(r.Gate(k, spacing).Offset(ahead))
}

// Rows runs body once for each row and moves the walkers to the next row after each. The
// argument rows is the number of rows, at least 1.
func (m Machine) Rows(walkers []Row, body func()) {
	top, count := Unique("row"), m.Pointer("rows")
	m.Label(top)
	m.enter(walkers)
	body()
	m.advance(walkers)
	m.CountDown(count, 1, top)
}

// Sum returns the sum of addend over the rows. It keeps four partial sums, so that an addition
// need not wait for the one before.
func (m Machine) Sum(row Row, addend func(sum VecVirtual)) VecVirtual {
	var sums [4]VecVirtual
	for i := range sums {
		sums[i] = m.Zero()
	}
	walkers, count := []Row{row}, m.Pointer("rows")
	add := func(sum VecVirtual) {
		m.enter(walkers)
		addend(sum)
		m.advance(walkers)
	}
	four, rest, done := Unique("four"), Unique("rest"), Unique("done")
	m.Label(four)
	m.JumpIfLess(count, 4, rest)
	for _, sum := range sums {
		add(sum)
	}
	m.Advance(count, -4)
	m.Jump(four)
	m.Label(rest)
	m.JumpIfZero(count, done)
	add(sums[0])
	m.Advance(count, -1)
	m.Jump(rest)
	m.Label(done)
	return m.Add(m.Add(sums[0], sums[1]), m.Add(sums[2], sums[3]))
}
