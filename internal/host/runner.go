package host

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// processRunner starts the process of a plugin such that it cannot outlive the host. Its stdin
// is a pipe that closes when the host ends, on every system; on Linux the kernel kills it
// besides. The processes that the plugin started end with it. A process that lives on all the
// same inherits pipes, but the host does not wait for it.
type processRunner struct {
	ctx     context.Context // kills the process when it ends, until keep is called
	keep    func() bool
	cmd     *exec.Cmd
	limits  Limits
	sockets *socketFolder

	hold           *os.File   // the writing end of the plugin's stdin
	stdout, stderr *os.File   // the reading ends
	theirs         []*os.File // the plugin's ends, which this process closes once the plugin has them

	printed printed       // what comes from stdout
	read    chan struct{} // closed once all output has been read
	ended   chan struct{} // closed once the process has been reaped
	exited  chan struct{} // closed once the process and its output have ended
	waited  error         // the result of waiting for the process
	once    sync.Once
}

var _ runner.Runner = (*processRunner)(nil)

// newProcessRunner prepares a process, which is killed if ctx ends before keep is called. What
// it prints to stdout besides its handshake goes to log.
func newProcessRunner(ctx context.Context, cmd *exec.Cmd, limits Limits, sockets *socketFolder, log io.Writer) (*processRunner, error) {
	r := &processRunner{
		ctx: ctx, cmd: cmd, limits: limits, sockets: sockets,
		read: make(chan struct{}), ended: make(chan struct{}), exited: make(chan struct{}),
	}
	isolate(cmd)
	stdin, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.hold, r.theirs = hold, []*os.File{stdin}
	cmd.Stdin = stdin
	for _, stream := range []struct {
		ours **os.File
		its  *io.Writer
	}{{&r.stdout, &cmd.Stdout}, {&r.stderr, &cmd.Stderr}} {
		reading, writing, err := os.Pipe()
		if err != nil {
			r.closePipes(r.theirs...)
			r.closePipes(r.hold, r.stdout, r.stderr)
			return nil, err
		}
		*stream.ours, *stream.its = reading, writing
		r.theirs = append(r.theirs, writing)
	}
	r.printed.stdout, r.printed.log = bufio.NewReader(r.stdout), log
	return r, nil
}

// closePipes closes ends of pipes. Closing one fails only if it is closed already.
func (r *processRunner) closePipes(files ...*os.File) {
	for _, file := range files {
		if file != nil {
			_ = file.Close()
		}
	}
}

func (r *processRunner) Start(context.Context) error {
	started := make(chan error)
	go r.supervise(started)
	err := <-started
	r.closePipes(r.theirs...)
	if err != nil {
		r.closePipes(r.hold, r.stdout, r.stderr)
		close(r.ended)
		close(r.exited)
		return err
	}
	r.keep = context.AfterFunc(r.ctx, func() { _ = r.Kill(r.ctx) })
	return nil
}

// supervise starts the process, and returns when it has ended and its output has been read.
func (r *processRunner) supervise(started chan<- error) {
	// To Linux a parent is dead when the *thread* that started the child ends. So this goroutine
	// keeps the thread until the child has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := startChild(r.cmd, r.limits, r.sockets.path)
	started <- err
	if err != nil {
		return
	}
	r.waited = waitChild(r.cmd)
	close(r.ended)
	r.closePipes(r.hold)
	// Another process may still hold the other ends of the pipes.
	select {
	case <-r.read:
	case <-time.After(grace):
	}
	r.closePipes(r.stdout, r.stderr)
	select {
	case <-r.read: // what was printed before is still being read
	case <-time.After(grace):
	}
	close(r.exited)
}

// Wait waits until the process has ended. go-plugin calls it when all output has been read.
func (r *processRunner) Wait(context.Context) error {
	r.once.Do(func() { close(r.read) })
	<-r.exited
	return r.waited
}

func (r *processRunner) Kill(context.Context) error {
	select {
	case <-r.ended: // another process may have its number by now
		return nil
	default:
	}
	if r.cmd.Process == nil {
		return nil
	}
	return killGroup(r.cmd.Process)
}

// state says how the process ended, as in "signal: killed".
func (r *processRunner) state() string { return r.cmd.ProcessState.String() }

func (r *processRunner) Stdout() io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{&r.printed, r.stdout}
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
