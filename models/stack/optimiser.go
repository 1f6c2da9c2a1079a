package stack

import (
	"fmt"
	"math"

	"bittern/accel/kernels/team"
	"bittern/accel/kernels/vecmath"
	"bittern/plugins/model"
)

// line is a cache line of float32: no two workers write to the same one.
const line = 16

// Optimiser moves parameters against their gradients. It splits the elements of each
// parameter over a team. It changes Value, and with Adam the moments.
type Optimiser struct {
	team       *team.Team
	kind       model.Optimiser
	parameters []model.Tensors
	squares    []float64 // of each worker's part of the gradients
	sum        func(worker int)
	move       func(worker int)

	// The arguments of the update that is running.
	adam  vecmath.Adam
	step  int
	scale float32
}

// NewOptimiser returns an optimiser of the parameters, which may have any shape:
// the Value, Grad and with Adam the moments of each are of one length. Gradients
// are summed up in the order of the parameters.
func NewOptimiser(t *team.Team, kind model.Optimiser, parameters []model.Tensors) (*Optimiser, error) {
	if kind != model.Adam && kind != model.SGD {
		return nil, fmt.Errorf("there is no optimiser %q", kind)
	}
	o := &Optimiser{team: t, kind: kind, parameters: parameters, squares: make([]float64, t.Size())}
	o.sum, o.move = o.sumSquares, o.moveParameters
	return o, nil
}

// norm is the Euclidean norm over all gradients.
func (o *Optimiser) norm() float64 {
	o.team.Run(o.sum)
	var total float64
	for _, v := range o.squares {
		total += v
	}
	return math.Sqrt(total)
}

// Update takes one step and returns the Euclidean norm of all gradients before
// clipping. Clipping scales all gradients by one factor (Pascanu et al., arXiv
// 1211.5063, algorithm 1). Adam's settings except the rate are those that its
// authors recommend: β₁ 0.9, β₂ 0.999, ε 1e-8 (Kingma and Ba, arXiv 1412.6980). Updates are
// counted from 1.
func (o *Optimiser) Update(request model.Update) (model.UpdateResult, error) {
	if request.Number < 1 {
		return model.UpdateResult{}, fmt.Errorf("updates are counted from 1, not %d", request.Number)
	}
	o.adam = vecmath.Adam{Rate: request.LearningRate, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	o.step, o.scale = int(request.Number), 1
	norm := o.norm()
	if request.ClipNorm > 0 && norm > request.ClipNorm {
		o.scale = float32(request.ClipNorm / norm)
	}
	o.team.Run(o.move)
	return model.UpdateResult{GradNorm: norm}, nil
}

func (o *Optimiser) sumSquares(worker int) {
	var total float64
	for _, p := range o.parameters {
		from, to := o.team.Split(worker, len(p.Grad), line)
		total += vecmath.SumSquares(p.Grad[from:to])
	}
	o.squares[worker] = total
}

func (o *Optimiser) moveParameters(worker int) {
	for _, p := range o.parameters {
		from, to := o.team.Split(worker, len(p.Grad), line)
		if o.kind == model.SGD {
			vecmath.Axpy(p.Value[from:to], -float32(o.adam.Rate)*o.scale, p.Grad[from:to])
		} else {
			o.adam.Update(p.Value[from:to], p.Grad[from:to], p.Moment1[from:to], p.Moment2[from:to], o.step, o.scale)
		}
	}
}
