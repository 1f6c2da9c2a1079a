package emit

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Columns writes body twice: for a whole vector of columns, and for the first
// ones of a vector, as the argument lanes says. The function returns after either.
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

// Row walks down a block of columns: it stands at an element of a matrix whose
// rows are as far apart as the argument stride says, in bytes.
type Row struct {
	at     GPVirtual
	stride string

	order, offset GPVirtual // of a gathered row: the next entry, and the row's place
}

// NewRow starts at the argument name and moves by the argument name+"Stride".
func NewRow(name string) Row { return Row{at: Pointer(name), stride: name + "Stride"} }

// NewRows starts at each of the arguments.
func NewRows(names ...string) []Row {
	rows := make([]Row, len(names))
	for i, name := range names {
		rows[i] = NewRow(name)
	}
	return rows
}

// NewGatheredRow goes from row to row of the matrix at the argument name as the
// int32 at the argument "order" say.
func NewGatheredRow(name string) Row {
	return Row{at: Pointer(name), stride: name + "Stride", order: Pointer("order"), offset: GP64()}
}

// gathered says that the row is one of NewGatheredRow.
func (r Row) gathered() bool { return r.order != nil }

// enter is called before a row is used.
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

// ahead is how far in front of a row its next columns are fetched, in bytes:
// rows lie pages apart, which no prefetcher of the processor follows. Package
// recurrent goes through units in blocks of as many.
const ahead = 128

// Fetch asks for columns of the row that are worked on soon.
func (r Row) Fetch() { PREFETCHT0(r.Mem().Offset(ahead)) }

// Mem addresses the row's first element.
func (r Row) Mem() operand.Mem {
	if r.gathered() {
		return operand.Mem{Base: r.at, Index: r.offset, Scale: 1}
	}
	return operand.Mem{Base: r.at}
}

// Gate addresses the first element of gate k, 0 to 2, where the gates are spacing bytes apart.
func (r Row) Gate(k int, spacing GPVirtual) operand.Mem {
	if k == 0 {
		return r.Mem()
	}
	return operand.Mem{Base: r.at, Index: spacing, Scale: uint8(k)}
}

// FetchGate is Fetch for gate k.
func (r Row) FetchGate(k int, spacing GPVirtual) { PREFETCHT0(r.Gate(k, spacing).Offset(ahead)) }

// Rows runs body for as many rows as the argument rows says, at least one, and
// moves the walkers on after each.
func (m Machine) Rows(walkers []Row, body func()) {
	top, count := Unique("row"), Pointer("rows")
	Label(top)
	enter(walkers)
	body()
	advance(walkers)
	DECQ(count)
	JNZ(operand.LabelRef(top))
}

// Sum returns the sum of addend over the rows. Four partial sums hide the
// latency of an addition.
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
