// Package storage says where the runner of experiments keeps them, and keeps them in a folder
// of runs. Another implementation is in package cluster.
package storage

import (
	"context"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/internal/pace"
	"bittern/harness/store"
)

// Storage is where experiments are kept. Package storagetest has the suite that every
// implementation must pass.
type Storage struct {
	Journal     Journal
	Checkpoints Checkpoints
	Artifacts   Artifacts

	// Logs is the folder of runs in which what the plugins of an experiment print is kept,
	// as Logs/ID/log. It is not kept if Logs is empty.
	Logs string
}

// Journal keeps what is known of experiments: their rows, their deployments, and the metrics
// of their training steps. [*store.Store] says what its methods of the same names do.
type Journal interface {
	// Lock takes the right to write what belongs to an experiment until release is called.
	// If another process has it, either the error is a [*store.Held], or the other process
	// loses it and its later writes fail. What was put before release returned is kept.
	Lock(ctx context.Context, id string) (release func() error, err error)

	Experiment(ctx context.Context, id string) (store.Experiment, error)
	PutExperiment(ctx context.Context, row store.Experiment) error
	Reset(ctx context.Context, pending store.Experiment) error
	LastDone(ctx context.Context, labelled store.Experiment) (store.Experiment, error)

	Deployments(ctx context.Context, experiment string) ([]store.Deployment, error)
	PutDeployment(ctx context.Context, d store.Deployment) error
	DropDeployments(ctx context.Context, experiment string) error

	// Metrics opens the metrics of an experiment to be appended to, as [store.OpenSteps] does.
	Metrics(ctx context.Context, experiment string, done uint64) (Metrics, error)
}

// Metrics appends to the metrics of an experiment; see [store.Steps]. Sync may be called beside
// another method.
type Metrics interface {
	Append(step store.Step) error
	AppendValidation(v store.Validation) error
	Sync() error
	Close() error
}

// Kind is one of the two checkpoints that an experiment has.
type Kind string

// The kinds of checkpoints.
const (
	Last Kind = "last" // what training goes on from
	Best Kind = "best" // the network that validated best
)

// Checkpoints keeps the states of the training of experiments. See package checkpoint for
// what its functions of the same names do.
type Checkpoints interface {
	Save(ctx context.Context, kind Kind, manifest checkpoint.Manifest, tensors []checkpoint.Tensor, p *pace.Pace) error
	Load(ctx context.Context, kind Kind, experiment string, tensors []checkpoint.Tensor) (checkpoint.Manifest, error)
	Remove(ctx context.Context, kind Kind, experiment string) error
	// Sweep removes what a process that was killed left half written. The caller has the
	// lock of the experiment.
	Sweep(ctx context.Context, experiment string) error
	// Where names a checkpoint in a message to the user.
	Where(kind Kind, experiment string) string
}

// Artifacts keeps the deployed networks of experiments. See package artifact for what its
// functions of the same names do.
type Artifacts interface {
	Write(ctx context.Context, experiment string, n artifact.Network) (checksum string, err error)
	Read(ctx context.Context, experiment, checksum string) (artifact.Network, error)
	Remove(ctx context.Context, experiment string) error
	// Sweep is as that of [Checkpoints].
	Sweep(ctx context.Context, experiment string) error
}
