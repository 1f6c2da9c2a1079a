package quantizerrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/wire"
	quantizerv1 "bittern/internal/wire/bittern/quantizer/v1"
	"bittern/plugins/quantizer"
)

// Register serves a quantizer. Calls must not overlap. Close unmaps the tensors of the session
// and removes those of the last answer.
func Register(registrar grpc.ServiceRegistrar, q quantizer.Quantizer) io.Closer {
	s := &server{quantizer: q}
	quantizerv1.RegisterQuantizerServer(registrar, s)
	return s
}

type server struct {
	quantizerv1.UnimplementedQuantizerServer
	quantizer quantizer.Quantizer
	session   wire.Session
	answer    wire.Answer
}

func (s *server) Close() error { return errors.Join(s.session.Close(), s.answer.Close()) }

func (s *server) Describe(ctx context.Context, _ *quantizerv1.DescribeRequest) (*quantizerv1.DescribeResponse, error) {
	description, err := s.quantizer.Describe(ctx)
	return &quantizerv1.DescribeResponse{Description: wire.EncodeDescription(description)}, err
}

func (s *server) Plan(ctx context.Context, request *quantizerv1.PlanRequest) (*quantizerv1.PlanResponse, error) {
	var weights []quantizer.Shape
	for _, m := range request.GetWeights() {
		weights = append(weights, decodeShape(m))
	}
	states, err := s.quantizer.Plan(ctx, request.GetOptions(), weights)
	response := &quantizerv1.PlanResponse{}
	for _, state := range states {
		response.States = append(response.States, &quantizerv1.State{
			Name: state.Name, Weight: state.Weight, Shape: wire.Int64s(state.Shape), Trained: state.Trained,
		})
	}
	return response, err
}

func (s *server) Open(ctx context.Context, request *quantizerv1.OpenRequest) (*quantizerv1.OpenResponse, error) {
	err := s.session.Replace(func(mapping *arena.Mapping) error {
		var weights []quantizer.Weight
		for _, m := range request.GetWeights() {
			w, err := viewWeight(mapping, m)
			if err != nil {
				return fmt.Errorf("weight %s: %w", m.GetShape().GetName(), err)
			}
			weights = append(weights, w)
		}
		return s.quantizer.Open(ctx, request.GetOptions(), weights)
	})
	return &quantizerv1.OpenResponse{}, err
}

func viewWeight(mapping *arena.Mapping, m *quantizerv1.Weight) (quantizer.Weight, error) {
	w := quantizer.Weight{Shape: decodeShape(m.GetShape())}
	var err error
	if w.Latent, err = wire.View[float32](mapping, m.GetLatent()); err != nil {
		return quantizer.Weight{}, fmt.Errorf("latent: %w", err)
	}
	if w.Quantized, err = wire.View[float32](mapping, m.GetQuantized()); err != nil {
		return quantizer.Weight{}, fmt.Errorf("quantized: %w", err)
	}
	if w.Grad, err = wire.View[float32](mapping, m.GetGrad()); err != nil {
		return quantizer.Weight{}, fmt.Errorf("grad: %w", err)
	}
	if w.Moment2, err = wire.View[float32](mapping, m.GetMoment2()); err != nil {
		return quantizer.Weight{}, fmt.Errorf("moment2: %w", err)
	}
	for name, tensors := range m.GetState() {
		var state quantizer.StateTensors
		if state.Value, err = wire.View[float32](mapping, tensors.GetValue()); err != nil {
			return quantizer.Weight{}, fmt.Errorf("state %s: %w", name, err)
		}
		if state.Grad, err = wire.View[float32](mapping, tensors.GetGrad()); err != nil {
			return quantizer.Weight{}, fmt.Errorf("the gradient of state %s: %w", name, err)
		}
		if w.State == nil {
			w.State = make(map[string]quantizer.StateTensors, len(m.GetState()))
		}
		w.State[name] = state
	}
	return w, nil
}

func (s *server) Initialise(ctx context.Context, _ *quantizerv1.InitialiseRequest) (*quantizerv1.InitialiseResponse, error) {
	return &quantizerv1.InitialiseResponse{}, s.quantizer.Initialise(ctx)
}

func (s *server) Quantize(ctx context.Context, request *quantizerv1.QuantizeRequest) (*quantizerv1.QuantizeResponse, error) {
	return &quantizerv1.QuantizeResponse{}, s.quantizer.Quantize(ctx, decodeDraw(request.GetDraw()))
}

func (s *server) Backward(ctx context.Context, request *quantizerv1.BackwardRequest) (*quantizerv1.BackwardResponse, error) {
	return &quantizerv1.BackwardResponse{}, s.quantizer.Backward(ctx, quantizer.Backward{
		Draw: decodeDraw(request.GetDraw()), LearningRate: request.GetLearningRate(), Update: request.GetUpdate(),
	})
}

func (s *server) Project(ctx context.Context, _ *quantizerv1.ProjectRequest) (*quantizerv1.ProjectResponse, error) {
	return &quantizerv1.ProjectResponse{}, s.quantizer.Project(ctx)
}

func (s *server) Freeze(ctx context.Context, request *quantizerv1.FreezeRequest) (*quantizerv1.FreezeResponse, error) {
	defer debug.FreeOSMemory() // the codes, once they are copied
	frozen, err := s.quantizer.Freeze(ctx, decodeDraw(request.GetDraw()))
	if err != nil {
		return nil, err
	}
	shared, err := s.answer.Next()
	if err != nil {
		return nil, err
	}
	response := &quantizerv1.FreezeResponse{}
	for _, f := range frozen {
		m, err := encodeFrozen(shared, f)
		if err != nil {
			return nil, fmt.Errorf("weight %s: %w", f.Name, err)
		}
		response.Weights = append(response.Weights, m)
	}
	return response, nil
}

func encodeFrozen(a *arena.Arena, f quantizer.Frozen) (*quantizerv1.Frozen, error) {
	m := &quantizerv1.Frozen{Name: f.Name}
	var err error
	for i, p := range f.Planes {
		plane := &quantizerv1.Plane{Bits: int64(p.Bits)}
		if plane.Codes, err = wire.Copy(a, p.Codes); err != nil {
			return nil, fmt.Errorf("codes of plane %d: %w", i, err)
		}
		if plane.Levels, err = wire.Copy(a, p.Levels); err != nil {
			return nil, fmt.Errorf("levels of plane %d: %w", i, err)
		}
		if plane.Scales, err = wire.Copy(a, p.Scales); err != nil {
			return nil, fmt.Errorf("scales of plane %d: %w", i, err)
		}
		m.Planes = append(m.Planes, plane)
	}
	if m.Values, err = wire.Copy(a, f.Values); err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	return m, nil
}
