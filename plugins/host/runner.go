package host

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-plugin/runner"
)

// processRunner starts a plugin's process such that it cannot outlive the host:
// its stdin is a pipe that ends when the host does (every system), and on Linux
// the kernel kills it besides.
type processRunner struct {
	ctx    context.Context // ends the process until keep is called
	keep   func() bool
	cmd    *exec.Cmd
	hold   *os.File // the writing end of the plugin's stdin
	stdout io.ReadCloser
	stderr io.ReadCloser
	socket string // the folder of the plugin's socket

	printed beginning
	exited  chan struct{} // closed once the process and its output have ended
	once    sync.Once
}

var _ runner.Runner = (*processRunner)(nil)

// newProcessRunner prepares a process that ends with ctx until keep is called.
func newProcessRunner(ctx context.Context, cmd *exec.Cmd, socket string) (*processRunner, error) {
	stdin, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r := &processRunner{ctx: ctx, cmd: cmd, hold: hold, socket: socket, exited: make(chan struct{})}
	cmd.Stdin = stdin
	isolate(cmd)
	if r.stdout, err = cmd.StdoutPipe(); err != nil {
		return nil, errors.Join(err, stdin.Close(), hold.Close())
	}
	if r.stderr, err = cmd.StderrPipe(); err != nil {
		return nil, errors.Join(err, stdin.Close(), hold.Close())
	}
	return r, nil
}

func (r *processRunner) Start(context.Context) error {
	started := make(chan error)
	go func() {
		// Linux counts a parent as dead when the *thread* that started the
		// child ends, so the thread stays with the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			<-r.exited
		}
	}()
	err := <-started
	if stdin, ok := r.cmd.Stdin.(*os.File); ok {
		err = errors.Join(err, stdin.Close())
	}
	if err != nil {
		r.finish()
		return err
	}
	r.keep = context.AfterFunc(r.ctx, func() { _ = r.Kill(r.ctx) })
	return nil
}

// Wait is called once all output has been read.
func (r *processRunner) Wait(context.Context) error {
	err := r.cmd.Wait()
	r.finish()
	return err
}

func (r *processRunner) finish() {
	r.once.Do(func() {
		_ = r.hold.Close() // nothing was ever written
		close(r.exited)
	})
}

func (r *processRunner) Kill(context.Context) error {
	select {
	case <-r.exited: // its number may belong to another process by now
		return nil
	default:
	}
	if r.cmd.Process == nil {
		return nil
	}
	return killGroup(r.cmd.Process)
}

// state says how the process ended, such as "signal: killed".
func (r *processRunner) state() string { return r.cmd.ProcessState.String() }

func (r *processRunner) Stdout() io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.stdout, &r.printed), r.stdout}
}

func (r *processRunner) Stderr() io.ReadCloser { return r.stderr }
func (r *processRunner) Name() string          { return r.cmd.Path }

func (r *processRunner) ID() string {
	if r.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(r.cmd.Process.Pid)
}

func (r *processRunner) Diagnose(context.Context) string { return "" }

func (r *processRunner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (r *processRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// beginning keeps the first bytes that a plugin prints: its handshake begins
// with "core protocol|contract version|network|address|".
type beginning struct {
	mu   sync.Mutex
	text []byte
}

func (b *beginning) Write(p []byte) (int, error) {
	const enough = 80
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), enough-len(b.text))]...)
	return len(p), nil
}

// version returns the contract version of the handshake, and whether there was one.
func (b *beginning) version() (version string, ok bool) {
	parts := strings.SplitN(b.String(), "|", 4)
	if len(parts) < 4 {
		return "", false
	}
	return parts[1], true
}

// String returns the first line, as far as it was kept.
func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	line, _, _ := strings.Cut(string(b.text), "\n")
	return strings.TrimSpace(line)
}
