package recurrent

import (
	"bittern/accel/kernels/team"
	"bittern/accel/kernels/vecmath"
)

// Dropout zeroes elements with a given probability and scales the others by
// 1/(1−probability), so that their expectation stays (inverted dropout, after
// Srivastava et al., JMLR 15, 2014). The mask is a function of Key and the
// element's position alone.
type Dropout struct {
	// Key chooses the mask. It must be the same in a forward pass and the
	// backward pass that follows.
	Key uint64
	// Off turns dropout off, as in evaluation.
	Off bool

	probability float64
	team        *team.Team
	output      []float32
	run         func(worker int)
	dst, src    []float32
}

// NewDropout returns a dropout of n elements that runs on t. probability is
// below 1.
func NewDropout(t *team.Team, n int, probability float64) *Dropout {
	d := &Dropout{probability: probability, team: t, output: make([]float32, n)}
	d.run = d.apply
	return d
}

// Probability is the probability with which elements are dropped.
func (d *Dropout) Probability() float64 { return d.probability }

// Output is what Forward writes.
func (d *Dropout) Output() []float32 { return d.output }

// Forward computes the output of x.
func (d *Dropout) Forward(x []float32) error {
	return d.pass(d.output, x)
}

// Backward overwrites dx with the gradient with respect to x, given the gradient with
// respect to the output.
func (d *Dropout) Backward(dx, gradient []float32) error {
	return d.pass(dx, gradient)
}

func (d *Dropout) pass(dst, src []float32) error {
	for _, s := range [][]float32{dst, src} {
		if err := mismatch("dropout", "the slice", len(s), len(d.output)); err != nil {
			return err
		}
	}
	d.dst, d.src = dst, src
	d.team.Run(d.run)
	return nil
}

func (d *Dropout) apply(worker int) {
	from, to := d.team.Split(worker, len(d.dst), grain)
	if d.Off {
		copy(d.dst[from:to], d.src[from:to])
		return
	}
	vecmath.Dropout(d.dst[from:to], d.src[from:to], d.probability, d.Key, from)
}
