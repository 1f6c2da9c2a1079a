package cell

import (
	"context"
	"errors"
	"slices"
	"time"

	"bittern/harness/corpus"
	"bittern/harness/provenance"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins/host"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// null is the name of the plugins that compute nothing.
const null = "null"

// overheadSteps is enough for a median that a few interruptions do not move,
// and takes a fraction of a second.
const overheadSteps = 201

// MeasureOverhead times the calls of a training step on the null plugins, each
// in a process of its own as in a real cell: what the harness itself costs.
func MeasureOverhead(ctx context.Context, catalogue *host.Catalogue) (_ *provenance.Overhead, err error) {
	text, err := corpus.Load(ctx, corpus.Request{Name: "grammar", MaxBytes: 1 << 14})
	if err != nil {
		return nil, err
	}
	spec := &Spec{
		Task: suite.Task{Training: suite.Training{Optimiser: model.Adam}}, Corpus: text,
		Model: Plugin{Label: null, Name: null}, Quantizer: Plugin{Label: null, Name: null}, Threads: 1,
	}
	t, err := task.NewLanguageModel(text, 4, 25)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, catalogue, 0, spec, t)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.build(ctx); err != nil {
		return nil, err
	}
	batches := t.Training(0, 0)
	seconds := make([]float64, overheadSteps)
	for i := range seconds {
		began := time.Now()
		if _, err := batches.Fill(i%batches.Len(), s.tensors.inputs); err != nil {
			return nil, err
		}
		if err := s.quantizer.Quantize(ctx, quantizer.Draw{Step: uint64(i)}); err != nil {
			return nil, err
		}
		if _, err := s.model.Step(ctx, model.Step{Number: uint64(i)}); err != nil {
			return nil, err
		}
		if err := s.model.Update(ctx, model.Update{Number: uint64(i + 1), LearningRate: 1}); err != nil {
			return nil, err
		}
		seconds[i] = time.Since(began).Seconds()
	}
	slices.Sort(seconds)
	return &provenance.Overhead{Seconds: seconds[overheadSteps/2], N: overheadSteps}, nil
}
