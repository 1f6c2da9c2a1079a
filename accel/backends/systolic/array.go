package systolic

// dataflow says which operand stays in the array.
type dataflow string

// The dataflows.
const (
	weightStationary dataflow = "weight-stationary"
	outputStationary dataflow = "output-stationary"
	inputStationary  dataflow = "input-stationary"
)

// array is a grid of processing elements.
type array struct {
	rows, columns int
	flow          dataflow
}

// product is a matrix of outputs × depth weights times as many vectors.
type product struct{ outputs, depth, vectors int }

// folds is how many times the array is filled to cover a product, along its rows and
// along its columns.
func (a array) folds(p product) (along, across int) {
	switch a.flow {
	case outputStationary:
		return blocks(p.vectors, a.rows), blocks(p.outputs, a.columns)
	case inputStationary:
		return blocks(p.depth, a.rows), blocks(p.vectors, a.columns)
	default:
		return blocks(p.depth, a.rows), blocks(p.outputs, a.columns)
	}
}

// cycles is what a product takes, as the package comment says.
func (a array) cycles(p product) int {
	along, across := a.folds(p)
	fold := 0
	switch a.flow {
	case outputStationary:
		fold = a.rows + a.columns + p.depth - 2
	case inputStationary:
		fold = 2*a.rows + a.columns + p.outputs - 2
	default:
		fold = 2*a.rows + a.columns + p.vectors - 2
	}
	return along * across * fold
}

// accesses are the elements that a product moves between the array and the memories: weights
// and inputs that it reads, and sums that it writes. What stays in the array is read once;
// what streams through it is read once for each fold that it passes; and a sum is written
// once for each fold of the depth.
type accesses struct{ weights, inputs, sums int }

func (a array) accesses(p product) accesses {
	along, across := a.folds(p)
	weights, inputs, sums := p.outputs*p.depth, p.depth*p.vectors, p.outputs*p.vectors
	switch a.flow {
	case outputStationary:
		return accesses{weights * along, inputs * across, sums}
	case inputStationary:
		return accesses{weights * across, inputs, sums * along}
	default:
		return accesses{weights, inputs * across, sums * along}
	}
}

// blocks is how many blocks of a size cover n.
func blocks(n, size int) int { return (n + size - 1) / size }
