package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Columns writes body twice: for a whole vector of columns, and for the first columns of a
// vector. The argument lanes chooses between them. The function returns after either.
func (m Machine) Columns(body func(tail Tail)) {
	part, lanes := Unique("part"), Pointer("lanes")
	CMPQ(lanes, operand.Imm(uint64(m.Lanes)))
	JNE(operand.LabelRef(part))
	body(All)
	m.Return()
	Label(part)
	body(m.First(lanes))
	m.Return()
}

// Row is a pointer that moves down the rows of a matrix, within a block of columns. The argument
// stride says how far apart the rows are, in bytes.
type Row struct {
	at     GPVirtual
	stride string

	order, offset GPVirtual // of a gathered row: the next entry of order, and the offset of the row
}

// NewRow starts at the argument name and moves by the argument name+"Stride", in bytes.
func NewRow(name string) Row { return Row{at: Pointer(name), stride: name + "Stride"} }

// NewRows returns a NewRow for each of the arguments.
func NewRows(names ...string) []Row {
	rows := make([]Row, len(names))
	for i, name := range names {
		rows[i] = NewRow(name)
	}
	return rows
}

// NewGatheredRow moves through the rows of the matrix at the argument name in the order that the
// int32 at the argument "order" give.
func NewGatheredRow(name string) Row {
	return Row{at: Pointer(name), stride: name + "Stride", order: Pointer("order"), offset: GP64()}
}

// gathered reports whether the row is from NewGatheredRow.
func (r Row) gathered() bool { return r.order != nil }

// enter computes the addresses of gathered rows. It is called before a row is used.
func enter(walkers []Row) {
	for _, r := range walkers {
		if r.gathered() {
			MOVLQSX(operand.Mem{Base: r.order}, r.offset)
			IMULQ(Argument(r.stride), r.offset)
		}
	}
}

func advance(walkers []Row) {
	for _, r := range walkers {
		if r.gathered() {
			ADDQ(operand.Imm(4), r.order)
		} else {
			ADDQ(Argument(r.stride), r.at)
		}
	}
}

// ahead is how many bytes ahead the next columns of a row are fetched. Rows are pages apart, so
// the processor's prefetchers do not follow them. Package recurrent processes units in blocks of
// as many bytes.
const ahead = 128

// Fetch prefetches the columns of the row that the next call works on.
func (r Row) Fetch() { PREFETCHT0(r.Mem().Offset(ahead)) }

// Mem is the address of the row's first element.
func (r Row) Mem() operand.Mem {
	if r.gathered() {
		return operand.Mem{Base: r.at, Index: r.offset, Scale: 1}
	}
	return operand.Mem{Base: r.at}
}

// Gate is the address of the first element of gate k, 0 to 2. The gates are spacing bytes apart.
func (r Row) Gate(k int, spacing GPVirtual) operand.Mem {
	if k == 0 {
		return r.Mem()
	}
	return operand.Mem{Base: r.at, Index: spacing, Scale: uint8(k)}
}

// FetchGate prefetches as Fetch does, for gate k.
func (r Row) FetchGate(k int, spacing GPVirtual) { PREFETCHT0(r.Gate(k, spacing).Offset(ahead)) }

// Rows runs body once for each row and moves the walkers to the next row after each. The
// argument rows is the number of rows, at least 1.
func (m Machine) Rows(walkers []Row, body func()) {
	top, count := Unique("row"), Pointer("rows")
	Label(top)
	enter(walkers)
	body()
	advance(walkers)
	DECQ(count)
	JNZ(operand.LabelRef(top))
}

// Sum returns the sum of addend over the rows. It keeps four partial sums, so that an addition
// need not wait for the one before.
func (m Machine) Sum(row Row, addend func(sum VecVirtual)) VecVirtual {
	var sums [4]VecVirtual
	for i := range sums {
		sums[i] = m.Zero()
	}
	walkers, count := []Row{row}, Pointer("rows")
	add := func(sum VecVirtual) {
		enter(walkers)
		addend(sum)
		advance(walkers)
	}
	four, rest, done := Unique("four"), Unique("rest"), Unique("done")
	Label(four)
	CMPQ(count, operand.Imm(4))
	JL(operand.LabelRef(rest))
	for _, sum := range sums {
		add(sum)
	}
	SUBQ(operand.Imm(4), count)
	JMP(operand.LabelRef(four))
	Label(rest)
	TESTQ(count, count)
	JZ(operand.LabelRef(done))
	add(sums[0])
	DECQ(count)
	JMP(operand.LabelRef(rest))
	Label(done)
	return m.Add(m.Add(sums[0], sums[1]), m.Add(sums[2], sums[3]))
}
