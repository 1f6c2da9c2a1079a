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

// optimiser moves every parameter, its elements split over a team.
type optimiser struct {
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

func newOptimiser(s *session) *optimiser {
	o := &optimiser{team: s.team, kind: s.request.Optimiser, squares: make([]float64, s.team.Size())}
	for _, p := range s.plan.Parameters {
		o.parameters = append(o.parameters, s.request.Parameters[p.Name])
	}
	o.sum, o.move = o.sumSquares, o.moveParameters
	return o
}

// norm is the Euclidean norm over all gradients.
func (o *optimiser) norm() float64 {
	o.team.Run(o.sum)
	var total float64
	for _, v := range o.squares {
		total += v
	}
	return math.Sqrt(total)
}

// update takes one step. Adam's settings but the rate are those its authors
// recommend.
func (s *session) update(request model.Update) (model.UpdateResult, error) {
	if request.Number < 1 {
		return model.UpdateResult{}, fmt.Errorf("%s: updates are counted from 1, not %d", s.Name, request.Number)
	}
	o := s.optimiser
	o.adam = vecmath.Adam{Rate: request.LearningRate, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	o.step, o.scale = int(request.Number), 1
	norm := o.norm()
	if request.ClipNorm > 0 && norm > request.ClipNorm {
		o.scale = float32(request.ClipNorm / norm)
	}
	o.team.Run(o.move)
	return model.UpdateResult{GradNorm: norm}, nil
}

func (o *optimiser) sumSquares(worker int) {
	var total float64
	for _, p := range o.parameters {
		from, to := o.team.Split(worker, len(p.Grad), line)
		total += vecmath.SumSquares(p.Grad[from:to])
	}
	o.squares[worker] = total
}

func (o *optimiser) moveParameters(worker int) {
	for _, p := range o.parameters {
		from, to := o.team.Split(worker, len(p.Grad), line)
		if o.kind == model.SGD {
			vecmath.Axpy(p.Value[from:to], -float32(o.adam.Rate)*o.scale, p.Grad[from:to])
		} else {
			o.adam.Update(p.Value[from:to], p.Grad[from:to], p.Moment1[from:to], p.Moment2[from:to], o.step, o.scale)
		}
	}
}
