package conformance

import (
	"context"
	"io"

	"bittern/plugins/arena"
	"bittern/plugins/backend"
	"bittern/plugins/host"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// QuantizerProcess reaches an executable, or a built-in, as the harness does.
func QuantizerProcess(catalogue *host.Catalogue, name string) Way[quantizer.Quantizer] {
	return processWay(func(ctx context.Context, settings host.Settings) (quantizer.Quantizer, *host.Process, error) {
		q, err := catalogue.Quantizer(ctx, name, settings)
		if err != nil {
			return nil, nil, err
		}
		return q.Quantizer, q.Process, nil
	})
}

// ModelProcess is [QuantizerProcess] for a model.
func ModelProcess(catalogue *host.Catalogue, name string) Way[model.Model] {
	return processWay(func(ctx context.Context, settings host.Settings) (model.Model, *host.Process, error) {
		m, err := catalogue.Model(ctx, name, settings)
		if err != nil {
			return nil, nil, err
		}
		return m.Model, m.Process, nil
	})
}

// BackendProcess is [QuantizerProcess] for a backend.
func BackendProcess(catalogue *host.Catalogue, name string) Way[backend.Backend] {
	return processWay(func(ctx context.Context, settings host.Settings) (backend.Backend, *host.Process, error) {
		b, err := catalogue.Backend(ctx, name, settings)
		if err != nil {
			return nil, nil, err
		}
		return b.Backend, b.Process, nil
	})
}

func processWay[P any](start func(context.Context, host.Settings) (P, *host.Process, error)) Way[P] {
	return Way[P]{Name: "in its own process", Separate: true, Open: func(ctx context.Context, shared *arena.Arena) (P, io.Closer, error) {
		// The deadline is below the check's, so that the failure names the call.
		plugin, process, err := start(ctx, host.Settings{Arena: shared, Deadline: Limit / 2})
		return plugin, process, err
	}}
}
