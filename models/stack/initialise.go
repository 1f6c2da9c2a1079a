package stack

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/vecmath"
	"bittern/plugins/model"
)

// initialise writes a parameter's starting value, as the paper gives them: γ
// 0.1, β 0 with the forget gate's part 1, h0, c0 and the softmax bias 0, and
// orthogonal matrices. An embedding starts uniform in ±0.1 (Zaremba et al.,
// arXiv 1409.2329).
func initialise(value []float32, p model.Parameter, seed uint64, products *matmul.Multiplier) error {
	part := p.Name[strings.LastIndex(p.Name, ".")+1:]
	switch {
	case p.Name == embeddingName:
		random := source(seed, p.Name)
		for i := range value {
			value[i] = 0.2*random.Float32() - 0.1
		}
	case part == "Wx" || part == "Wh" || p.Name == softmaxName:
		return orthogonal(value, p.Shape[0], p.Shape[1], source(seed, p.Name), products)
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

// panel is the number of vectors that orthogonal makes orthogonal to all
// before them at once.
const panel = 32

// orthogonal fills w [rows × cols] with a matrix whose columns, or rows where
// there are fewer, are orthonormal: normal random vectors made so one after
// another. That is the Q of a QR decomposition with a positive diagonal, which
// is distributed evenly over all such matrices (Mezzadri, "How to generate
// random matrices from the classical compact groups", 2007), as the singular
// vectors the paper takes are.
func orthogonal(w []float32, rows, cols int, random *rand.Rand, products *matmul.Multiplier) error {
	count, length := min(rows, cols), max(rows, cols)
	basis := make([]float32, count*length)
	for i := range basis {
		basis[i] = float32(random.NormFloat64())
	}
	overlaps := make([]float32, panel*count)
	for from := 0; from < count; from += panel {
		n := min(panel, count-from)
		vectors := basis[from*length : (from+n)*length]
		for range 2 { // once more for what rounding left
			err := products.Gemm(overlaps, count, false, false, true, n, from, length, vectors, length, basis, length)
			if err != nil {
				return err
			}
			vecmath.Scale(overlaps, -1)
			err = products.Gemm(vectors, length, true, false, false, n, length, from, overlaps, count, basis, length)
			if err != nil {
				return err
			}
		}
		if err := gramSchmidt(vectors, length); err != nil {
			return err
		}
	}
	if rows <= cols {
		copy(w, basis)
	} else {
		vecmath.Transpose(w, cols, basis, length, count, length)
	}
	return nil
}

// gramSchmidt makes vectors of the given length orthonormal, in order.
func gramSchmidt(vectors []float32, length int) error {
	for at := 0; at < len(vectors); at += length {
		v := vectors[at : at+length]
		for range 2 {
			for before := 0; before < at; before += length {
				u := vectors[before : before+length]
				vecmath.Axpy(v, -float32(vecmath.Dot(u, v)), u)
			}
		}
		norm := math.Sqrt(vecmath.SumSquares(v))
		if norm == 0 {
			return fmt.Errorf("random vectors of length %d are not independent", length)
		}
		vecmath.Scale(v, float32(1/norm))
	}
	return nil
}
