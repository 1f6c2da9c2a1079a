package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"bittern/internal/arena"
	"bittern/plugins"
)

// Settings say how a plugin is run.
type Settings struct {
	// Arena has the tensors of a quantizer or a model. A backend needs none.
	Arena *arena.Arena
	// Deadline is how long one call may take; 0 means DefaultDeadline. A plugin that takes
	// longer is killed.
	Deadline time.Duration
	// Start is how long the plugin may take to start; 0 means one minute.
	Start time.Duration
	// SHA256 is the checksum that the executable must have, in hexadecimal; empty allows any.
	// With the result of Catalogue.Checksum, a plugin whose file has changed since is refused.
	SHA256 string
	// Environment names variables that an external plugin gets besides those that all get: PATH,
	// HOME, TMPDIR, the language and BITTERN_*.
	Environment []string
	// Limits are what the plugin may use of the machine.
	Limits Limits
	// Output receives what the plugin prints to stdout and stderr, as it comes. If it is nil,
	// the writer of [Catalogue.LogOutput] does, if there is one. Failures have the last lines in
	// any case.
	Output io.Writer
}

func (s Settings) startDeadline() time.Duration { return cmp.Or(s.Start, defaultStartDeadline) }

// DefaultDeadline is how long one call may take if Settings have no Deadline. It is several
// times the longest training step or validation batch of the paper's networks on one slow core.
const DefaultDeadline = 10 * time.Minute

// grace is how long a process may take to end after its connection broke or after it was asked
// to.
const grace = 2 * time.Second

// closeDeadline is how long Close takes at most. A plugin that does not obey takes three times
// the grace, and Close must take longer: the plugin is asked to end, it is reaped with what it
// started, and its pipes are closed.
const closeDeadline = 5 * grace

// Process is a running plugin.
type Process struct {
	id          plugins.ID
	path        string // of the executable
	description plugins.Description
	deadline    time.Duration
	client      *plugin.Client
	runner      *processRunner
	sockets     *socketFolder
	conn        grpc.ClientConnInterface
	streams     []*stream // they write to the tail and the log
	tail        *tail
	log         io.Writer    // all that the plugin prints, and messages that are too long for a Failure
	arena       *arena.Arena // shared with the plugin; nil for a backend
	close       sync.Once
	closed      atomic.Bool
	release     func() error // removes the tensors shared with the plugin
}

// Description returns what the plugin said of itself when it was started.
func (p *Process) Description() plugins.Description { return p.description }

// Pid returns the number of the plugin's process.
func (p *Process) Pid() int { return p.runner.cmd.Process.Pid }

// Stderr returns the last lines that the plugin wrote to stderr or stdout.
func (p *Process) Stderr() string {
	p.flush()
	return p.tail.String()
}

// flush writes the unfinished line of each stream to the tail and the log.
func (p *Process) flush() {
	for _, s := range p.streams {
		s.flush()
	}
}

// stream returns a writer for one of the plugin's outputs. It writes whole lines to the given
// one.
func (p *Process) stream(to io.Writer) io.Writer {
	s := &stream{to: to}
	p.streams = append(p.streams, s)
	return s
}

// Close ends the plugin and the processes that it has started: it asks first, and kills after
// two seconds. It may be called more than once. It is an error if the system does not end the
// process.
func (p *Process) Close() error {
	var err error
	p.close.Do(func() {
		// go-plugin asks without a time limit, and a process that is stopped never answers.
		force := time.AfterFunc(grace, p.kill)
		p.closed.Store(true)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.client.Kill()
		}()
		select {
		case <-done:
		case <-time.After(closeDeadline):
			err = fmt.Errorf("%s: process %d has not ended %s after it was killed", p.id, p.Pid(), closeDeadline-grace)
		}
		force.Stop()
		p.flush()
		if p.release != nil {
			err = errors.Join(err, p.release())
		}
		err = errors.Join(err, p.sockets.remove())
	})
	return err
}

// kill kills the process. It fails only if there is nothing to kill, so it returns no error.
func (p *Process) kill() {
	if p.runner != nil {
		_ = p.runner.Kill(context.Background())
	}
}
