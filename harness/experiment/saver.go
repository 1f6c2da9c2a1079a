package experiment

import (
	"context"
	"encoding/json"
	"errors"

	"bittern/harness/checkpoint"
	"bittern/harness/internal/pace"
	"bittern/harness/storage"
	"bittern/plugins"
)

// saver saves and loads the checkpoints of one experiment.
type saver struct {
	storage.Checkpoints
	id string
	// saved, where it is not nil, is told that the position is saved.
	saved func(position) error
}

// saveLast saves everything that training needs to go on, and saveBest everything that a
// freeze needs.
func (s saver) saveLast(ctx context.Context, at position, t *tensors, p *pace.Pace) error {
	if err := s.save(ctx, storage.Last, at, t.resumed(), p); err != nil || s.saved == nil {
		return err
	}
	return s.saved(at)
}

func (s saver) saveBest(ctx context.Context, at position, t *tensors, p *pace.Pace) error {
	return s.save(ctx, storage.Best, at, t.frozen(), p)
}

func (s saver) save(ctx context.Context, kind storage.Kind, at position, tensors []checkpoint.Tensor, p *pace.Pace) error {
	state, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return s.Save(ctx, kind, checkpoint.Manifest{
		Experiment: s.id, Step: uint64(at.Step), Epoch: at.Epoch, BestValidation: at.Best, State: state,
	}, tensors, p)
}

// loadLast fills the tensors from the last checkpoint and returns where training stood. If
// there is none, the error is [checkpoint.ErrNone] and the tensors keep the values that the
// model gave them.
func (s saver) loadLast(ctx context.Context, t *tensors) (position, error) {
	return s.load(ctx, storage.Last, t.resumed())
}

// loadBest fills the tensors with the best network, which must be the one that the
// position names: its step and its validation score.
func (s saver) loadBest(ctx context.Context, t *tensors, at position) error {
	best, err := s.readBest(ctx, t)
	if err != nil {
		return err
	}
	if best.Step != at.BestStep || best.Best == nil || at.Best == nil || *best.Best != *at.Best {
		return plugins.Problemf("the best network in %s is that of step %d, and training names that of step %d; run the same command with --again to train the experiment afresh", s.Where(storage.Best, s.id), best.Step, at.BestStep)
	}
	return nil
}

// checkBest makes sure that the best network is there, without which training that goes on
// from the position could not be finished. It may also be the network of a validation that
// the position does not know yet: a run that was killed between saving the network and
// saving the position does that validation again and saves the same bytes.
func (s saver) checkBest(ctx context.Context, t *tensors, at position) error {
	best, err := s.readBest(ctx, t)
	if err == nil && (best.Step > at.Step || best.Step == at.Step && at.Due) {
		return nil
	}
	return s.loadBest(ctx, t, at)
}

func (s saver) readBest(ctx context.Context, t *tensors) (position, error) {
	best, err := s.load(ctx, storage.Best, t.frozen())
	if errors.Is(err, checkpoint.ErrNone) {
		return best, plugins.Problemf("the best network is missing in %s; run the same command with --again to train the experiment afresh", s.Where(storage.Best, s.id))
	}
	return best, err
}

func (s saver) load(ctx context.Context, kind storage.Kind, tensors []checkpoint.Tensor) (position, error) {
	manifest, err := s.Load(ctx, kind, s.id, tensors)
	if err != nil {
		return position{}, err
	}
	var at position
	if err := json.Unmarshal(manifest.State, &at); err != nil {
		return position{}, plugins.Problemf("the checkpoint in %s does not say where training stood (%v); run the same command with --again to train the experiment afresh", s.Where(kind, s.id), err)
	}
	return at, nil
}

// removeLast removes the last checkpoint, which a finished experiment does not need.
func (s saver) removeLast(ctx context.Context) error { return s.Remove(ctx, storage.Last, s.id) }

// frozen lists what a freeze of the network needs: the network, and the second moments
// of its weights where the quantizer reads them.
func (t *tensors) frozen() []checkpoint.Tensor {
	list := t.network()
	if !t.freezesMoments {
		return list
	}
	for _, p := range t.parameters {
		if p.Quantize {
			list = append(list, checkpoint.Tensor{Name: moment2Name + p.Name, Shape: p.Shape, Float32: p.Moment2})
		}
	}
	return list
}

// resumed lists what training goes on from: the network and the optimiser's state.
func (t *tensors) resumed() []checkpoint.Tensor { return append(t.network(), t.moments()...) }

// Parameters and their moments are known by these beginnings of names.
const (
	valueName   = "value/"
	moment1Name = "moment1/"
	moment2Name = "moment2/"
)

// network lists what makes up the network as tensors to save or fill.
func (t *tensors) network() []checkpoint.Tensor {
	var list []checkpoint.Tensor
	for _, p := range t.parameters {
		list = append(list, checkpoint.Tensor{Name: valueName + p.Name, Shape: p.Shape, Float32: p.Value})
	}
	for _, b := range t.buffers {
		list = append(list, checkpoint.Tensor{Name: "buffer/" + b.Name, Shape: b.Shape, Float32: b.Values})
	}
	for _, s := range t.states {
		list = append(list, checkpoint.Tensor{Name: "state/" + stateName(s.State), Shape: s.Shape, Float32: s.Value})
	}
	return list
}

// moments lists the optimiser's state; it is empty for SGD.
func (t *tensors) moments() []checkpoint.Tensor {
	var list []checkpoint.Tensor
	for _, p := range t.parameters {
		if p.Moment1 != nil {
			list = append(list,
				checkpoint.Tensor{Name: moment1Name + p.Name, Shape: p.Shape, Float32: p.Moment1},
				checkpoint.Tensor{Name: moment2Name + p.Name, Shape: p.Shape, Float32: p.Moment2})
		}
	}
	for _, s := range t.states {
		if s.Moment1 != nil {
			list = append(list,
				checkpoint.Tensor{Name: "state-moment1/" + stateName(s.State), Shape: s.Shape, Float32: s.Moment1},
				checkpoint.Tensor{Name: "state-moment2/" + stateName(s.State), Shape: s.Shape, Float32: s.Moment2})
		}
	}
	return list
}
