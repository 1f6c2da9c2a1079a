package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/internal/checked"
	"bittern/internal/wire"
	"bittern/plugins"
)

const (
	// defaultStartDeadline is enough to load the executable and make two certificates on a
	// machine that is busy with something else.
	defaultStartDeadline = time.Minute
	// describeDeadline is enough for a call that does no work.
	describeDeadline = 20 * time.Second
	// startCall is Failure.Call if a plugin fails before the first call.
	startCall = "start"
)

// start runs an executable, without asking yet what it is ([Process.describe] does).
func start(ctx context.Context, entry Entry, settings Settings) (_ *Process, err error) {
	if err := settings.Limits.check(entry.ID); err != nil {
		return nil, err
	}
	file, err := openExecutable(entry, settings.SHA256)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	folder, err := arenaFolder(settings.Arena)
	if err != nil {
		return nil, err
	}
	p := &Process{id: entry.ID, path: entry.Path, deadline: settings.Deadline, arena: settings.Arena, log: io.Discard, tail: newTail()}
	if p.deadline == 0 {
		p.deadline = DefaultDeadline
	}
	if p.sockets, err = newSocketFolder(); err != nil {
		return nil, err
	}
	output := io.Writer(p.tail)
	if settings.Output != nil {
		output, p.log = io.MultiWriter(p.tail, settings.Output), settings.Output
	}
	// A built-in listens on a socket in a folder that only this user may enter, except on
	// Windows, where it has a port, which anybody on this computer can reach; so may what
	// an external plugin listens on. The two certificates cost more than all else of a
	// start.
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		Plugins:          plugin.PluginSet{wire.Service: &wire.Plugin{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         !entry.Builtin || runtime.GOOS == "windows",
		StartTimeout:     settings.startDeadline(),
		Stderr:           p.stream(output),
		SyncStdout:       p.stream(output),
		SyncStderr:       p.stream(output),
		Logger:           hclog.NewNullLogger(),
		SkipHostEnv:      true, // Entry.environment chooses the variables
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.sockets.path},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
			cmd := file.command()
			cmd.Env = slices.Concat(entry.environment(settings.Environment), spec.Env, []string{
				arena.FolderVariable + "=" + folder,
				// Without this, go-plugin makes a folder of its own in ours, and the socket's
				// path may become too long.
				plugin.EnvUnixSocketDir + "=" + p.sockets.path,
			})
			var err error
			p.runner, err = newProcessRunner(ctx, cmd, settings.Limits, p.sockets, output)
			return p.runner, err
		},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
			grpc.WithChainUnaryInterceptor(p.call, wire.ClientErrors),
			// gRPC closes idle connections and opens them again, but the file of the socket is
			// gone by then.
			grpc.WithIdleTimeout(0),
		},
	})
	err = p.connect(ctx, entry, settings.startDeadline())
	if changed := file.check(); changed != nil {
		err = changed // half a file cannot be started, so this is the reason
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.runner.keep()
	return p, nil
}

// arenaFolder returns the folder in which a plugin puts the tensors of its answers.
func arenaFolder(a *arena.Arena) (string, error) {
	if a != nil {
		return a.Folder(), nil
	}
	return arena.Folder()
}

func (p *Process) connect(ctx context.Context, entry Entry, deadline time.Duration) error {
	began := time.Now()
	protocol, err := p.client.Client()
	if err != nil {
		return p.startFailure(ctx, entry, deadline, time.Since(began), err)
	}
	raw, err := protocol.Dispense(wire.Service)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	p.conn = raw.(grpc.ClientConnInterface)
	return nil
}

// startFailure returns the error for a plugin that did not start, or not in time, with what to
// do about it.
func (p *Process) startFailure(ctx context.Context, entry Entry, deadline, took time.Duration, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", p.id, context.Cause(ctx))
	}
	if p.runner == nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	if p.runner.cmd.Process == nil {
		return plugins.Problemf("cannot start %s (%v); check that %s is an executable for this machine", p.id, reason(err), entry.Path)
	}
	version, shookHands := p.runner.printed.version()
	switch {
	case shookHands && version != strconv.Itoa(plugins.APIVersion):
		return plugins.Problemf("%s (%s) speaks version %s of the plugin contract, this bittern version %d; rebuild the plugin against this bittern or install the bittern it was built for",
			p.id, entry.Path, version, plugins.APIVersion)
	case shookHands:
		return p.failure(startCall, Fault, err.Error())
	case p.runner.printed.line() != "":
		return plugins.Problemf("%s (%s) is no bittern plugin: it printed %q in place of the handshake; serve it with bittern/plugins/sdk, and print nothing to stdout before that",
			p.id, entry.Path, plugins.Line(p.runner.printed.line()))
	}
	if !p.awaitExit() {
		return p.failure(startCall, Fault, p.withLastWords(err.Error()))
	}
	if took >= deadline && !p.runner.cmd.ProcessState.Exited() { // go-plugin has killed it
		return p.failure(startCall, Deadline, p.withLastWords(fmt.Sprintf("no handshake within %s", deadline)))
	}
	return p.failure(startCall, Crashed, p.withLastWords(p.runner.state()))
}

// withLastWords adds the last lines that the plugin printed. Nothing else is known about a
// plugin that did not start.
func (p *Process) withLastWords(text string) string {
	if words := lastWords(p.Stderr()); words != "" {
		return text + "; its last words: " + words
	}
	return text
}

// lastWords quotes the last three lines that are not empty. Of a Python error, the last one
// names it and those before say where it was.
func lastWords(stderr string) string {
	const most, longest = 3, 400 // lines and bytes
	var lines []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	words := strings.Join(lines[max(0, len(lines)-most):], " / ")
	if len(words) > longest {
		words = "…" + words[len(words)-longest:]
	}
	return strconv.Quote(words)
}

// describe asks for the plugin's description. It refuses a plugin of another kind or name, and
// one of another contract.
func (p *Process) describe(ctx context.Context, describe func(context.Context) (plugins.Description, error)) error {
	description, err := describe(ctx)
	if failure, ok := errors.AsType[*Failure](err); ok && failure.unimplemented {
		return plugins.Problemf("%s (%s) does not serve a %s; rename it bittern-<kind>-<name> after the kind it serves", p.id, p.path, p.id.Kind)
	}
	if err != nil {
		return err
	}
	if description.API != plugins.APIVersion {
		return plugins.Problemf("%s speaks version %d of the plugin contract, this bittern version %d; rebuild the plugin against this bittern or install the bittern it was built for",
			p.id, description.API, plugins.APIVersion)
	}
	if said := (plugins.ID{Kind: description.Kind, Name: description.Name}); said != p.id {
		return plugins.Problemf("%s (%s) calls itself %s; rename the executable or mend its description", p.id, p.path, said)
	}
	if err := checked.Description(description); err != nil {
		return p.nonsense("Describe", err.Error())
	}
	p.description = description
	// Nothing connects to the socket again. Without its folder, a host that is killed leaves
	// nothing among the temporary files.
	if err := p.sockets.remove(); err != nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	return nil
}
