package wire

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bittern/plugins"
	"bittern/plugins/backend"
)

// MaxMessage is the largest message either side receives, in bytes. No tensor
// travels in a message, so the largest one is a network, at about 100 bytes a
// node; 4 MiB hold some 40 000 nodes, and stop a runaway peer early.
const MaxMessage = 4 << 20

// services is how the methods of our own services begin. go-plugin's services
// share the connection and keep their own ways.
const services = "/bittern."

// ServeErrors lets problems and unsupported requests cross the process border
// as themselves. The two codes are ones that gRPC itself never produces.
func ServeErrors(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	if err == nil || !Ours(info.FullMethod) {
		return response, err
	}
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		return nil, status.Error(codes.InvalidArgument, problem.Sentence)
	}
	if unsupported, ok := errors.AsType[*backend.ErrUnsupported](err); ok {
		return nil, status.Error(codes.FailedPrecondition, unsupported.Reason)
	}
	if _, ok := status.FromError(err); ok {
		return nil, err
	}
	return nil, status.FromContextError(err).Err()
}

// ClientErrors is the other half of ServeErrors. Every other error stays a gRPC
// status.
func ClientErrors(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	err := invoke(ctx, method, request, response, conn, options...)
	if err == nil || !Ours(method) {
		return err
	}
	switch answer := status.Convert(err); answer.Code() {
	case codes.InvalidArgument:
		return &plugins.Problem{Sentence: answer.Message()}
	case codes.FailedPrecondition:
		return &backend.ErrUnsupported{Reason: answer.Message()}
	}
	return err
}

// Ours reports whether a full gRPC method name belongs to the contract.
func Ours(method string) bool { return strings.HasPrefix(method, services) }
