package host

import (
	"context"
	"errors"

	"bittern/internal/backendrpc"
	"bittern/internal/checked"
	"bittern/internal/modelrpc"
	"bittern/internal/quantizerrpc"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// Quantizer is a quantizer in a process of its own. Its options may leave out those that have a
// default. Its answers are checked.
type Quantizer struct {
	quantizer.Quantizer
	*Process
}

// Model is a model in a process of its own; see [Quantizer].
type Model struct {
	model.Model
	*Process
}

// Backend is a backend in a process of its own; see [Quantizer].
type Backend struct {
	backend.Backend
	*Process
}

// Quantizer starts the quantizer of this name.
func (c *Catalogue) Quantizer(ctx context.Context, name string, settings Settings) (*Quantizer, error) {
	process, err := c.start(ctx, plugins.ID{Kind: plugins.KindQuantizer, Name: name}, settings)
	if err != nil {
		return nil, err
	}
	remote := quantizerrpc.NewClient(process.conn, settings.Arena)
	if err := process.describe(ctx, remote.Describe); err != nil {
		return nil, errors.Join(err, process.Close())
	}
	return &Quantizer{Quantizer: checked.Quantizer(remote, process.judge()), Process: process}, nil
}

// Model starts the model of this name.
func (c *Catalogue) Model(ctx context.Context, name string, settings Settings) (*Model, error) {
	process, err := c.start(ctx, plugins.ID{Kind: plugins.KindModel, Name: name}, settings)
	if err != nil {
		return nil, err
	}
	remote := modelrpc.NewClient(process.conn, settings.Arena)
	if err := process.describe(ctx, remote.Describe); err != nil {
		return nil, errors.Join(err, process.Close())
	}
	return &Model{Model: checked.Model(remote, process.judge()), Process: process}, nil
}

// Backend starts the backend of this name.
func (c *Catalogue) Backend(ctx context.Context, name string, settings Settings) (*Backend, error) {
	process, err := c.start(ctx, plugins.ID{Kind: plugins.KindBackend, Name: name}, settings)
	if err != nil {
		return nil, err
	}
	remote := backendrpc.NewClient(process.conn, "")
	process.release = remote.Close
	if err := process.describe(ctx, remote.Describe); err != nil {
		return nil, errors.Join(err, process.Close())
	}
	return &Backend{Backend: checked.Backend(remote, process.judge()), Process: process}, nil
}

func (c *Catalogue) start(ctx context.Context, id plugins.ID, settings Settings) (*Process, error) {
	entry, err := c.Find(id)
	if err != nil {
		return nil, err
	}
	if settings.Output == nil && c.output != nil {
		settings.Output = c.output(id)
	}
	return start(ctx, entry, settings)
}

func (p *Process) judge() checked.Judge {
	return checked.Judge{Owner: p.id.String(), Options: p.description.Options, Traits: p.description.Traits, Nonsense: p.nonsense}
}
