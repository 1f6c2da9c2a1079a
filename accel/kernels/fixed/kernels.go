package fixed

import (
	"sync"

	"bittern/accel/kernels/isa"
)

// kernels are the functions of one instruction-set level. They work on a whole number of
// vectors of lanes elements; the portable functions compute the rest.
type kernels struct {
	lanes int

	scaleSums         func(y []int32, x, factor []float64, offset []int32, limits [2]float64, c [6]int32)
	scaleIntegers     func(y, x []int32, factor []float64, offset []int32, limits [2]float64, c [6]int32)
	add               func(z, x, y []int32, left [2]int32, c [6]int32)
	multiply          func(z, x, y []int32, c [6]int32)
	convert           func(y, x []int32, c [6]int32)
	widen, accumulate func(sum []float64, x []int32)
	narrow            func(y []int16, x []int32)
}

// active is decided once, at first use, by package isa.
var active = sync.OnceValue(func() *kernels { return forLevel(isa.Current()) })

// whole returns how many of n elements fill whole vectors.
func (k *kernels) whole(n int) int { return n / k.lanes * k.lanes }

func (k *kernels) ScaleSums(y []int32, x, factor []float64, offset []int32, a Accumulator, c Conversion) {
	n, m := k.whole(len(y)), len(y)
	k.scaleSums(y[:n], x[:n], factor[:n], offset[:n], a.limits, c.fields())
	portable.scaleSums(y[n:], x[n:m], factor[n:m], offset[n:m], a.limits, c.fields())
}

func (k *kernels) ScaleIntegers(y, x []int32, factor []float64, offset []int32, a Accumulator, c Conversion) {
	n, m := k.whole(len(y)), len(y)
	k.scaleIntegers(y[:n], x[:n], factor[:n], offset[:n], a.limits, c.fields())
	portable.scaleIntegers(y[n:], x[n:m], factor[n:m], offset[n:m], a.limits, c.fields())
}

func (k *kernels) Add(z, x, y []int32, left [2]int32, c Conversion) {
	n, m := k.whole(len(z)), len(z)
	k.add(z[:n], x[:n], y[:n], left, c.fields())
	portable.add(z[n:], x[n:m], y[n:m], left, c.fields())
}

func (k *kernels) Multiply(z, x, y []int32, c Conversion) {
	n, m := k.whole(len(z)), len(z)
	k.multiply(z[:n], x[:n], y[:n], c.fields())
	portable.multiply(z[n:], x[n:m], y[n:m], c.fields())
}

func (k *kernels) Convert(y, x []int32, c Conversion) {
	n, m := k.whole(len(y)), len(y)
	k.convert(y[:n], x[:n], c.fields())
	portable.convert(y[n:], x[n:m], c.fields())
}

func (k *kernels) Widen(sum []float64, x []int32) {
	n, m := k.whole(len(sum)), len(sum)
	k.widen(sum[:n], x[:n])
	portable.widen(sum[n:], x[n:m])
}

func (k *kernels) Accumulate(sum []float64, x []int32) {
	n, m := k.whole(len(sum)), len(sum)
	k.accumulate(sum[:n], x[:n])
	portable.accumulate(sum[n:], x[n:m])
}

func (k *kernels) Narrow(y []int16, x []int32) {
	n, m := k.whole(len(y)), len(y)
	k.narrow(y[:n], x[:n])
	portable.narrow(y[n:], x[n:m])
}
