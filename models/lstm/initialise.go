package lstm

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"

	"bittern/plugins/model"
)

// initialise writes a parameter's starting value, as the paper gives them: γ
// 0.1, β 0 with the forget gate's part 1, h0, c0 and the softmax bias 0, and
// orthogonal matrices. An embedding starts uniform in ±0.1 (Zaremba et al.,
// arXiv 1409.2329).
func initialise(value []float32, p model.Parameter, seed uint64) error {
	part := p.Name[strings.LastIndex(p.Name, ".")+1:]
	switch {
	case p.Name == embeddingName:
		random := source(seed, p.Name)
		for i := range value {
			value[i] = 0.2*random.Float32() - 0.1
		}
	case part == "Wx" || part == "Wh" || p.Name == softmaxName:
		return orthogonal(value, p.Shape[0], p.Shape[1], source(seed, p.Name))
	case strings.HasPrefix(part, "gamma"):
		for i := range value {
			value[i] = 0.1
		}
	default:
		clear(value)
		if part == "beta" {
			units := len(value) / 4
			for i := units; i < 2*units; i++ {
				value[i] = 1
			}
		}
	}
	return nil
}

// source is the stream of random numbers that belongs to a parameter.
func source(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// orthogonal fills w [rows × cols] with a matrix whose columns, or rows where
// there are fewer, are orthonormal: the Q of the QR decomposition of normal
// random numbers, its signs made those of a positive diagonal of R, which is
// distributed evenly over all such matrices (Mezzadri, "How to generate random
// matrices from the classical compact groups", 2007), as the left singular
// vectors of the paper's decomposition are.
func orthogonal(w []float32, rows, cols int, random *rand.Rand) error {
	tall, thin := max(rows, cols), min(rows, cols)
	q := blas64.General{Rows: tall, Cols: thin, Stride: thin, Data: make([]float64, tall*thin)}
	for i := range q.Data {
		q.Data[i] = random.NormFloat64()
	}
	tau, work := make([]float64, thin), make([]float64, 1)
	lapack64.Geqrf(q, tau, work, -1)
	work = make([]float64, int(work[0]))
	lapack64.Geqrf(q, tau, work, len(work))
	positive := make([]bool, thin)
	for j := range positive {
		diagonal := q.Data[j*thin+j]
		if diagonal == 0 {
			return fmt.Errorf("%s: a random matrix %d×%d is singular", name, rows, cols)
		}
		positive[j] = diagonal > 0
	}
	lapack64.Orgqr(q, tau, work[:1], -1)
	work = make([]float64, int(work[0]))
	lapack64.Orgqr(q, tau, work, len(work))
	for i := range rows {
		for j := range cols {
			a, b := i, j
			if rows < cols {
				a, b = j, i
			}
			v := q.Data[a*thin+b]
			if !positive[b] {
				v = -v
			}
			w[i*cols+j] = float32(v)
		}
	}
	return nil
}
