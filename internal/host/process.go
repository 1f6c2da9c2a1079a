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

// Settings are how a plugin is run.
type Settings struct {
	// Arena holds the tensors that are handed to a quantizer or a model. A
	// backend needs none.
	Arena *arena.Arena
	// Deadline is how long one call may take; 0 means DefaultDeadline. A
	// plugin that is silent for longer is killed.
	Deadline time.Duration
	// Start is how long the plugin may take to start; 0 means a minute.
	Start time.Duration
	// SHA256 is what the executable's checksum must be, in hexadecimal; empty
	// means that any will do. With what Catalogue.Checksum says it keeps a
	// plugin the same for as long as its results count.
	SHA256 string
	// Environment names variables that an external plugin is given beside the
	// few that every one has: PATH, HOME, TMPDIR, the language, BITTERN_*.
	Environment []string
	// Limits are what the plugin may use of the machine.
	Limits Limits
	// Output receives what the plugin writes to stdout and stderr, as it comes; nil
	// means where [Catalogue.LogOutput] says, or nowhere. The last lines are kept for
	// Failures in any case.
	Output io.Writer
}

func (s Settings) startDeadline() time.Duration { return cmp.Or(s.Start, defaultStartDeadline) }

// DefaultDeadline is how long one call may take where Settings do not say:
// several times the longest training step or validation batch of the paper's
// networks on one slow core.
const DefaultDeadline = 10 * time.Minute

// grace is how long a process may take to end after its connection broke or after
// it was asked to.
const grace = 2 * time.Second

// closeDeadline is how long Close takes at most. It is longer than the three
// times grace that an unwilling plugin with unwilling children takes: to be
// asked, to be reaped, to have its pipes closed.
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
	streams     []*stream // which tail and the log are fed from
	tail        *tail
	log         io.Writer    // receives what is too long for a Failure
	arena       *arena.Arena // shared with the plugin; nil for a backend
	close       sync.Once
	closed      atomic.Bool
	release     func() error // gives up the tensors shared with the plugin
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

// flush takes the line that has not ended, of each stream, to the tail and the log.
func (p *Process) flush() {
	for _, s := range p.streams {
		s.flush()
	}
}

// stream returns a writer for what comes from one place, to is where all of it goes.
func (p *Process) stream(to io.Writer) io.Writer {
	s := &stream{to: to}
	p.streams = append(p.streams, s)
	return s
}

// Close ends the plugin and what it has started: politely at first, by force
// after two seconds. It may be called more than once. It is an error when the
// system does not end the process.
func (p *Process) Close() error {
	var err error
	p.close.Do(func() {
		// Asking politely has no time limit of its own in go-plugin, and a
		// stopped process never answers.
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

// kill ends the process by force. It fails only where there is nothing to kill.
func (p *Process) kill() {
	if p.runner != nil {
		_ = p.runner.Kill(context.Background())
	}
}
