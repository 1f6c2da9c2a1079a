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
}

// NewRow starts at the argument name and moves by the argument name+"Stride".
func NewRow(name string) Row { return Row{Pointer(name), name + "Stride"} }

// NewRows starts at each of the arguments.
func NewRows(names ...string) []Row {
	rows := make([]Row, len(names))
	for i, name := range names {
		rows[i] = NewRow(name)
	}
	return rows
}

// Mem addresses the row's first element.
func (r Row) Mem() operand.Mem { return operand.Mem{Base: r.at} }

// Gate addresses the first element of gate k, 0 to 2, where the gates are spacing bytes apart.
func (r Row) Gate(k int, spacing GPVirtual) operand.Mem {
	if k == 0 {
		return r.Mem()
	}
	return operand.Mem{Base: r.at, Index: spacing, Scale: uint8(k)}
}

func advance(walkers []Row) {
	for _, row := range walkers {
		ADDQ(Argument(row.stride), row.at)
	}
}

// Rows runs body for as many rows as the argument rows says, at least one, and
// moves the walkers on after each.
func (m Machine) Rows(walkers []Row, body func(), ahead ...Row) {
	top, count := Unique("row"), Pointer("rows")
	Label(top)
	for _, r := range ahead {
		PREFETCHT0(operand.Mem{Base: r.at, Disp: 128})
	}
	body()
	advance(walkers)
	DECQ(count)
	JNZ(operand.LabelRef(top))
}

// Sum returns the sum of addend over the rows. Four partial sums hide the
// latency of an addition.
func (m Machine) Sum(row Row, addend func(sum VecVirtual), ahead bool) VecVirtual {
	var sums [4]VecVirtual
	for i := range sums {
		sums[i] = m.Zero()
	}
	walkers, count := []Row{row}, Pointer("rows")
	four, rest, done := Unique("four"), Unique("rest"), Unique("done")
	Label(four)
	CMPQ(count, operand.Imm(4))
	JL(operand.LabelRef(rest))
	for _, sum := range sums {
		if ahead {
			PREFETCHT0(operand.Mem{Base: row.at, Disp: 128})
		}
		addend(sum)
		advance(walkers)
	}
	SUBQ(operand.Imm(4), count)
	JMP(operand.LabelRef(four))
	Label(rest)
	TESTQ(count, count)
	JZ(operand.LabelRef(done))
	addend(sums[0])
	advance(walkers)
	DECQ(count)
	JMP(operand.LabelRef(rest))
	Label(done)
	return m.Add(m.Add(sums[0], sums[1]), m.Add(sums[2], sums[3]))
}
