package recurrent

import (
	"errors"
	"fmt"
	"math"

	"bittern/accel/kernels/gates"
	"bittern/accel/kernels/team"
	"bittern/accel/kernels/vecmath"
	"bittern/plugins/network"
)

// SoftmaxConfig is the shape of a softmax layer.
type SoftmaxConfig struct {
	Steps, Batch   int // rows come as Steps·Batch; see the package comment
	Units, Classes int
}

// Softmax is a linear layer, the softmax of its output and the cross-entropy with the
// targets:
//
//	logits = H·Wᵀ + b    loss = mean of −log softmax(logits)[target], nats
//
// with H [Steps·Batch × Units] and W [Classes × Units]. A target of −1 does not
// count: its row of H has no part in the loss, and no gradient.
type Softmax struct {
	// Candidates, if not nil, marks with 1 the classes that each sequence can choose
	// from, [Batch × Classes]. The others have probability 0.
	Candidates []int32

	// BFloat16 has the products of Loss, Backward and Score round as those of [Pass].
	BFloat16 bool

	config SoftmaxConfig
	team   *team.Team
	multipliers
	stride  int
	logits  []float32 // then their gradient
	loss    []float64 // of each row
	correct []bool
	train   func(worker int)
	score   func(worker int)
	sumBias func(worker int)

	bias, dBias []float32
	targets     []int32
	count       int // of targets that count
	rows        int // up to the last of them
}

// NewSoftmax returns a layer that runs on t.
func NewSoftmax(t *team.Team, config SoftmaxConfig) *Softmax {
	rows := config.Steps * config.Batch
	s := &Softmax{
		config: config, team: t, multipliers: newMultipliers(t), stride: padded(config.Classes),
		loss: make([]float64, rows), correct: make([]bool, rows),
	}
	s.logits = make([]float32, rows*s.stride)
	s.train, s.score, s.sumBias = s.trainRows, s.scoreRows, s.sumBiasColumns
	return s
}

// Config returns the shape the layer was made with.
func (s *Softmax) Config() SoftmaxConfig { return s.config }

// Loss returns the mean loss of the targets [Steps × Batch] that count and leaves
// what Backward needs. It is an error if none does.
func (s *Softmax) Loss(w, bias, h []float32, targets []int32) (float64, error) {
	if err := s.forward(w, bias, h, targets); err != nil {
		return 0, err
	}
	if s.count == 0 {
		return 0, errors.New("softmax: the batch has no target to train on, all are −1")
	}
	s.team.Run(s.train)
	var sum float64
	for _, loss := range s.loss[:s.rows] {
		sum += loss
	}
	return sum / float64(s.count), nil
}

// Score computes the same forward pass and scores the answers.
func (s *Softmax) Score(w, bias, h []float32, targets []int32) (network.Score, error) {
	if err := s.forward(w, bias, h, targets); err != nil {
		return network.Score{}, err
	}
	s.team.Run(s.score)
	var out network.Score
	for row := range s.rows {
		if targets[row] < 0 {
			continue
		}
		out.LossSum += s.loss[row]
		out.Count++
		if s.correct[row] {
			out.Correct++
		}
	}
	return out, nil
}

// Backward overwrites dw, dBias and dH with the gradients of scale times the loss that Loss
// returned. It overwrites what Loss left, so it can be called once.
func (s *Softmax) Backward(w, h []float32, scale float32, dw, dBias, dH []float32) error {
	c := s.config
	rows := c.Steps * c.Batch
	if err := errors.Join(
		mismatch("softmax", "W", len(w), c.Classes, c.Units),
		mismatch("softmax", "the gradient of W", len(dw), c.Classes, c.Units),
		mismatch("softmax", "the gradient of b", len(dBias), c.Classes),
		mismatch("softmax", "the input", len(h), rows, c.Units),
		mismatch("softmax", "the gradient of the input", len(dH), rows, c.Units)); err != nil {
		return err
	}
	if scale != 1 {
		vecmath.Scale(s.logits, scale)
	}
	s.dBias = dBias
	s.team.Run(s.sumBias)
	clear(dH[s.rows*c.Units:])
	return errors.Join(
		s.multiplier(s.BFloat16).Gemm(dw, c.Units, false, true, false, c.Classes, c.Units, s.rows, s.logits, s.stride, h, c.Units),
		s.multiplier(s.BFloat16).Gemm(dH, c.Units, false, false, false, s.rows, c.Units, c.Classes, s.logits, s.stride, w, c.Units))
}

func (s *Softmax) forward(w, bias, h []float32, targets []int32) error {
	c := s.config
	rows := c.Steps * c.Batch
	if err := errors.Join(
		mismatch("softmax", "W", len(w), c.Classes, c.Units),
		mismatch("softmax", "b", len(bias), c.Classes),
		mismatch("softmax", "the input", len(h), rows, c.Units),
		mismatch("softmax", "the targets", len(targets), rows)); err != nil {
		return err
	}
	if s.Candidates != nil {
		if err := mismatch("softmax", "the candidates", len(s.Candidates), c.Batch, c.Classes); err != nil {
			return err
		}
	}
	s.bias, s.targets, s.count, s.rows = bias, targets, 0, 0
	for row, target := range targets {
		if target < -1 || int(target) >= c.Classes {
			return fmt.Errorf("softmax: target %d is %d, outside of %d classes", row, target, c.Classes)
		}
		if target >= 0 {
			s.count, s.rows = s.count+1, row+1
		}
	}
	return s.multiplier(s.BFloat16).Gemm(s.logits, s.stride, false, false, true, s.rows, c.Classes, c.Units, h, c.Units, w, c.Units)
}

// row returns the logits of a row.
func (s *Softmax) row(row int) []float32 {
	line := s.logits[row*s.stride:][:s.config.Classes]
	vecmath.Add(line, s.bias)
	if s.Candidates != nil {
		for class, marked := range s.Candidates[row%s.config.Batch*s.config.Classes:][:s.config.Classes] {
			if marked != 1 {
				line[class] = float32(math.Inf(-1))
			}
		}
	}
	return line
}

func (s *Softmax) trainRows(worker int) {
	from, to := s.team.Split(worker, s.rows, 1)
	for row := from; row < to; row++ {
		if s.targets[row] < 0 {
			s.loss[row] = 0
			clear(s.logits[row*s.stride:][:s.config.Classes])
			continue
		}
		s.loss[row] = vecmath.SoftmaxCrossEntropy(s.row(row), int(s.targets[row]), 1/float32(s.count))
	}
}

func (s *Softmax) scoreRows(worker int) {
	from, to := s.team.Split(worker, s.rows, 1)
	for row := from; row < to; row++ {
		if s.targets[row] < 0 {
			continue
		}
		line := s.row(row)
		s.loss[row] = vecmath.CrossEntropy(line, int(s.targets[row]))
		s.correct[row] = vecmath.ArgMax(line) == int(s.targets[row])
	}
}

func (s *Softmax) sumBiasColumns(worker int) {
	from, to := s.team.Split(worker, s.config.Classes, grain)
	clear(s.dBias[from:to])
	gates.SumColumns(s.dBias[from:to], gates.Matrix{Data: s.logits[from:], Stride: s.stride}, s.rows)
}
