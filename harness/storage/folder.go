package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/pace"
	"bittern/harness/internal/runfolder"
	"bittern/harness/store"
)

// InFolder keeps experiments in the folder of a run store: checkpoints in RUNS/ID/last and
// RUNS/ID/best, and the deployed network in RUNS/ID/deployed.
func InFolder(runs *store.Store) Storage {
	files := files{runs: runs.Dir()}
	return Storage{
		Journal:     folderJournal{runs},
		Checkpoints: folderCheckpoints{files},
		Artifacts:   folderArtifacts{files},
		Logs:        runs.Dir(),
	}
}

// ReadSaved calls read with the checkpoints in a folder of runs, if there is a last one of the
// experiment, and keeps others from running the experiment meanwhile. If somebody is running
// it, the error is a [*store.Held]. It writes nothing.
func ReadSaved(runs, experiment string, read func(Checkpoints) error) error {
	checkpoints := folderCheckpoints{files{runs}}
	if _, err := os.Lstat(checkpoints.Where(Last, experiment)); err != nil {
		return nil // none yet, or a folder that the run store will say more of
	}
	return store.ReadLocked(checkpoints.folder(experiment), func() error { return read(checkpoints) })
}

type folderJournal struct{ *store.Store }

func (j folderJournal) Lock(ctx context.Context, id string) (release func() error, err error) {
	lock, err := j.Store.Lock(ctx, id)
	if err != nil {
		return nil, err
	}
	return lock.Release, nil
}

func (j folderJournal) Metrics(_ context.Context, experiment string, done uint64) (Metrics, error) {
	return store.OpenSteps(j.ExperimentDir(experiment), done)
}

// files are the folders of the experiments in a folder of runs.
type files struct{ runs string }

func (f files) folder(experiment string) string { return filepath.Join(f.runs, experiment) }

// vouch makes sure that an experiment's folder is not a link that leads out of the run store.
// Files in it are checked when they are opened. A folder that does not exist is no error.
func (f files) vouch(experiment string) error {
	path := f.folder(experiment)
	root, err := runfolder.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskfault.Explain(err, path)
	}
	return root.Close()
}

type folderCheckpoints struct{ files }

func (c folderCheckpoints) Where(kind Kind, experiment string) string {
	return filepath.Join(c.folder(experiment), string(kind))
}

func (c folderCheckpoints) Save(_ context.Context, kind Kind, manifest checkpoint.Manifest, tensors []checkpoint.Tensor, p *pace.Pace) error {
	if err := c.vouch(manifest.Experiment); err != nil {
		return err
	}
	return checkpoint.Save(c.Where(kind, manifest.Experiment), manifest, tensors, p)
}

func (c folderCheckpoints) Load(_ context.Context, kind Kind, experiment string, tensors []checkpoint.Tensor) (checkpoint.Manifest, error) {
	if err := c.vouch(experiment); err != nil {
		return checkpoint.Manifest{}, err
	}
	return checkpoint.Load(c.Where(kind, experiment), experiment, tensors)
}

func (c folderCheckpoints) Remove(_ context.Context, kind Kind, experiment string) error {
	if err := c.vouch(experiment); err != nil {
		return err
	}
	return checkpoint.Remove(c.Where(kind, experiment))
}

func (c folderCheckpoints) Sweep(_ context.Context, experiment string) error {
	if err := c.vouch(experiment); err != nil {
		return err
	}
	return errors.Join(checkpoint.Sweep(c.Where(Last, experiment)), checkpoint.Sweep(c.Where(Best, experiment)))
}

type folderArtifacts struct{ files }

func (a folderArtifacts) Write(_ context.Context, experiment string, n artifact.Network) (checksum string, err error) {
	return artifact.Write(artifact.Folder(a.folder(experiment)), n)
}

func (a folderArtifacts) Read(_ context.Context, experiment, checksum string) (artifact.Network, error) {
	if err := a.vouch(experiment); err != nil {
		return artifact.Network{}, err
	}
	return artifact.Read(artifact.Folder(a.folder(experiment)), checksum)
}

func (a folderArtifacts) Remove(_ context.Context, experiment string) error {
	if err := a.vouch(experiment); err != nil {
		return err
	}
	return artifact.Remove(artifact.Folder(a.folder(experiment)))
}

func (a folderArtifacts) Sweep(_ context.Context, experiment string) error {
	if err := a.vouch(experiment); err != nil {
		return err
	}
	return artifact.Sweep(artifact.Folder(a.folder(experiment)))
}
