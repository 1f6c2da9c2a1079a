package stack

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"bittern/models/recurrent"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// Step runs forward and backward on the batch and writes the gradients of all
// parameters. Dropout's masks and the noise on initial states follow from the seed and
// the request's number. A batch without any target is an error.
func (s *Session) Step(request model.Step) (model.StepResult, error) {
	s.drawNoise(request.Number)
	s.prepare(recurrent.Pass{Statistics: recurrent.Batch, BFloat16: s.Request.Arithmetic == model.BFloat16}, true, (*layer).training)
	result, err := s.Base.Step(request)
	if err != nil {
		return model.StepResult{}, err
	}
	s.carry((*layer).training)
	return result, nil
}

// Evaluate runs forward on the batch, without dropout. With batch normalization,
// [model.Calibrate] merges the batch's statistics into the buffers and [model.Frozen] uses
// the buffers; without batch normalization, the requested statistics do not matter. If
// sequences do not depend on each other and no state is carried, those after the last one
// with a target are not computed.
//
// Noise on initial states is added when batch normalization takes its statistics from the
// batch. It follows from the seed alone, so that the same batch has the same score whatever
// came before.
func (s *Session) Evaluate(request model.Evaluate) (network.Score, error) {
	statistics, err := s.Statistics(request)
	if err != nil {
		return network.Score{}, err
	}
	rows := 0
	if !s.Shape.Carried && (statistics == recurrent.Frozen || !s.Normalization.Batch()) {
		if rows = s.scored(); rows == 0 {
			return network.Score{}, nil
		}
	}
	noisy := s.Normalization.Batch() && statistics != recurrent.Frozen
	if noisy {
		s.drawNoise(evaluation)
	}
	s.prepare(recurrent.Pass{Statistics: statistics, Rows: rows, BFloat16: request.Arithmetic == model.BFloat16}, noisy, (*layer).evaluation)
	score, err := s.Score(request, statistics)
	if err != nil {
		return network.Score{}, err
	}
	s.carry((*layer).evaluation)
	return score, nil
}

// scored is the number of sequences up to the last one that has a target.
func (s *Session) scored() int {
	n := s.Shape.Sequences
	for n > 0 && !s.Request.Batch.Scored(n-1) {
		n--
	}
	return n
}

// training and evaluation return the state that the next such pass goes on from.
func (l *layer) training() *recurrent.State   { return l.trained }
func (l *layer) evaluation() *recurrent.State { return l.evaluated }

// prepare sets how the layers run: as pass says; with or without noise on initial states; and from
// which state sequences go on.
func (s *Session) prepare(pass recurrent.Pass, noisy bool, state func(*layer) *recurrent.State) {
	for i := range s.fresh {
		s.fresh[i] = s.Request.Batch.Starts(i)
	}
	for _, l := range s.layers {
		pass.Running, pass.Start, pass.Fresh, pass.Noise = l.running, state(l), s.fresh, nil
		if noisy {
			pass.Noise = l.noise
		}
		l.Prepare(pass)
	}
}

// evaluation takes the place of a step's number in the noise of evaluations.
const evaluation = math.MaxUint64

// drawNoise draws the noise on every layer's initial state, where the network has it.
func (s *Session) drawNoise(step uint64) {
	for i, l := range s.layers {
		if l.noise == nil {
			continue
		}
		random := rand.New(rand.NewPCG(s.Request.Seed, StepKey(s.Request.Seed, step, i)))
		for j := range l.noise {
			l.noise[j] = float32(s.InitialNoise * random.NormFloat64())
		}
	}
}

// carry keeps the states that the layers ended with, where the next batch goes on.
func (s *Session) carry(state func(*layer) *recurrent.State) {
	for _, l := range s.layers {
		if kept := state(l); kept != nil {
			l.Final(*kept)
		}
	}
}

// StepKey returns the key of the random numbers that one part of a network draws at one
// step, such as the mask of a [recurrent.Dropout]. The same arguments give the same key;
// other keys are independent of it.
func StepKey(seed, step uint64, index int) uint64 {
	h := fnv.New64a()
	for _, v := range []uint64{seed, step, uint64(index)} {
		h.Write(binary.LittleEndian.AppendUint64(nil, v))
	}
	return h.Sum64()
}
