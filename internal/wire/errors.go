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

// MaxMessage is the size of the largest message that either side receives, in bytes. No tensor
// is in a message, so the largest is a network with about 100 bytes a node: 4 MiB are some 40
// 000 nodes. A peer that sends more is stopped early.
const MaxMessage = 4 << 20

// services is the prefix of the methods of our own services. go-plugin's services use the same
// connection and report errors in their own way.
const services = "/bittern."

// ServeErrors sends a *plugins.Problem and a *backend.ErrUnsupported as gRPC statuses that
// ClientErrors turns back into them. It uses two codes that gRPC itself never produces.
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

// ClientErrors is the inverse of ServeErrors. Every other error stays a gRPC status.
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

// Ours reports whether the full name of a gRPC method belongs to the contract.
func Ours(method string) bool { return strings.HasPrefix(method, services) }
