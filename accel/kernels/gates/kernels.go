package gates

import (
	"sync"

	"bittern/accel/kernels/isa"
)

// kernels are the functions of one instruction-set level. They trust their
// arguments, which the exported functions have checked.
type kernels interface {
	fetch(x Matrix, rows, columns int)
	moments(mean, rstd []float32, x Gathered, rows int, epsilon float32)
	fold(scale, shift, gamma, beta, mean, rstd []float32)
	sumColumns(sum []float32, x Matrix, rows int)
	gatesForward(Gates)
	outputForward(Output)
	outputBackward(OutputGradient)
	gatesBackward(GatesGradient)
	affinePairBackward(AffinePairGradient)
	affineBackward(AffineGradient)
	gateForward(Gate)
	candidateForward(Candidate)
	updateForward(Update)
	updateBackward(UpdateGradient)
}

// active is decided once, at first use, by package isa.
var active = sync.OnceValue(func() kernels { return forLevel(isa.Current()) })
