// Package modelrpc carries the model contract over gRPC.
package modelrpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/wire"
	modelv1 "bittern/internal/wire/bittern/model/v1"
	pluginv1 "bittern/internal/wire/bittern/plugin/v1"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// NewClient returns the model at the other end of a connection. The slices given to its Build
// must lie in the arena; otherwise Build returns an error that wraps arena.ErrOutside.
func NewClient(conn grpc.ClientConnInterface, a *arena.Arena) model.Model {
	return &client{remote: modelv1.NewModelClient(conn), arena: a}
}

type client struct {
	remote modelv1.ModelClient
	arena  *arena.Arena
}

func (c *client) Describe(ctx context.Context) (plugins.Description, error) {
	response, err := c.remote.Describe(ctx, &modelv1.DescribeRequest{})
	return wire.DecodeDescription(response.GetDescription()), err
}

func (c *client) Plan(ctx context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	response, err := c.remote.Plan(ctx, &modelv1.PlanRequest{Options: options, Shape: wire.EncodeShape(shape)})
	if err != nil {
		return model.Plan{}, err
	}
	var plan model.Plan
	for _, p := range response.GetParameters() {
		plan.Parameters = append(plan.Parameters, model.Parameter{Name: p.GetName(), Shape: wire.Ints(p.GetShape()), Quantize: p.GetQuantize()})
	}
	for _, b := range response.GetBuffers() {
		plan.Buffers = append(plan.Buffers, model.Buffer{Name: b.GetName(), Shape: wire.Ints(b.GetShape()), Statistic: b.GetStatistic()})
	}
	for _, s := range response.GetSettings() {
		plan.Settings = append(plan.Settings, model.Setting{Name: s.GetName(), Value: s.GetValue()})
	}
	return plan, nil
}

func (c *client) Build(ctx context.Context, request model.Build) error {
	m := &modelv1.BuildRequest{
		Options: request.Options, Shape: wire.EncodeShape(request.Shape), Seed: request.Seed,
		Threads: int64(request.Threads), Optimiser: string(request.Optimiser), Arithmetic: string(request.Arithmetic),
		Parameters: make(map[string]*modelv1.Tensors, len(request.Parameters)),
		Buffers:    make(map[string]*pluginv1.Tensor, len(request.Buffers)),
	}
	for name, tensors := range request.Parameters {
		handles, err := c.encodeTensors(tensors)
		if err != nil {
			return fmt.Errorf("build the model: parameter %s: %w", name, err)
		}
		m.Parameters[name] = handles
	}
	for name, buffer := range request.Buffers {
		handle, err := wire.Locate(c.arena, buffer)
		if err != nil {
			return fmt.Errorf("build the model: buffer %s: %w", name, err)
		}
		m.Buffers[name] = handle
	}
	batch, err := wire.LocateBatch(c.arena, request.Batch)
	if err != nil {
		return fmt.Errorf("build the model: %w", err)
	}
	m.Batch = batch
	_, err = c.remote.Build(ctx, m)
	return err
}

func (c *client) encodeTensors(t model.Tensors) (*modelv1.Tensors, error) {
	m := &modelv1.Tensors{}
	for _, tensor := range []struct {
		name  string
		slice []float32
		field **pluginv1.Tensor
	}{
		{"Value", t.Value, &m.Value},
		{"Quantized", t.Quantized, &m.Quantized},
		{"Grad", t.Grad, &m.Grad},
		{"Moment1", t.Moment1, &m.Moment1},
		{"Moment2", t.Moment2, &m.Moment2},
	} {
		handle, err := wire.Locate(c.arena, tensor.slice)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tensor.name, err)
		}
		*tensor.field = handle
	}
	return m, nil
}

func (c *client) Step(ctx context.Context, request model.Step) (model.StepResult, error) {
	response, err := c.remote.Step(ctx, &modelv1.StepRequest{Number: request.Number})
	return model.StepResult{Loss: response.GetLoss()}, err
}

func (c *client) Update(ctx context.Context, request model.Update) (model.UpdateResult, error) {
	response, err := c.remote.Update(ctx, &modelv1.UpdateRequest{
		Number: request.Number, LearningRate: request.LearningRate, ClipNorm: request.ClipNorm,
	})
	return model.UpdateResult{GradNorm: response.GetGradNorm()}, err
}

func (c *client) Evaluate(ctx context.Context, request model.Evaluate) (network.Score, error) {
	response, err := c.remote.Evaluate(ctx, &modelv1.EvaluateRequest{
		Statistics: string(request.Statistics), First: request.First, Arithmetic: string(request.Arithmetic),
	})
	return wire.DecodeScore(response.GetScore()), err
}

func (c *client) Export(ctx context.Context) (network.Network, error) {
	response, err := c.remote.Export(ctx, &modelv1.ExportRequest{})
	if err != nil {
		return network.Network{}, err
	}
	var exported network.Network
	err = wire.ReadAnswer(c.arena, func(reader *arena.Reader) (err error) {
		exported, err = wire.DecodeNetwork(reader, response.GetNetwork())
		return err
	})
	return exported, err
}
