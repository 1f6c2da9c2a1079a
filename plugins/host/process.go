package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/backend"
	"bittern/plugins/internal/wire"
)

// Settings are how a plugin is run.
type Settings struct {
	// Arena holds the tensors that are handed to a quantizer or a model. A
	// backend needs none.
	Arena *arena.Arena
	// Deadline is how long one call may take; 0 means DefaultDeadline. A
	// plugin that is silent for longer is killed.
	Deadline time.Duration
	// SHA256 is what the executable's checksum must be, in hexadecimal; empty
	// means that any will do.
	SHA256 string
	// Stderr receives what the plugin writes to stderr, as it comes; nil
	// discards it. The last lines are kept for Failures in any case.
	Stderr io.Writer
}

// DefaultDeadline is how long one call may take where Settings do not say:
// several times the longest training step or validation batch of the paper's
// networks on one slow core.
const DefaultDeadline = 10 * time.Minute

const (
	// startDeadline is for loading the executable and making two
	// certificates, on a machine that is busy with something else.
	startDeadline = time.Minute
	// describeDeadline is for a call that does no work.
	describeDeadline = 20 * time.Second
	// grace is how long a process may take to end after its connection broke
	// or after it was asked to.
	grace = 2 * time.Second
	// settle is how long the last lines of stderr may lag behind the answer
	// that reports a fault.
	settle = 50 * time.Millisecond
)

// Process is a running plugin.
type Process struct {
	id          plugins.ID
	description plugins.Description
	deadline    time.Duration
	client      *plugin.Client
	runner      *processRunner
	conn        grpc.ClientConnInterface
	tail        *tail
	close       sync.Once
	closed      atomic.Bool
	release     func() error // gives up the tensors shared with the plugin
}

// Description returns what the plugin said of itself when it was started.
func (p *Process) Description() plugins.Description { return p.description }

// Pid returns the number of the plugin's process.
func (p *Process) Pid() int { return p.runner.cmd.Process.Pid }

// Stderr returns the last lines that the plugin wrote to stderr.
func (p *Process) Stderr() string { return p.tail.String() }

// Close ends the plugin: politely at first, by force after two seconds. It may
// be called more than once.
func (p *Process) Close() error {
	var err error
	p.close.Do(func() {
		// Asking politely has no time limit of its own in go-plugin, and a
		// stopped process never answers.
		force := time.AfterFunc(grace, p.kill)
		p.closed.Store(true)
		p.client.Kill()
		force.Stop()
		if p.release != nil {
			err = p.release()
		}
		if p.runner != nil {
			err = errors.Join(err, os.RemoveAll(p.runner.socket))
		}
	})
	return err
}

// kill ends the process by force. It fails only where there is nothing to kill.
func (p *Process) kill() {
	if p.runner != nil {
		_ = p.runner.Kill(context.Background())
	}
}

// start runs an executable and asks it what it is.
func start(ctx context.Context, entry Entry, settings Settings) (*Process, error) {
	if err := verify(entry, settings.SHA256); err != nil {
		return nil, err
	}
	p := &Process{id: entry.ID, deadline: settings.Deadline, tail: &tail{}}
	if p.deadline == 0 {
		p.deadline = DefaultDeadline
	}
	folder := arena.Folder()
	if settings.Arena != nil {
		folder = settings.Arena.Folder()
	}
	stderr := io.Writer(p.tail)
	if settings.Stderr != nil {
		stderr = io.MultiWriter(p.tail, settings.Stderr)
	}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		Plugins:          plugin.PluginSet{wire.Service: &wire.Plugin{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		StartTimeout:     startDeadline,
		Stderr:           stderr,
		SyncStdout:       stderr,
		SyncStderr:       stderr,
		Logger:           hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, socket string) (runner.Runner, error) {
			cmd := exec.Command(entry.Path, entry.args()...)
			cmd.Env = append(slices.Clone(spec.Env), arena.FolderVariable+"="+folder)
			var err error
			p.runner, err = newProcessRunner(ctx, cmd, socket)
			return p.runner, err
		},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
			grpc.WithChainUnaryInterceptor(p.call, wire.ClientErrors),
			// The socket's name is gone by the time an idle connection would be
			// opened anew.
			grpc.WithIdleTimeout(0),
		},
	})
	if err := p.connect(ctx, entry); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.runner.keep()
	return p, nil
}

func (p *Process) connect(ctx context.Context, entry Entry) error {
	began := time.Now()
	protocol, err := p.client.Client()
	if err != nil {
		return p.startFailure(ctx, entry, time.Since(began), err)
	}
	raw, err := protocol.Dispense(wire.Service)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	p.conn = raw.(grpc.ClientConnInterface)
	return nil
}

// startFailure says what to do about a plugin that did not come up.
func (p *Process) startFailure(ctx context.Context, entry Entry, took time.Duration, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", p.id, context.Cause(ctx))
	}
	if p.runner == nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	if p.runner.cmd.Process == nil {
		return plugins.Problemf("cannot start %s (%v); check that %s is an executable for this machine", p.id, err, entry.Path)
	}
	if took >= startDeadline {
		p.kill()
		return p.failure("start", Deadline, fmt.Sprintf("no handshake within %s", startDeadline))
	}
	version, shookHands := p.runner.printed.version()
	switch {
	case shookHands && version != strconv.Itoa(plugins.APIVersion):
		return plugins.Problemf("%s (%s) speaks version %s of the plugin contract, this bittern version %d; rebuild the plugin against this bittern or install the bittern it was built for",
			p.id, entry.Path, version, plugins.APIVersion)
	case shookHands:
		return p.failure("start", Fault, err.Error())
	case p.runner.printed.String() != "":
		return plugins.Problemf("%s (%s) is no bittern plugin: it printed %q in place of the handshake; serve it with bittern/plugins/sdk, and print nothing before that",
			p.id, entry.Path, p.runner.printed.String())
	}
	if !p.awaitExit() {
		return p.failure("start", Fault, err.Error())
	}
	return p.failure("start", Crashed, p.runner.state())
}

// describe asks what the plugin is and refuses what was not asked for.
func (p *Process) describe(ctx context.Context, describe func(context.Context) (plugins.Description, error)) error {
	ctx, cancel := context.WithTimeout(ctx, describeDeadline)
	defer cancel()
	description, err := describe(ctx)
	if failure, ok := errors.AsType[*Failure](err); ok && failure.unimplemented {
		return plugins.Problemf("%s (%s) does not serve a %s; rename it bittern-<kind>-<name> after the kind it serves", p.id, p.runner.cmd.Path, p.id.Kind)
	}
	if err != nil {
		return err
	}
	if description.API != plugins.APIVersion {
		return plugins.Problemf("%s speaks version %d of the plugin contract, this bittern version %d; rebuild the plugin against this bittern or install the bittern it was built for",
			p.id, description.API, plugins.APIVersion)
	}
	if said := (plugins.ID{Kind: description.Kind, Name: description.Name}); said != p.id {
		return plugins.Problemf("%s (%s) calls itself %s; rename the executable or mend its description", p.id, p.runner.cmd.Path, said)
	}
	p.description = description
	// Nothing connects to the socket a second time. Without its folder a
	// killed host leaves nothing behind in the folder for temporary files.
	if err := os.RemoveAll(p.runner.socket); err != nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	return nil
}

// call is the interceptor that every request to the plugin goes through: it
// sets the deadline and turns what goes wrong into a Failure.
func (p *Process) call(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if !wire.Ours(method) {
		return invoke(ctx, method, request, response, conn, options...)
	}
	name := path.Base(method)
	if p.closed.Load() {
		return fmt.Errorf("%s: %s: the plugin is closed", p.id, name)
	}
	limited, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	err := invoke(limited, method, request, response, conn, options...)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*plugins.Problem](err); ok {
		return err
	}
	if _, ok := errors.AsType[*backend.ErrUnsupported](err); ok {
		return err
	}
	answer := status.Convert(err)
	if answer.Code() == codes.Canceled || answer.Code() == codes.DeadlineExceeded {
		// The plugin's side knows the deadline too, and its clock may be ahead.
		if end, ok := limited.Deadline(); ok && time.Until(end) < settle {
			<-limited.Done()
		}
	}
	if ctx.Err() != nil { // the caller's doing, not the plugin's
		return fmt.Errorf("%s: %s: %w", p.id, name, context.Cause(ctx))
	}
	if limited.Err() != nil {
		p.kill()
		p.awaitExit()
		return p.failure(name, Deadline, fmt.Sprintf("no answer within %s", p.deadline))
	}
	if answer.Code() == codes.Unavailable && !p.awaitExit() {
		p.kill() // a plugin that cannot be reached is of no further use
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
	return &Failure{Plugin: p.id, Call: call, Reason: reason, Detail: detail, Stderr: p.Stderr()}
}

// nonsense makes the Failure of an answer that cannot be used.
func (p *Process) nonsense(call, detail string) error { return p.failure(call, Nonsense, detail) }

func (p *Process) exited() bool {
	select {
	case <-p.runner.exited:
		return true
	default:
		return false
	}
}

// awaitExit waits a little for the process to end and says whether it did. All
// of its stderr has been read by then.
func (p *Process) awaitExit() bool {
	select {
	case <-p.runner.exited:
		return true
	case <-time.After(grace):
		return false
	}
}
