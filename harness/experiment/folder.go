package experiment

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/runfolder"
	"bittern/plugins"
)

// folder is what an experiment keeps on disk beside its row in the run store.
type folder struct {
	path string
	id   string
	// saved, where it is not nil, is told that the position is on disk.
	saved func(position) error
}

func (f folder) last() string     { return filepath.Join(f.path, "last") }
func (f folder) best() string     { return filepath.Join(f.path, "best") }
func (f folder) artifact() string { return artifact.Folder(f.path) }

// saveLast saves everything that training needs to go on, and saveBest everything that a
// freeze needs.
func (f folder) saveLast(at position, t *tensors) error {
	if err := f.save(f.last(), at, t.resumed()); err != nil || f.saved == nil {
		return err
	}
	return f.saved(at)
}

func (f folder) saveBest(at position, t *tensors) error {
	return f.save(f.best(), at, t.frozen())
}

func (f folder) save(path string, at position, tensors []checkpoint.Tensor) error {
	if err := f.vouch(); err != nil {
		return err
	}
	state, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return checkpoint.Save(path, checkpoint.Manifest{
		Experiment: f.id, Step: uint64(at.Step), Epoch: at.Epoch, BestValidation: at.Best, State: state,
	}, tensors)
}

// loadLast fills the tensors from the last checkpoint and returns where training stood. If
// there is none, the error is [checkpoint.ErrNone] and the tensors keep the values that the
// model gave them.
func (f folder) loadLast(t *tensors) (position, error) { return f.load(f.last(), t.resumed()) }

// loadBest fills the tensors with the best network, which must be the one that the
// position names: its step and its validation score.
func (f folder) loadBest(t *tensors, at position) error {
	best, err := f.readBest(t)
	if err != nil {
		return err
	}
	if best.Step != at.BestStep || best.Best == nil || at.Best == nil || *best.Best != *at.Best {
		return plugins.Problemf("the best network in %s is that of step %d, and training names that of step %d; run the same command with --again to train the experiment afresh", f.best(), best.Step, at.BestStep)
	}
	return nil
}

// checkBest makes sure that the best network is there, without which training that goes on
// from the position could not be finished. It may also be the network of a validation that
// the position does not know yet: a run that was killed between saving the network and
// saving the position does that validation again and saves the same bytes.
func (f folder) checkBest(t *tensors, at position) error {
	best, err := f.readBest(t)
	if err == nil && (best.Step > at.Step || best.Step == at.Step && at.Due) {
		return nil
	}
	return f.loadBest(t, at)
}

func (f folder) readBest(t *tensors) (position, error) {
	best, err := f.load(f.best(), t.frozen())
	if errors.Is(err, checkpoint.ErrNone) {
		return best, plugins.Problemf("the best network is missing in %s; run the same command with --again to train the experiment afresh", f.best())
	}
	return best, err
}

func (f folder) load(path string, tensors []checkpoint.Tensor) (position, error) {
	if err := f.vouch(); err != nil {
		return position{}, err
	}
	manifest, err := checkpoint.Load(path, f.id, tensors)
	if err != nil {
		return position{}, err
	}
	var at position
	if err := json.Unmarshal(manifest.State, &at); err != nil {
		return position{}, plugins.Problemf("the checkpoint in %s does not say where training stood (%v); run the same command with --again to train the experiment afresh", path, err)
	}
	return at, nil
}

// removeLast removes the last checkpoint, which a finished experiment does not need.
func (f folder) removeLast() error { return checkpoint.Remove(f.last()) }

// remove deletes the checkpoints and the deployed network, so that training starts
// afresh. The metrics are cut when it does.
func (f folder) remove() error {
	if err := f.vouch(); err != nil {
		return err
	}
	return errors.Join(checkpoint.Remove(f.last()), checkpoint.Remove(f.best()), artifact.Remove(f.artifact()))
}

// sweep removes what a run that was killed left half written. Call it under the lock.
func (f folder) sweep() error {
	if err := f.vouch(); err != nil {
		return err
	}
	return errors.Join(checkpoint.Sweep(f.last()), checkpoint.Sweep(f.best()), artifact.Sweep(f.artifact()))
}

// vouch makes sure that the folder is not a link that leads out of the run store. Files in
// it are checked when they are opened. A folder that does not exist is no error.
func (f folder) vouch() error {
	root, err := runfolder.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskfault.Explain(err, f.path)
	}
	return root.Close()
}

// frozen lists what a freeze of the network needs: the network, and the second moments
// of its weights where the quantizer reads them.
func (t *tensors) frozen() []checkpoint.Tensor {
	list := t.network()
	if !t.freezesMoments {
		return list
	}
	for _, p := range t.parameters {
		if p.Quantize {
			list = append(list, checkpoint.Tensor{Name: "moment2/" + p.Name, Shape: p.Shape, Float32: p.Moment2})
		}
	}
	return list
}

// resumed lists what training goes on from: the network and the optimiser's state.
func (t *tensors) resumed() []checkpoint.Tensor { return append(t.network(), t.moments()...) }

// network lists what makes up the network as tensors to save or fill.
func (t *tensors) network() []checkpoint.Tensor {
	var list []checkpoint.Tensor
	for _, p := range t.parameters {
		list = append(list, checkpoint.Tensor{Name: "value/" + p.Name, Shape: p.Shape, Float32: p.Value})
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
				checkpoint.Tensor{Name: "moment1/" + p.Name, Shape: p.Shape, Float32: p.Moment1},
				checkpoint.Tensor{Name: "moment2/" + p.Name, Shape: p.Shape, Float32: p.Moment2})
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
