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
// gradScale is 1 unless the gradient is to be averaged or clipped by norm.
func (a Adam) Update(value, grad, m, v []float32, step int, gradScale float32) {
	sameLength("Adam", len(value), len(grad))
	sameLength("Adam", len(value), len(m))
	sameLength("Adam", len(value), len(v))
	if step < 1 {
		panic(fmt.Sprintf("vecmath: Adam step %d; steps count from 1", step))
	}
	t := float64(step)
	active.adam(value, grad, m, v, &adamCoefficients{
		gradScale: gradScale,
		beta1:     float32(a.Beta1),
		fresh1:    float32(1 - a.Beta1),
		beta2:     float32(a.Beta2),
		fresh2:    float32(1 - a.Beta2),
		rate:      float32(a.Rate / (1 - math.Pow(a.Beta1, t))),
		spread:    float32(1 / math.Sqrt(1-math.Pow(a.Beta2, t))),
		epsilon:   float32(a.Epsilon),
	})
}

// adamCoefficients are what one step has in common for all elements, the bias
// corrections folded in: value −= rate·m / (spread·√v + epsilon).
type adamCoefficients struct {
	gradScale, beta1, fresh1, beta2, fresh2, rate, spread, epsilon float32
}
