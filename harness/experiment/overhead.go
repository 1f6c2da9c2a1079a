package experiment

import (
	"context"
	"errors"
	"slices"
	"time"

	"bittern/harness/dataset"
	"bittern/harness/provenance"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/plugins/model"
)

// null is the name of the plugins that compute nothing.
const null = "null"

// The steps that are timed: enough for a median that a few interruptions do not move,
// and no more where the machine is busy, for training waits meanwhile.
const (
	fewestOverheadSteps = 21
	mostOverheadSteps   = 201
	overheadTime        = 100 * time.Millisecond
)

// MeasureOverhead times the training step of the null plugins, each in a
// process of its own as in a real experiment: what the harness itself costs.
func MeasureOverhead(ctx context.Context, catalogue *host.Catalogue) (_ *provenance.Overhead, err error) {
	text, err := dataset.Load(ctx, dataset.Request{Name: "grammar", MaxBytes: 1 << 14})
	if err != nil {
		return nil, err
	}
	t, err := task.NewLanguageModel(text, 4, 25)
	if err != nil {
		return nil, err
	}
	trial, err := OpenTrial(ctx, catalogue, 0, &Spec{
		Task:  suite.Task{Training: suite.Training{Optimiser: model.Adam}},
		Model: Plugin{Label: null, Name: null}, Quantizer: Plugin{Label: null, Name: null}, Threads: 1,
	}, t)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	var seconds []float64
	for began := time.Now(); len(seconds) < fewestOverheadSteps || len(seconds) < mostOverheadSteps && time.Since(began) < overheadTime; {
		took, err := trial.Step(ctx)
		if err != nil {
			return nil, err
		}
		seconds = append(seconds, took.Seconds())
	}
	slices.Sort(seconds)
	return &provenance.Overhead{Seconds: seconds[len(seconds)/2], N: len(seconds)}, nil
}
