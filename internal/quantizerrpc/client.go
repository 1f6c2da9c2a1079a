// Package quantizerrpc carries the quantizer contract over gRPC.
package quantizerrpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/wire"
	pluginv1 "bittern/internal/wire/bittern/plugin/v1"
	quantizerv1 "bittern/internal/wire/bittern/quantizer/v1"
	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// NewClient returns the quantizer at the other end of a connection. The slices given to its Open
// must lie in the arena; otherwise Open returns an error that wraps arena.ErrOutside.
func NewClient(conn grpc.ClientConnInterface, a *arena.Arena) quantizer.Quantizer {
	return &client{remote: quantizerv1.NewQuantizerClient(conn), arena: a}
}

type client struct {
	remote quantizerv1.QuantizerClient
	arena  *arena.Arena
}

func (c *client) Describe(ctx context.Context) (plugins.Description, error) {
	response, err := c.remote.Describe(ctx, &quantizerv1.DescribeRequest{})
	return wire.DecodeDescription(response.GetDescription()), err
}

func (c *client) Plan(ctx context.Context, options plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	request := &quantizerv1.PlanRequest{Options: options}
	for _, w := range weights {
		request.Weights = append(request.Weights, encodeShape(w))
	}
	response, err := c.remote.Plan(ctx, request)
	if err != nil {
		return nil, err
	}
	var states []quantizer.State
	for _, s := range response.GetStates() {
		states = append(states, quantizer.State{Name: s.GetName(), Weight: s.GetWeight(), Shape: wire.Ints(s.GetShape()), Trained: s.GetTrained()})
	}
	return states, nil
}

func (c *client) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	request := &quantizerv1.OpenRequest{Options: options}
	for _, w := range weights {
		m, err := c.encodeWeight(w)
		if err != nil {
			return fmt.Errorf("open the quantizer: weight %s: %w", w.Name, err)
		}
		request.Weights = append(request.Weights, m)
	}
	_, err := c.remote.Open(ctx, request)
	return err
}

func (c *client) encodeWeight(w quantizer.Weight) (*quantizerv1.Weight, error) {
	m := &quantizerv1.Weight{Shape: encodeShape(w.Shape)}
	for _, tensor := range []struct {
		name  string
		slice []float32
		field **pluginv1.Tensor
	}{
		{"Latent", w.Latent, &m.Latent},
		{"Quantized", w.Quantized, &m.Quantized},
		{"Grad", w.Grad, &m.Grad},
		{"Moment2", w.Moment2, &m.Moment2},
	} {
		handle, err := wire.Locate(c.arena, tensor.slice, w.Rows, w.Cols)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tensor.name, err)
		}
		*tensor.field = handle
	}
	if w.State != nil {
		m.State = make(map[string]*quantizerv1.StateTensors, len(w.State))
	}
	for name, state := range w.State {
		tensors := &quantizerv1.StateTensors{}
		var err error
		if tensors.Value, err = wire.Locate(c.arena, state.Value); err != nil {
			return nil, fmt.Errorf("state %s: %w", name, err)
		}
		if tensors.Grad, err = wire.Locate(c.arena, state.Grad); err != nil {
			return nil, fmt.Errorf("the gradient of state %s: %w", name, err)
		}
		m.State[name] = tensors
	}
	return m, nil
}

func (c *client) Initialise(ctx context.Context) error {
	_, err := c.remote.Initialise(ctx, &quantizerv1.InitialiseRequest{})
	return err
}

func (c *client) Quantize(ctx context.Context, draw quantizer.Draw) error {
	_, err := c.remote.Quantize(ctx, &quantizerv1.QuantizeRequest{Draw: encodeDraw(draw)})
	return err
}

func (c *client) Backward(ctx context.Context, request quantizer.Backward) error {
	_, err := c.remote.Backward(ctx, &quantizerv1.BackwardRequest{
		Draw: encodeDraw(request.Draw), LearningRate: request.LearningRate, Update: request.Update,
	})
	return err
}

func (c *client) Project(ctx context.Context) error {
	_, err := c.remote.Project(ctx, &quantizerv1.ProjectRequest{})
	return err
}

func (c *client) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	response, err := c.remote.Freeze(ctx, &quantizerv1.FreezeRequest{Draw: encodeDraw(draw)})
	if err != nil {
		return nil, err
	}
	var frozen []quantizer.Frozen
	err = wire.ReadAnswer(c.arena, func(reader *arena.Reader) error {
		for _, m := range response.GetWeights() {
			f, err := decodeFrozen(reader, m)
			if err != nil {
				return fmt.Errorf("read the frozen weight %s: %w", m.GetName(), err)
			}
			frozen = append(frozen, f)
		}
		return nil
	})
	return frozen, err
}

func decodeFrozen(reader *arena.Reader, m *quantizerv1.Frozen) (quantizer.Frozen, error) {
	f := quantizer.Frozen{Name: m.GetName()}
	var err error
	for i, plane := range m.GetPlanes() {
		p := quantizer.Plane{Bits: int(plane.GetBits())}
		if p.Codes, err = wire.Read[uint16](reader, plane.GetCodes()); err != nil {
			return quantizer.Frozen{}, fmt.Errorf("codes of plane %d: %w", i, err)
		}
		if p.Levels, err = wire.Read[float32](reader, plane.GetLevels()); err != nil {
			return quantizer.Frozen{}, fmt.Errorf("levels of plane %d: %w", i, err)
		}
		if p.Scales, err = wire.Read[float32](reader, plane.GetScales()); err != nil {
			return quantizer.Frozen{}, fmt.Errorf("scales of plane %d: %w", i, err)
		}
		f.Planes = append(f.Planes, p)
	}
	if f.Values, err = wire.Read[float32](reader, m.GetValues()); err != nil {
		return quantizer.Frozen{}, fmt.Errorf("values: %w", err)
	}
	return f, nil
}

func encodeShape(s quantizer.Shape) *quantizerv1.Shape {
	return &quantizerv1.Shape{Name: s.Name, Rows: int64(s.Rows), Cols: int64(s.Cols)}
}

func decodeShape(m *quantizerv1.Shape) quantizer.Shape {
	return quantizer.Shape{Name: m.GetName(), Rows: int(m.GetRows()), Cols: int(m.GetCols())}
}

func encodeDraw(d quantizer.Draw) *quantizerv1.Draw {
	return &quantizerv1.Draw{Seed: d.Seed, Step: d.Step}
}

func decodeDraw(m *quantizerv1.Draw) quantizer.Draw {
	return quantizer.Draw{Seed: m.GetSeed(), Step: m.GetStep()}
}
