package recurrent

// mostInterleaved is the number of units up to which the gates of an LSTM lie interleaved.
// In larger layers the order saves little beside the cost of the products, and bringing the
// matrices into it costs more.
const mostInterleaved = 256

// interleaved says whether a row of all gates holds all gates of one grain of units after
// another, instead of one gate of all units after another:
//
//	g₀…g₁₅ f₀…f₁₅ i₀…i₁₅ o₀…o₁₅ g₁₆…
//
// A worker then has one run of columns that begins at a cache line and fills whole
// vectors, whatever the number of units: the gates of 100 units are 25 vectors and no
// two workers write to one line. Parameters and running statistics are never so.
// LayerNorm goes over all units of a gate, which then have to lie together.
func (c Config) interleaved() bool {
	return c.Kind == LSTM && c.Normalization != LayerNorm && c.Units <= mostInterleaved
}

// width is how many units' values of one gate lie side by side.
func (l *layer) width() int {
	if l.config.interleaved() {
		return grain
	}
	return l.config.Units
}

// spacing is the distance of the gates of unit u in a row.
func (l *layer) spacing(u int) int {
	width := l.width()
	return min(width, l.config.Units-u/width*width)
}

// column is where unit u of gate k lies in a row of all gates.
func (l *layer) column(k, u int) int {
	first := u / l.width() * l.width()
	return l.gates*first + k*l.spacing(u) + u - first
}

// runs is how many runs of adjacent columns a worker's units, or a block of them, have.
func (l *layer) runs() int {
	if l.config.interleaved() {
		return 1
	}
	return l.gates
}

// run are the columns of run k of the units from ≤ u < to, which begin and end where
// units have their gates beside each other.
func (l *layer) run(k, from, to int) (first, last int) {
	if l.config.interleaved() {
		return l.gates * from, l.gates * to
	}
	return k*l.config.Units + from, k*l.config.Units + to
}

// gatesOf are the gates of run k, first ≤ gate < last.
func (l *layer) gatesOf(k int) (first, last int) {
	if l.config.interleaved() {
		return 0, l.gates
	}
	return k, k + 1
}

// pieces calls work for every piece of a vector or matrix of all gates that has the
// same order in a row of the layer and among its parameters: n rows from row on
// there, which are columns from column on here.
func (l *layer) pieces(from, to int, work func(row, column, n int)) {
	for u := from; u < to; {
		n := min(to, u/l.width()*l.width()+l.width()) - u
		for k := range l.gates {
			work(k*l.config.Units+u, l.column(k, u), n)
		}
		u += n
	}
}

// order copies the rows of the units from ≤ u < to of a parameter, each with the given
// number of elements, into the order of the columns.
func (l *layer) order(dst, src []float32, elements, from, to int) {
	l.pieces(from, to, func(row, column, n int) {
		copy(dst[column*elements:][:n*elements], src[row*elements:])
	})
}

// restore is the inverse of order.
func (l *layer) restore(dst, src []float32, elements, from, to int) {
	l.pieces(from, to, func(row, column, n int) {
		copy(dst[row*elements:][:n*elements], src[column*elements:])
	})
}

// ordered are matrices, gains and gradients of an interleaved layer in the order of its
// columns.
type ordered struct {
	wh, wx                           []float32
	whGrad                           []float32 // of Whᵀ, [Units][stride]
	wxGrad                           []float32
	gammaH, gammaX                   []float32
	betaGrad, gammaHGrad, gammaXGrad []float32
}

func newOrdered(c Config) ordered {
	if !c.interleaved() {
		return ordered{}
	}
	wide := c.Kind.gates() * c.Units
	o := ordered{
		wh: make([]float32, wide*c.Units), whGrad: make([]float32, c.Units*padded(wide)),
		gammaH: make([]float32, wide), gammaX: make([]float32, wide),
		betaGrad: make([]float32, wide), gammaHGrad: make([]float32, wide), gammaXGrad: make([]float32, wide),
	}
	if !c.Tokens {
		o.wx, o.wxGrad = make([]float32, wide*c.Inputs), make([]float32, wide*c.Inputs)
	}
	return o
}

// block is the number of units that go through all of a step's elementwise work
// before the next ones.
func (l *layer) block() int { return min(block, l.width()) }

// orderedWh is Wh with its rows in the order of the columns; a forward pass made it.
func (l *layer) orderedWh() []float32 {
	if l.config.interleaved() {
		return l.ordered.wh
	}
	return l.weights.Wh
}

// orderWx returns Wx with its rows in the order of the columns.
func (l *layer) orderWx() []float32 {
	if !l.config.interleaved() {
		return l.weights.Wx
	}
	l.order(l.ordered.wx, l.weights.Wx, l.config.Inputs, 0, l.config.Units)
	return l.ordered.wx
}
