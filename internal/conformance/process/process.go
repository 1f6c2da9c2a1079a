// Package process runs the checks of package conformance on plugins in processes of their own,
// which it starts as the harness does.
package process

import (
	"context"
	"io"

	"bittern/internal/arena"
	"bittern/internal/conformance"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// Groups returns the checks of an external or built-in plugin of the catalogue, once for each
// set of options; nil means the defaults.
func Groups(catalogue *host.Catalogue, id plugins.ID, options ...plugins.Values) []*conformance.Group {
	if len(options) == 0 {
		options = []plugins.Values{nil}
	}
	switch id.Kind {
	case plugins.KindModel:
		return conformance.Model(way(func(ctx context.Context, settings host.Settings) (model.Model, *host.Process, error) {
			m, err := catalogue.Model(ctx, id.Name, settings)
			if err != nil {
				return nil, nil, err
			}
			return m.Model, m.Process, nil
		}), options)
	case plugins.KindBackend:
		return conformance.Backend(way(func(ctx context.Context, settings host.Settings) (backend.Backend, *host.Process, error) {
			b, err := catalogue.Backend(ctx, id.Name, settings)
			if err != nil {
				return nil, nil, err
			}
			return b.Backend, b.Process, nil
		}), options)
	default: // a catalogue has three kinds
		return conformance.Quantizer(way(func(ctx context.Context, settings host.Settings) (quantizer.Quantizer, *host.Process, error) {
			q, err := catalogue.Quantizer(ctx, id.Name, settings)
			if err != nil {
				return nil, nil, err
			}
			return q.Quantizer, q.Process, nil
		}), options)
	}
}

func way[P any](start func(context.Context, host.Settings) (P, *host.Process, error)) conformance.Way[P] {
	return conformance.Way[P]{Name: "in its own process", Separate: true, Open: func(ctx context.Context, shared *arena.Arena) (P, io.Closer, error) {
		// The deadline is shorter than that of the check, so that the failure names the call.
		plugin, process, err := start(ctx, host.Settings{Arena: shared, Deadline: conformance.Limit / 2})
		return plugin, process, err
	}}
}
