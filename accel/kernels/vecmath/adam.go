package vecmath

import (
	"fmt"
	"math"
)

// Adam holds the settings of the optimiser of Kingma and Ba, "Adam: A Method
// for Stochastic Optimization" (ICLR 2015), Algorithm 1.
type Adam struct {
	Rate, Beta1, Beta2, Epsilon float64
}

// Update takes step number step (the first is 1): with g = gradScale·grad[i]
//
//	m[i] = Beta1·m[i] + (1−Beta1)·g
//	v[i] = Beta2·v[i] + (1−Beta2)·g²
//	value[i] −= Rate · m[i]/(1−Beta1^step) / (√(v[i]/(1−Beta2^step)) + Epsilon)
//
// Moments below flush.Least become 0, and g below flush.LeastSquared does not count in v:
// either is too small to matter beside an Epsilon of 1e-8.
//
// gradScale is 1 unless the gradient is to be averaged or clipped by norm.
//
// In one step m and v err by at most 3e-7 of the size of their terms, and value by
// half an ulp and 1e-6 of the change that terms of m of that size make.
func (a Adam) Update(value, grad, m, v []float32, step int, gradScale float32) {
	a.update(active(), value, grad, m, v, step, gradScale)
}

func (a Adam) update(k *kernels, value, grad, m, v []float32, step int, gradScale float32) {
	sameLength("Adam", len(value), len(grad))
	sameLength("Adam", len(value), len(m))
	sameLength("Adam", len(value), len(v))
	if step < 1 {
		panic(fmt.Sprintf("vecmath: Adam step %d; steps count from 1", step))
	}
	t := float64(step)
	k.adam(value, grad, m, v, [...]float32{
		gradScale,
		float32(a.Beta1), float32(1 - a.Beta1),
		float32(a.Beta2), float32(1 - a.Beta2),
		float32(a.Rate / (1 - math.Pow(a.Beta1, t))),
		float32(1 / math.Sqrt(1-math.Pow(a.Beta2, t))),
		float32(a.Epsilon),
	})
}
