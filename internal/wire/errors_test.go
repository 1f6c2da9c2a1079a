package wire_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bittern/internal/wire"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// cross sends an error through both interceptors, as a call does.
func cross(method string, err error) error {
	_, onTheWire := wire.ServeErrors(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: method},
		func(context.Context, any) (any, error) { return nil, err })
	return wire.ClientErrors(context.Background(), method, nil, nil, nil,
		func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return onTheWire })
}

func TestErrorsCross(t *testing.T) {
	t.Parallel()
	const ours = "/bittern.model.v1.Model/Step"
	if err := cross(ours, nil); err != nil {
		t.Errorf("no error crosses as %v, want nil", err)
	}
	err := cross(ours, fmt.Errorf("build: %w", plugins.Problemf("give it 100%% of the units")))
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || problem.Sentence != "give it 100% of the units" {
		t.Errorf("a problem crosses as %v, want it as itself", err)
	}
	err = cross(ours, fmt.Errorf("execute: %w", &backend.ErrUnsupported{Reason: "no softmax"}))
	if refusal, ok := errors.AsType[*backend.ErrUnsupported](err); !ok || refusal.Reason != "no softmax" {
		t.Errorf("a refusal crosses as %v, want it as itself", err)
	}
	for want, cause := range map[codes.Code]error{
		codes.Unknown:          errors.New("index out of range"),
		codes.Canceled:         fmt.Errorf("step: %w", context.Canceled),
		codes.DeadlineExceeded: fmt.Errorf("step: %w", context.DeadlineExceeded),
		codes.Internal:         status.Error(codes.Internal, "panic: boom"),
	} {
		if got := status.Code(cross(ours, cause)); got != want {
			t.Errorf("%v crosses with the code %s, want %s", cause, got, want)
		}
	}
	// go-plugin's own services use the two codes for errors of their own.
	theirs := status.Error(codes.InvalidArgument, "no such stream")
	if err := cross("/plugin.GRPCStdio/StreamStdio", theirs); !errors.Is(err, theirs) {
		t.Errorf("an error of go-plugin's own service crosses as %v, want it untouched", err)
	}
}
