package stack

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"bittern/accel/kernels/matmul"
	"bittern/accel/kernels/vecmath"
)

// Random is the stream of random numbers that belongs to a parameter: it depends
// on the experiment's seed and the parameter's name alone.
func Random(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// panel is the number of vectors that Orthogonal makes orthogonal to all
// before them at once.
const panel = 32

// Orthogonal fills w [rows × cols] with a matrix whose columns, or rows where
// there are fewer, are orthonormal. It makes normal random vectors orthonormal one
// after another. The result is the Q of a QR decomposition with a positive diagonal,
// which is distributed evenly over all such matrices (Mezzadri, "How to generate
// random matrices from the classical compact groups", 2007), and so are the singular
// vectors that the paper uses.
func Orthogonal(w []float32, rows, cols int, random *rand.Rand, products *matmul.Multiplier) error {
	count, length := min(rows, cols), max(rows, cols)
	basis := make([]float32, count*length)
	for i := range basis {
		basis[i] = float32(random.NormFloat64())
	}
	overlaps := make([]float32, panel*count)
	for from := 0; from < count; from += panel {
		n := min(panel, count-from)
		vectors := basis[from*length : (from+n)*length]
		for range 2 { // twice, to remove what rounding left
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
