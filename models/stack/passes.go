package stack

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"bittern/models/recurrent"
	"bittern/plugins/model"
)

// Step runs forward and backward on the batch in the input tensors and writes the
// gradients of all parameters. Dropout's masks follow from the request's seed and number.
func (s *Session) Step(request model.Step) (model.StepResult, error) {
	s.prepare(recurrent.Batch, 0)
	s.softmax.Rows = 0
	for i, d := range s.dropouts {
		d.Off, d.Key = false, DropoutKey(s.request.Seed, request.Number, i)
	}
	if err := s.train.Run(); err != nil {
		return model.StepResult{}, err
	}
	return model.StepResult{Loss: float64(s.loss.Output().Float32[0])}, nil
}

// Evaluate runs forward on the batch in the input tensors, without dropout. With a
// normalization of batches, [model.Calibrate] merges the batch's statistics into
// the buffers and [model.Frozen] uses those; without, all statistics are one.
func (s *Session) Evaluate(request model.Evaluate) (model.Evaluation, error) {
	if request.Valid < 0 || request.Valid > s.Task.Batch {
		return model.Evaluation{}, fmt.Errorf("%s: %d valid sequences in a batch of %d", s.Name, request.Valid, s.Task.Batch)
	}
	statistics, err := s.statistics(request)
	if err != nil {
		return model.Evaluation{}, err
	}
	rows := 0 // statistics are taken over the filling too
	if statistics == recurrent.Frozen {
		rows = request.Valid
	}
	s.prepare(statistics, rows)
	s.softmax.Rows = request.Valid
	for _, d := range s.dropouts {
		d.Off = true
	}
	if err := s.forward.Run(); err != nil {
		return model.Evaluation{}, err
	}
	if statistics == recurrent.Calibrate {
		s.request.Buffers[sequencesName][0] = float32(s.running[0].Sequences)
	}
	score, err := s.softmax.Score(s.effective(softmaxName), s.effective(biasName), s.hidden, s.request.Inputs.Int32["targets"])
	if err != nil {
		return model.Evaluation{}, err
	}
	return model.Evaluation{LossSum: score.LossSum, Count: score.Count, Correct: score.Correct}, nil
}

// statistics turns the request's into the layers'. Without normalization all
// are one.
func (s *Session) statistics(request model.Evaluate) (recurrent.Statistics, error) {
	if !s.Normalization.Batch() {
		return recurrent.Batch, nil
	}
	switch request.Statistics {
	case model.Batch:
		return recurrent.Batch, nil
	case model.Calibrate:
		if request.First {
			s.request.Buffers[sequencesName][0] = 0
		}
		return recurrent.Calibrate, nil
	case model.Frozen:
		if err := s.calibrated(); err != nil {
			return 0, err
		}
		return recurrent.Frozen, nil
	}
	return 0, fmt.Errorf("%s: there are no statistics %q", s.Name, request.Statistics)
}

// calibrated is an error unless the running statistics hold anything.
func (s *Session) calibrated() error {
	if s.Normalization.Batch() && s.request.Buffers[sequencesName][0] == 0 {
		return fmt.Errorf("%s: the frozen statistics are empty; evaluate with %q first", s.Name, model.Calibrate)
	}
	return nil
}

// prepare sets how the layers run, over the first rows sequences of the batch
// or over all where rows is 0.
func (s *Session) prepare(statistics recurrent.Statistics, rows int) {
	for i, layer := range s.layers {
		pass := recurrent.Pass{Statistics: statistics, Rows: rows, Running: s.running[i]}
		if s.Normalization.Batch() {
			// The buffer is what a checkpoint restores.
			s.running[i].Sequences = float64(s.request.Buffers[sequencesName][0])
		}
		layer.Prepare(pass)
	}
}

// DropoutKey is the [recurrent.Dropout] key of the mask that one of a network's
// dropouts has at one step. Masks repeat with the seed and are independent else.
func DropoutKey(seed, step uint64, index int) uint64 {
	h := fnv.New64a()
	for _, v := range []uint64{seed, step, uint64(index)} {
		h.Write(binary.LittleEndian.AppendUint64(nil, v))
	}
	return h.Sum64()
}
