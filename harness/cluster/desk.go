package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"bittern/harness/checkpoint"
	"bittern/harness/internal/pace"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/plugins"
)

// desk is where a worker writes what belongs to the experiments that it has claimed.
type desk struct {
	cluster *Cluster
	worker  string

	mu     sync.Mutex
	claims map[string]*claim // by experiment
}

func (c *Cluster) newDesk(worker string) *desk {
	return &desk{cluster: c, worker: worker, claims: map[string]*claim{}}
}

// storage keeps experiments on the server. An experiment that somebody else locks is lost to
// this desk: writes to it fail with a [*Lost].
func (d *desk) storage() storage.Storage {
	return storage.Storage{Journal: journal{d}, Checkpoints: checkpoints{d}, Artifacts: artifacts{d}}
}

// take claims an experiment.
func (d *desk) take(ctx context.Context, id string) (*claim, error) {
	k, err := d.cluster.claim(ctx, id, d.worker)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claims[id] = k
	return k, nil
}

// leave ends a claim after everything is sent.
func (d *desk) leave(k *claim) error {
	d.mu.Lock()
	delete(d.claims, k.id)
	d.mu.Unlock()
	return k.release()
}

func (d *desk) claimed(id string) (*claim, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.claims[id]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("experiment %s is not locked", id)
}

// read looks at the record as it is to be.
func (d *desk) read(id string, look func(k *claim)) error {
	k, err := d.claimed(id)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	look(k)
	return nil
}

func (d *desk) change(id string, change func(k *claim) error) error {
	k, err := d.claimed(id)
	if err != nil {
		return err
	}
	return k.change(func() error { return change(k) })
}

type journal struct{ *desk }

// Lock goes on with a claim that the worker has already, and will end itself; otherwise it
// makes one.
func (j journal) Lock(ctx context.Context, id string) (release func() error, err error) {
	if _, err := j.claimed(id); err == nil {
		return func() error { return nil }, nil
	}
	k, err := j.take(ctx, id)
	if err != nil {
		return nil, err
	}
	return func() error { return j.leave(k) }, nil
}

func (j journal) Experiment(_ context.Context, id string) (row store.Experiment, err error) {
	known := false
	err = j.read(id, func(k *claim) {
		if known = k.next.Row != nil; known {
			row = *k.next.Row
		}
	})
	if err == nil && !known {
		err = fmt.Errorf("%w: %s", store.ErrNotFound, id)
	}
	return row, err
}

// LastDone finds nothing: the server knows experiments by their IDs alone.
func (j journal) LastDone(context.Context, store.Experiment) (store.Experiment, error) {
	return store.Experiment{}, store.ErrNotFound
}

func (j journal) PutExperiment(ctx context.Context, row store.Experiment) error {
	row.StartedAt, row.FinishedAt = row.StartedAt.UTC(), row.FinishedAt.UTC()
	k, err := j.claimed(row.ID)
	if err != nil {
		return err
	}
	if err := k.change(func() error {
		if before := k.next.Row; before != nil && before.Status == store.Done && row.Status != store.Done {
			return fmt.Errorf("experiment %s: %w", row.ID, store.ErrDone)
		}
		k.next.Row = &row
		return nil
	}); err != nil {
		return err
	}
	if row.Status != store.Done && row.Status != store.Failed {
		return nil
	}
	return k.flush(ctx)
}

func (j journal) Reset(_ context.Context, pending store.Experiment) error {
	return j.change(pending.ID, func(k *claim) error {
		if k.next.Row == nil {
			return fmt.Errorf("%w: %s", store.ErrNotFound, pending.ID)
		}
		k.next.Row, k.next.Deployments = &pending, nil
		return nil
	})
}

func (j journal) Deployments(_ context.Context, id string) (list []store.Deployment, err error) {
	err = j.read(id, func(k *claim) { list = slices.Clone(k.next.Deployments) })
	return list, err
}

func (j journal) PutDeployment(_ context.Context, d store.Deployment) error {
	return j.change(d.Experiment, func(k *claim) error {
		list := slices.Clone(k.next.Deployments)
		at, known := slices.BinarySearchFunc(list, d, func(a, b store.Deployment) int { return strings.Compare(a.Backend, b.Backend) })
		switch {
		case !known:
			list = slices.Insert(list, at, d)
		case list[at].Status == store.Done && d.Status != store.Done && bytes.Equal(list[at].Config, d.Config):
			return fmt.Errorf("experiment %s on %s: %w", d.Experiment, d.Backend, store.ErrDone)
		default:
			list[at] = d
		}
		k.next.Deployments = list
		return nil
	})
}

func (j journal) DropDeployments(_ context.Context, id string) error {
	return j.change(id, func(k *claim) error {
		k.next.Deployments = nil
		return nil
	})
}

type checkpoints struct{ *desk }

func (c checkpoints) Where(kind storage.Kind, experiment string) string {
	return fmt.Sprintf("the %s checkpoint of experiment %s at %s", kind, experiment, c.cluster.options)
}

func (c checkpoints) Save(_ context.Context, kind storage.Kind, manifest checkpoint.Manifest, tensors []checkpoint.Tensor, p *pace.Pace) error {
	var content bytes.Buffer
	content.Grow(fileSize(tensors))
	if err := checkpoint.WriteTensors(p.Writer(&content), tensors, nil); err != nil {
		return fmt.Errorf("checkpoint of experiment %s: %w", manifest.Experiment, err)
	}
	return c.change(manifest.Experiment, func(k *claim) error {
		k.saving[kind] = &snapshot{savedAt{Manifest: manifest}, content.Bytes()}
		return nil
	})
}

// fileSize is about the size of a file of tensors.
func fileSize(tensors []checkpoint.Tensor) int {
	const header = 256 // of a tensor
	sum := header
	for _, t := range tensors {
		sum += header + t.Bytes()
	}
	return sum
}

func (c checkpoints) Load(ctx context.Context, kind storage.Kind, experiment string, tensors []checkpoint.Tensor) (checkpoint.Manifest, error) {
	var unsent *snapshot
	var saved savedAt
	var known bool
	if err := c.read(experiment, func(k *claim) {
		unsent = cmp.Or(k.saving[kind], k.storing[kind])
		saved, known = k.next.Saved[kind]
	}); err != nil {
		return checkpoint.Manifest{}, err
	}
	var content []byte
	switch {
	case unsent != nil:
		saved, content = unsent.manifest, unsent.content
	case known:
		var err error
		if content, err = c.cluster.download(ctx, saved.Tensors); err != nil {
			return checkpoint.Manifest{}, c.refuse(kind, experiment, err)
		}
	}
	if content == nil {
		return checkpoint.Manifest{}, checkpoint.ErrNone
	}
	if saved.Manifest.Experiment != experiment {
		return checkpoint.Manifest{}, c.refuse(kind, experiment, fmt.Errorf("it is of experiment %s", saved.Manifest.Experiment))
	}
	if err := checkpoint.FillTensors(bytes.NewReader(content), int64(len(content)), tensors); err != nil {
		return checkpoint.Manifest{}, c.refuse(kind, experiment, err)
	}
	return saved.Manifest, nil
}

// refuse says that a checkpoint cannot be used. A server that is silent is no fault of it.
func (c checkpoints) refuse(kind storage.Kind, experiment string, err error) error {
	if silent(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return plugins.Problemf("%s cannot be used (%s); run the suite with --again to train the experiment afresh", c.Where(kind, experiment), err)
}

func (c checkpoints) Remove(_ context.Context, kind storage.Kind, experiment string) error {
	return c.change(experiment, func(k *claim) error {
		k.saving[kind] = &snapshot{}
		return nil
	})
}

// Sweep does nothing: what no record names is removed when the suite is gathered.
func (c checkpoints) Sweep(context.Context, string) error { return nil }
