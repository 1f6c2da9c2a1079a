package wire

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// RecoverPanics answers a call whose implementation panics with an error, and writes the stack
// to stderr.
func RecoverPanics(stderr io.Writer) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
		defer func() {
			if cause := recover(); cause != nil {
				words := PanicWords(cause)
				fmt.Fprintf(stderr, "%s\n%s", words, debug.Stack())
				response, err = nil, status.Error(codes.Internal, words)
			}
		}()
		return handler(ctx, request)
	}
}

// PanicWords returns one line that says what the panic was and where. The deferred function that
// has recovered the panic must call it itself.
func PanicWords(cause any) string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf("panic: %v (%s, line %d)", cause, frame.Function, frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return fmt.Sprintf("panic: %v", cause)
		}
	}
}
