package gates

import "fmt"

// Matrix is a row-major matrix or a part of one: element (r, j) lies at
// Data[r·Stride+j].
type Matrix struct {
	Data   []float32
	Stride int
}

// Gathered selects rows of a matrix, in any order and some more than once: its row r
// is row Order[r] of the matrix, or row r where Order is nil. So the product of a
// matrix with one-hot vectors needs no arithmetic: it gathers the columns they choose.
//
// Where Scalar is set, each row is a single number that counts for all columns, and
// Order is nil: the input of a layer that has one feature. [Gates], [Gate] and
// [AffinePairGradient] accept scalar rows.
type Gathered struct {
	Matrix
	Order  []int32
	Scalar bool
}

// check is Matrix.check for the rows that the order names. It returns how many rows
// the matrix must have for that.
func (g Gathered) check(name string, rows, reach int) (named int) {
	if g.Scalar {
		panic(fmt.Sprintf("gates: %s is scalar where it must not be, or has an order too", name))
	}
	if g.Order == nil {
		g.Matrix.check(name, rows, reach)
		return rows
	}
	if len(g.Order) < rows {
		panic(fmt.Sprintf("gates: %s has an order of %d elements, which is too few for %d rows", name, len(g.Order), rows))
	}
	last := int32(-1)
	for _, r := range g.Order[:rows] {
		if r < 0 {
			panic(fmt.Sprintf("gates: %s has row %d in its order", name, r))
		}
		last = max(last, r)
	}
	g.Matrix.check(name, int(last)+1, reach)
	return int(last) + 1
}

// checkInput is check for rows that may be scalar.
func (g Gathered) checkInput(name string, rows, reach int) (named int) {
	if g.Scalar && g.Order == nil {
		g.Matrix.check(name, rows, min(reach, 1))
		return rows
	}
	return g.check(name, rows, reach)
}

// row is row r.
func (g Gathered) row(r int) []float32 {
	if g.Order != nil {
		r = int(g.Order[r])
	}
	return g.Data[r*g.Stride:]
}

// element returns the element in row r and column j.
func (g Gathered) element(r, j int) float32 {
	if g.Scalar {
		j = 0
	}
	return g.row(r)[j]
}

// line is how many elements a cache line has.
const line = 16

// Fetch has the processor bring the first columns of the rows of x to its first-level cache while
// it goes on. The kernels fetch the columns after those that they work on, but not the first ones.
func Fetch(x Matrix, rows, columns int) {
	x.check("Fetch's x", rows, columns)
	active().fetch(x, rows, columns)
}

// gates is the number of gates, in the order g, f, i, o.
const gates = 4

// check panics unless m holds the given number of rows, each of reach elements.
func (m Matrix) check(name string, rows, reach int) {
	if rows > 0 && reach > 0 && (m.Stride < 0 || len(m.Data) < (rows-1)*m.Stride+reach) {
		panic(fmt.Sprintf("gates: %s has %d elements, which is too few for %d rows of %d at stride %d",
			name, len(m.Data), rows, reach, m.Stride))
	}
}

func checkVector(name string, v []float32, reach int) {
	if len(v) < reach {
		panic(fmt.Sprintf("gates: %s has %d elements, which is too few for %d", name, len(v), reach))
	}
}

// gateReach is the length of a row that holds all four gates.
func gateReach(columns, spacing int) int {
	if columns <= 0 {
		return 0
	}
	return (gates-1)*spacing + columns
}
