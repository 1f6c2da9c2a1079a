package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"bittern/harness/checkpoint"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/plugins"
)

func folderOf(runs *store.Store) storage.Storage { return storage.InFolder(runs) }

// recordJournal reads a record.
type recordJournal struct {
	storage.Journal // whose other methods are not called
	record          record
}

func (j recordJournal) Experiment(context.Context, string) (store.Experiment, error) {
	if j.record.Row == nil {
		return store.Experiment{}, store.ErrNotFound
	}
	return *j.record.Row, nil
}

func (j recordJournal) Deployments(context.Context, string) ([]store.Deployment, error) {
	return j.record.Deployments, nil
}

// gather writes what workers found of an experiment into the run store: files first, so that
// a row never names one that is not there.
func (r *Remote) gather(ctx context.Context, found record) error {
	if found.Row == nil {
		return plugins.Problemf("the server has no result of experiment %s; run the suite with --again", found.Experiment)
	}
	row, to := *found.Row, folderOf(r.runs)
	for _, kind := range []storage.Kind{storage.Best, storage.Last} {
		saved, ok := found.Saved[kind]
		if !ok {
			continue
		}
		content, err := r.cluster.download(ctx, saved.Tensors)
		if err != nil {
			return err
		}
		tensors, err := checkpoint.ReadTensors(bytes.NewReader(content), int64(len(content)))
		if err != nil || saved.Manifest.Experiment != row.ID {
			return plugins.Problemf("the %s checkpoint of experiment %s at the server is damaged (%v); run the suite with --again", kind, row.ID, err)
		}
		if err := to.Checkpoints.Save(ctx, kind, saved.Manifest, tensors, nil); err != nil {
			return err
		}
	}
	stored, err := r.runs.Experiment(ctx, row.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if row.Status == store.Done {
		n, err := r.cluster.network(ctx, row.ID, row.Artifact, found.Artifact)
		if err != nil {
			return err
		}
		if stored.Artifact != row.Artifact { // another network, or another freeze of it
			if err := r.runs.DropDeployments(ctx, row.ID); err != nil {
				return err
			}
		}
		if _, err := to.Artifacts.Write(ctx, row.ID, n); err != nil {
			return err
		}
		if err := to.Checkpoints.Remove(ctx, storage.Last, row.ID); err != nil {
			return err
		}
	}
	if err := r.runs.PutExperiment(ctx, row); err != nil {
		return err
	}
	for _, d := range found.Deployments {
		if err := r.runs.PutDeployment(ctx, d); err != nil && !errors.Is(err, store.ErrDone) {
			return err
		}
	}
	return nil
}

// seed gives the server what the run store has of an experiment, where the server knows
// nothing of it.
func (r *Remote) seed(ctx context.Context, id string) (err error) {
	row, err := r.runs.Experiment(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.StartedAt.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	if row.Status == store.Damaged {
		return plugins.Problemf("the row of experiment %s in the run store is damaged; run the same command with --again to train it afresh", id)
	}
	if known, _, err := r.cluster.record(ctx, id); err == nil && known.State != "" {
		return nil
	} else if err != nil && !errors.Is(err, errNoRecord) {
		return err
	}
	lock, err := r.runs.Lock(ctx, id)
	if _, held := errors.AsType[*store.Held](err); held {
		return nil // somebody is running it
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	desk := r.cluster.newDesk("a run store")
	k, err := desk.take(ctx, id)
	if err != nil {
		return err
	}
	copied := r.copyTo(ctx, desk.storage(), row)
	waits := k.change(func() error { // nobody runs it until it is queued
		k.next.State = ""
		return nil
	})
	return errors.Join(copied, waits, desk.leave(k))
}

// copyTo writes everything that the run store has of an experiment.
func (r *Remote) copyTo(ctx context.Context, to storage.Storage, row store.Experiment) error {
	for _, kind := range []storage.Kind{storage.Best, storage.Last} {
		manifest, tensors, err := checkpoint.Read(r.folder(row.ID, string(kind)), row.ID)
		if errors.Is(err, checkpoint.ErrNone) {
			continue
		}
		if err == nil {
			err = to.Checkpoints.Save(ctx, kind, manifest, tensors, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := copyMetrics(ctx, r.runs.ExperimentDir(row.ID), to.Journal, row.ID); err != nil {
		return err
	}
	if row.Status == store.Done {
		n, err := folderOf(r.runs).Artifacts.Read(ctx, row.ID, row.Artifact)
		if err != nil {
			return err
		}
		if _, err := to.Artifacts.Write(ctx, row.ID, n); err != nil {
			return err
		}
	}
	if err := to.Journal.PutExperiment(ctx, row); err != nil {
		return err
	}
	deployments, err := r.runs.Deployments(ctx, row.ID)
	if err != nil {
		return err
	}
	for _, d := range deployments {
		if d.Status == store.Damaged {
			continue // it is made again
		}
		if err := to.Journal.PutDeployment(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func copyMetrics(ctx context.Context, from string, to storage.Journal, id string) (err error) {
	steps, err := store.ReadSteps(from)
	if err != nil {
		return err
	}
	validations, err := store.ReadValidations(from)
	if err != nil {
		return err
	}
	metrics, err := to.Metrics(ctx, id, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Close()) }()
	for _, step := range steps {
		if err := metrics.Append(step); err != nil {
			return fmt.Errorf("the metrics of experiment %s: %w", id, err)
		}
	}
	for _, v := range validations {
		if err := metrics.AppendValidation(v); err != nil {
			return fmt.Errorf("the metrics of experiment %s: %w", id, err)
		}
	}
	return nil
}
