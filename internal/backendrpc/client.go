// Package backendrpc carries the backend contract over gRPC.
package backendrpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/wire"
	backendv1 "bittern/internal/wire/bittern/backend/v1"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// Client is the backend at the other end of a connection. Close removes the tensors that it
// shares with the backend.
type Client interface {
	backend.Backend
	io.Closer
}

// NewClient returns the backend at the other end of a connection. It copies the tensors of
// requests into arenas of its own in the folder, or in arena.Folder() if folder is empty.
func NewClient(conn grpc.ClientConnInterface, folder string) Client {
	return &client{remote: backendv1.NewBackendClient(conn), folder: folder}
}

type client struct {
	remote     backendv1.BackendClient
	folder     string
	deployment *arena.Arena
}

func (c *client) Close() error {
	if c.deployment == nil {
		return nil
	}
	err := c.deployment.Close()
	c.deployment = nil
	return err
}

func (c *client) Describe(ctx context.Context) (plugins.Description, error) {
	response, err := c.remote.Describe(ctx, &backendv1.DescribeRequest{})
	return wire.DecodeDescription(response.GetDescription()), err
}

func (c *client) Explain(ctx context.Context, options plugins.Values) (backend.Explanation, error) {
	response, err := c.remote.Explain(ctx, &backendv1.ExplainRequest{Options: options})
	if err != nil {
		return backend.Explanation{}, err
	}
	return decodeExplanation(response), nil
}

func (c *client) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	deployment, err := arena.Create(c.folder, 0)
	if err != nil {
		return backend.Deployed{}, fmt.Errorf("deploy: %w", err)
	}
	deployed, err := c.deployInto(ctx, deployment, request)
	if err != nil {
		return backend.Deployed{}, errors.Join(err, deployment.Close())
	}
	previous := c.deployment
	c.deployment = deployment
	if previous == nil {
		return deployed, nil
	}
	return deployed, previous.Close()
}

func (c *client) deployInto(ctx context.Context, a *arena.Arena, request backend.Deploy) (_ backend.Deployed, err error) {
	defer a.Guard(&err)()
	program, err := wire.EncodeNetwork(a, request.Network)
	if err != nil {
		return backend.Deployed{}, fmt.Errorf("deploy: %w", err)
	}
	m := &backendv1.DeployRequest{Options: request.Options, Network: program, Weights: make(map[string]*backendv1.Matrix, len(request.Weights))}
	for name, weight := range request.Weights {
		matrix, err := encodeMatrix(a, weight)
		if err != nil {
			return backend.Deployed{}, fmt.Errorf("deploy: weight %s: %w", name, err)
		}
		m.Weights[name] = matrix
	}
	response, err := c.remote.Deploy(ctx, m)
	if err != nil {
		return backend.Deployed{}, err
	}
	return backend.Deployed{Tolerance: response.Tolerance, Arithmetic: plugins.Line(response.GetArithmetic())}, nil
}

func encodeMatrix(a *arena.Arena, weight packed.Matrix) (*backendv1.Matrix, error) {
	m := &backendv1.Matrix{Rows: int64(weight.Rows), Cols: int64(weight.Cols)}
	var err error
	for i, p := range weight.Planes {
		plane := &backendv1.Plane{Bits: int64(p.Bits)}
		if plane.Levels, err = wire.Copy(a, p.Levels); err != nil {
			return nil, fmt.Errorf("levels of plane %d: %w", i, err)
		}
		if plane.Scales, err = wire.Copy(a, p.Scales); err != nil {
			return nil, fmt.Errorf("scales of plane %d: %w", i, err)
		}
		if plane.Data, err = wire.Copy(a, p.Data); err != nil {
			return nil, fmt.Errorf("data of plane %d: %w", i, err)
		}
		m.Planes = append(m.Planes, plane)
	}
	if m.Values, err = wire.Copy(a, weight.Values); err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	return m, nil
}

func (c *client) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	response, err := c.remote.Cost(ctx, &backendv1.CostRequest{Steps: wire.EncodeSteps(request.Steps)})
	if err != nil {
		return backend.Cost{}, err
	}
	var missing map[string]string
	for quantity, reason := range response.GetMissing() {
		if missing == nil {
			missing = make(map[string]string)
		}
		missing[plugins.Line(quantity)] = plugins.Line(reason)
	}
	return backend.Cost{
		Cycles: response.Cycles, Seconds: response.Seconds, Area: decodeParts(response.GetArea()),
		Energy: decodeParts(response.GetEnergy()), Memory: decodeParts(response.GetMemory()),
		Measured: response.GetMeasured(), N: int(response.GetN()),
		Missing: missing, Notes: plugins.Lines(response.GetNotes()),
		Substitutions: decodeSubstitutions(response.GetSubstitutions()),
		SecondsLow:    response.SecondsLow, SecondsHigh: response.SecondsHigh,
	}, nil
}

func (c *client) Execute(ctx context.Context, request backend.Execute) (_ network.Score, err error) {
	call, err := arena.Create(c.folder, executeBytes(request))
	if err != nil {
		return network.Score{}, fmt.Errorf("execute: %w", err)
	}
	defer func() { err = errors.Join(err, call.Close()) }()
	defer call.Guard(&err)()
	m := &backendv1.ExecuteRequest{}
	if m.Batch, err = wire.CopyBatch(call, request.Batch); err != nil {
		return network.Score{}, fmt.Errorf("execute: %w", err)
	}
	var outputs []float32
	if request.Outputs != nil {
		if outputs, err = arena.Make[float32](call, len(request.Outputs)); err != nil {
			return network.Score{}, fmt.Errorf("execute: outputs: %w", err)
		}
		copy(outputs, request.Outputs) // the backend sees what it would see in this process
		if m.Outputs, err = wire.Locate(call, outputs); err != nil {
			return network.Score{}, fmt.Errorf("execute: outputs: %w", err)
		}
	}
	response, err := c.remote.Execute(ctx, m)
	if err != nil {
		return network.Score{}, err
	}
	copy(request.Outputs, outputs)
	return wire.DecodeScore(response.GetScore()), nil
}

// executeBytes returns the bytes that all tensors of the request take in an arena, where each
// starts on a cache line.
func executeBytes(request backend.Execute) int {
	const line = 64
	elements := len(request.Batch.Fresh) + len(request.Batch.Targets) + len(request.Outputs)
	tensors := 3
	for _, values := range request.Batch.Int32 {
		elements += len(values)
		tensors++
	}
	for _, values := range request.Batch.Float32 {
		elements += len(values)
		tensors++
	}
	return 4*elements + line*tensors
}

func encodeParts(parts []backend.Part) []*backendv1.Part {
	var m []*backendv1.Part
	for _, p := range parts {
		m = append(m, &backendv1.Part{Name: p.Name, Value: p.Value, Outside: p.Outside, Static: p.Static, Assumed: p.Assumed})
	}
	return m
}

func encodeSubstitutions(substitutions []backend.Substitution) []*backendv1.Substitution {
	var m []*backendv1.Substitution
	for _, s := range substitutions {
		m = append(m, &backendv1.Substitution{Weight: s.Weight, From: s.From, To: s.To, Reason: s.Reason})
	}
	return m
}

func decodeSubstitutions(m []*backendv1.Substitution) []backend.Substitution {
	var substitutions []backend.Substitution
	for _, s := range m {
		substitutions = append(substitutions, backend.Substitution{
			Weight: s.GetWeight(), From: s.GetFrom(), To: s.GetTo(), Reason: s.GetReason(),
		})
	}
	return substitutions
}

func decodeParts(m []*backendv1.Part) []backend.Part {
	var parts []backend.Part
	for _, p := range m {
		parts = append(parts, backend.Part{Name: plugins.Line(p.GetName()), Value: p.GetValue(), Outside: p.GetOutside(), Static: p.GetStatic(), Assumed: p.GetAssumed()})
	}
	return parts
}
