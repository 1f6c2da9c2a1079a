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
	networkv1 "bittern/internal/wire/bittern/network/v1"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// Register serves a backend. Calls must not overlap. Close unmaps the tensors that the backend
// still uses.
func Register(registrar grpc.ServiceRegistrar, b backend.Backend) io.Closer {
	s := &server{backend: b}
	backendv1.RegisterBackendServer(registrar, s)
	return s
}

type server struct {
	backendv1.UnimplementedBackendServer
	backend backend.Backend
	session wire.Session
}

func (s *server) Close() error { return s.session.Close() }

func (s *server) Describe(ctx context.Context, _ *backendv1.DescribeRequest) (*backendv1.DescribeResponse, error) {
	description, err := s.backend.Describe(ctx)
	return &backendv1.DescribeResponse{Description: wire.EncodeDescription(description)}, err
}

func (s *server) Explain(ctx context.Context, request *backendv1.ExplainRequest) (*backendv1.ExplainResponse, error) {
	explanation, err := s.backend.Explain(ctx, request.GetOptions())
	return encodeExplanation(explanation), err
}

func (s *server) Deploy(ctx context.Context, request *backendv1.DeployRequest) (*backendv1.DeployResponse, error) {
	var deployed backend.Deployed
	err := s.session.Replace(func(mapping *arena.Mapping) error {
		program, err := readNetwork(request.GetNetwork())
		if err != nil {
			return err
		}
		deploy := backend.Deploy{Options: request.GetOptions(), Network: program, Weights: make(map[string]packed.Matrix, len(request.GetWeights()))}
		for name, m := range request.GetWeights() {
			matrix, err := viewMatrix(mapping, m)
			if err != nil {
				return fmt.Errorf("weight %s: %w", name, err)
			}
			deploy.Weights[name] = matrix
		}
		deployed, err = s.backend.Deploy(ctx, deploy)
		return err
	})
	return &backendv1.DeployResponse{Tolerance: deployed.Tolerance, Arithmetic: deployed.Arithmetic}, err
}

func readNetwork(m *networkv1.Network) (_ network.Network, err error) {
	reader := new(arena.Reader)
	defer func() { err = errors.Join(err, reader.Close()) }()
	return wire.DecodeNetwork(reader, m)
}

func viewMatrix(mapping *arena.Mapping, m *backendv1.Matrix) (packed.Matrix, error) {
	matrix := packed.Matrix{Rows: int(m.GetRows()), Cols: int(m.GetCols())}
	var err error
	for i, plane := range m.GetPlanes() {
		p := packed.Plane{Bits: int(plane.GetBits())}
		if p.Levels, err = wire.View[float32](mapping, plane.GetLevels()); err != nil {
			return packed.Matrix{}, fmt.Errorf("levels of plane %d: %w", i, err)
		}
		if p.Scales, err = wire.View[float32](mapping, plane.GetScales()); err != nil {
			return packed.Matrix{}, fmt.Errorf("scales of plane %d: %w", i, err)
		}
		if p.Data, err = wire.View[uint8](mapping, plane.GetData()); err != nil {
			return packed.Matrix{}, fmt.Errorf("data of plane %d: %w", i, err)
		}
		matrix.Planes = append(matrix.Planes, p)
	}
	if matrix.Values, err = wire.View[uint8](mapping, m.GetValues()); err != nil {
		return packed.Matrix{}, fmt.Errorf("values: %w", err)
	}
	return matrix, nil
}

func (s *server) Cost(ctx context.Context, request *backendv1.CostRequest) (*backendv1.CostResponse, error) {
	cost, err := s.backend.Cost(ctx, backend.CostRequest{Steps: wire.DecodeSteps(request.GetSteps())})
	return &backendv1.CostResponse{
		Cycles: cost.Cycles, Seconds: cost.Seconds, Area: encodeParts(cost.Area),
		Energy: encodeParts(cost.Energy), Memory: encodeParts(cost.Memory),
		Measured: cost.Measured, N: int64(cost.N), Missing: cost.Missing, Notes: cost.Notes,
		Substitutions: encodeSubstitutions(cost.Substitutions),
		SecondsLow:    cost.SecondsLow, SecondsHigh: cost.SecondsHigh,
	}, err
}

func (s *server) Execute(ctx context.Context, request *backendv1.ExecuteRequest) (_ *backendv1.ExecuteResponse, err error) {
	mapping := new(arena.Mapping)
	defer func() { err = errors.Join(err, mapping.Close()) }()
	var execute backend.Execute
	if execute.Batch, err = wire.ViewBatch(mapping, request.GetBatch()); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	if execute.Outputs, err = wire.View[float32](mapping, request.GetOutputs()); err != nil {
		return nil, fmt.Errorf("outputs: %w", err)
	}
	score, err := s.backend.Execute(ctx, execute)
	return &backendv1.ExecuteResponse{Score: wire.EncodeScore(score)}, err
}
