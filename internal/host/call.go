package host

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bittern/internal/arena"
	"bittern/internal/wire"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// settle is how long the last lines of stderr may arrive after the answer that reports a fault.
const settle = 50 * time.Millisecond

// call intercepts every request to the plugin. It sets the deadline, and turns what goes wrong
// into a Failure.
func (p *Process) call(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if !wire.Ours(method) {
		return invoke(ctx, method, request, response, conn, options...)
	}
	name := path.Base(method)
	if p.closed.Load() {
		return fmt.Errorf("%s: %s: the plugin is closed", p.id, name)
	}
	deadline := p.deadline
	if name == "Describe" {
		deadline = min(deadline, describeDeadline)
	}
	limited, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err := invoke(limited, method, request, response, conn, options...)
	if err == nil {
		if errors.Is(p.arena.Intact(), arena.ErrTruncated) {
			return p.nonsense(name, arena.ErrTruncated.Error())
		}
		return nil
	}
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		return &plugins.Problem{Sentence: p.line(problem.Sentence)}
	}
	if unsupported, ok := errors.AsType[*backend.ErrUnsupported](err); ok {
		return &backend.ErrUnsupported{Reason: p.line(unsupported.Reason)}
	}
	answer := status.Convert(err)
	if answer.Code() == codes.Canceled || answer.Code() == codes.DeadlineExceeded {
		// The plugin sees the deadline too. If its clock is ahead, it answers before the
		// deadline has passed here.
		if end, ok := limited.Deadline(); ok && time.Until(end) < settle {
			<-limited.Done()
		}
	}
	if ctx.Err() != nil { // the caller ended it, not the plugin
		return fmt.Errorf("%s: %s: %w", p.id, name, context.Cause(ctx))
	}
	if limited.Err() != nil {
		p.kill()
		p.awaitExit()
		return p.failure(name, Deadline, fmt.Sprintf("no answer within %s", deadline))
	}
	if answer.Code() == codes.Unavailable && !p.awaitExit() {
		p.kill() // a plugin that cannot be reached is useless
		p.awaitExit()
		return p.failure(name, Crashed, "the connection broke: "+answer.Message())
	}
	if p.exited() {
		return p.failure(name, Crashed, p.runner.state())
	}
	time.Sleep(settle)
	failure := p.failure(name, Fault, answer.Message())
	failure.unimplemented = answer.Code() == codes.Unimplemented
	return failure
}

func (p *Process) failure(call string, reason Reason, detail string) *Failure {
	return &Failure{Plugin: p.id, Call: call, Reason: reason, Detail: p.line(detail), Stderr: p.Stderr()}
}

// line is [plugins.Line]. Text that this shortens is written to the log in full.
func (p *Process) line(text string) string {
	line := plugins.Line(text)
	if line != text {
		fmt.Fprintf(p.log, "%s: %s\n", p.id, text)
	}
	return line
}

// nonsense returns the Failure for an answer that cannot be used.
func (p *Process) nonsense(call, detail string) error { return p.failure(call, Nonsense, detail) }

func (p *Process) exited() bool {
	select {
	case <-p.runner.exited:
		return true
	default:
		return false
	}
}

// awaitExit waits the grace at most for the process to end, and reports whether it did. Its
// stderr has then been read to the end.
func (p *Process) awaitExit() bool {
	select {
	case <-p.runner.exited:
		return true
	case <-time.After(grace):
		return false
	}
}
