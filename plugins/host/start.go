package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/wire"
)

const (
	// startDeadline is for loading the executable and making two
	// certificates, on a machine that is busy with something else.
	startDeadline = time.Minute
	// describeDeadline is for a call that does no work.
	describeDeadline = 20 * time.Second
)

// start runs an executable and asks it what it is.
func start(ctx context.Context, entry Entry, settings Settings) (*Process, error) {
	if err := verify(entry, settings.SHA256); err != nil {
		return nil, err
	}
	p := &Process{id: entry.ID, deadline: settings.Deadline, arena: settings.Arena, log: io.Discard, tail: &tail{}}
	if p.deadline == 0 {
		p.deadline = DefaultDeadline
	}
	folder, err := arenaFolder(settings.Arena)
	if err != nil {
		return nil, err
	}
	stderr := io.Writer(p.tail)
	if settings.Stderr != nil {
		stderr, p.log = io.MultiWriter(p.tail, settings.Stderr), settings.Stderr
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

// arenaFolder is where a plugin puts the tensors of its answers.
func arenaFolder(a *arena.Arena) (string, error) {
	if a != nil {
		return a.Folder(), nil
	}
	return arena.Folder()
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
	if err := checked.Description(description); err != nil {
		return p.nonsense("Describe", err.Error())
	}
	p.description = description
	// Nothing connects to the socket a second time. Without its folder a
	// killed host leaves nothing behind in the folder for temporary files.
	if err := os.RemoveAll(p.runner.socket); err != nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	return nil
}
