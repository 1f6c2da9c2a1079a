package modelrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/wire"
	modelv1 "bittern/internal/wire/bittern/model/v1"
	pluginv1 "bittern/internal/wire/bittern/plugin/v1"
	"bittern/plugins/model"
)

// Register serves a model. Calls must not overlap. Close unmaps the tensors of the session and
// removes those of the last answer.
func Register(registrar grpc.ServiceRegistrar, m model.Model) io.Closer {
	s := &server{model: m}
	modelv1.RegisterModelServer(registrar, s)
	return s
}

type server struct {
	modelv1.UnimplementedModelServer
	model   model.Model
	session wire.Session
	answer  wire.Answer
}

func (s *server) Close() error { return errors.Join(s.session.Close(), s.answer.Close()) }

func (s *server) Describe(ctx context.Context, _ *modelv1.DescribeRequest) (*modelv1.DescribeResponse, error) {
	description, err := s.model.Describe(ctx)
	return &modelv1.DescribeResponse{Description: wire.EncodeDescription(description)}, err
}

func (s *server) Plan(ctx context.Context, request *modelv1.PlanRequest) (*modelv1.PlanResponse, error) {
	shape := wire.DecodeShape(request.GetShape())
	if err := shape.Check(); err != nil {
		return nil, fmt.Errorf("plan the model: %w", err)
	}
	plan, err := s.model.Plan(ctx, request.GetOptions(), shape)
	response := &modelv1.PlanResponse{}
	for _, p := range plan.Parameters {
		response.Parameters = append(response.Parameters, &modelv1.Parameter{Name: p.Name, Shape: wire.Int64s(p.Shape), Quantize: p.Quantize})
	}
	for _, b := range plan.Buffers {
		response.Buffers = append(response.Buffers, &modelv1.Buffer{Name: b.Name, Shape: wire.Int64s(b.Shape), Statistic: b.Statistic})
	}
	for _, setting := range plan.Settings {
		response.Settings = append(response.Settings, &modelv1.Setting{Name: setting.Name, Value: setting.Value})
	}
	return response, err
}

func (s *server) Build(ctx context.Context, request *modelv1.BuildRequest) (*modelv1.BuildResponse, error) {
	err := s.session.Replace(func(mapping *arena.Mapping) error {
		build, err := viewBuild(mapping, request)
		if err != nil {
			return err
		}
		return s.model.Build(ctx, build)
	})
	debug.FreeOSMemory() // what starting values were computed from is not needed again
	return &modelv1.BuildResponse{}, err
}

func viewBuild(mapping *arena.Mapping, request *modelv1.BuildRequest) (model.Build, error) {
	build := model.Build{
		Options: request.GetOptions(), Shape: wire.DecodeShape(request.GetShape()), Seed: request.GetSeed(),
		Threads: int(request.GetThreads()), Optimiser: model.Optimiser(request.GetOptimiser()), Arithmetic: model.Arithmetic(request.GetArithmetic()),
		Parameters: make(map[string]model.Tensors, len(request.GetParameters())),
		Buffers:    make(map[string][]float32, len(request.GetBuffers())),
	}
	for name, handles := range request.GetParameters() {
		tensors, err := viewTensors(mapping, handles)
		if err != nil {
			return model.Build{}, fmt.Errorf("parameter %s: %w", name, err)
		}
		build.Parameters[name] = tensors
	}
	for name, handle := range request.GetBuffers() {
		buffer, err := wire.View[float32](mapping, handle)
		if err != nil {
			return model.Build{}, fmt.Errorf("buffer %s: %w", name, err)
		}
		build.Buffers[name] = buffer
	}
	var err error
	if build.Batch, err = wire.ViewBatch(mapping, request.GetBatch()); err != nil {
		return model.Build{}, fmt.Errorf("batch: %w", err)
	}
	if err := build.Batch.Fits(build.Shape); err != nil {
		return model.Build{}, fmt.Errorf("batch: %w", err)
	}
	return build, nil
}

func viewTensors(mapping *arena.Mapping, m *modelv1.Tensors) (model.Tensors, error) {
	var t model.Tensors
	for _, tensor := range []struct {
		name   string
		handle *pluginv1.Tensor
		slice  *[]float32
	}{
		{"value", m.GetValue(), &t.Value},
		{"quantized", m.GetQuantized(), &t.Quantized},
		{"grad", m.GetGrad(), &t.Grad},
		{"moment1", m.GetMoment1(), &t.Moment1},
		{"moment2", m.GetMoment2(), &t.Moment2},
	} {
		view, err := wire.View[float32](mapping, tensor.handle)
		if err != nil {
			return model.Tensors{}, fmt.Errorf("%s: %w", tensor.name, err)
		}
		*tensor.slice = view
	}
	return t, nil
}

func (s *server) Step(ctx context.Context, request *modelv1.StepRequest) (*modelv1.StepResponse, error) {
	result, err := s.model.Step(ctx, model.Step{Number: request.GetNumber()})
	return &modelv1.StepResponse{Loss: result.Loss}, err
}

func (s *server) Update(ctx context.Context, request *modelv1.UpdateRequest) (*modelv1.UpdateResponse, error) {
	result, err := s.model.Update(ctx, model.Update{
		Number: request.GetNumber(), LearningRate: request.GetLearningRate(), ClipNorm: request.GetClipNorm(),
	})
	return &modelv1.UpdateResponse{GradNorm: result.GradNorm}, err
}

func (s *server) Evaluate(ctx context.Context, request *modelv1.EvaluateRequest) (*modelv1.EvaluateResponse, error) {
	score, err := s.model.Evaluate(ctx, model.Evaluate{
		Statistics: model.Statistics(request.GetStatistics()), First: request.GetFirst(), Arithmetic: model.Arithmetic(request.GetArithmetic()),
	})
	return &modelv1.EvaluateResponse{Score: wire.EncodeScore(score)}, err
}

func (s *server) Export(ctx context.Context, _ *modelv1.ExportRequest) (*modelv1.ExportResponse, error) {
	exported, err := s.model.Export(ctx)
	if err != nil {
		return nil, err
	}
	shared, err := s.answer.Next()
	if err != nil {
		return nil, err
	}
	m, err := wire.EncodeNetwork(shared, exported)
	return &modelv1.ExportResponse{Network: m}, err
}
