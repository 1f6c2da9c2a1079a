//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sitting is one run of the suite.
type sitting struct {
	command       *exec.Cmd
	stderr        string        // the file with its standard error
	ended         chan struct{} // closed when it has ended
	harnessKilled bool
	pluginKilled  bool
	hung          bool
}

func (p *place) start() (*sitting, error) {
	p.logs++
	s := &sitting{stderr: filepath.Join(p.folder, fmt.Sprintf("stderr-%d", p.logs)), ended: make(chan struct{})}
	// With a pipe, a process that outlives the harness would keep it open.
	stderr, err := os.Create(s.stderr)
	if err != nil {
		return nil, err
	}
	s.command = exec.Command(p.bittern, "run", "--suite", p.suite, "--runs", p.runs())
	s.command.Env, s.command.Stderr, s.command.Dir = p.environment(), stderr, p.folder
	// Ctrl-C must reach this tool alone.
	s.command.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	err = s.command.Start()
	if closing := stderr.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	go func() {
		_ = s.command.Wait() // ProcessState has the result
		close(s.ended)
	}()
	return s, nil
}

// patience is how long a run may take: much longer than an undisturbed one, because the machine
// may be busy.
func (p *place) patience() time.Duration { return time.Minute + 20*p.takes }

// await waits until a sitting has ended. When its time is over or ctx ends, it kills the
// sitting.
func (p *place) await(ctx context.Context, s *sitting) {
	select {
	case <-s.ended:
		return
	case <-time.After(p.patience()):
		s.hung = true
	case <-ctx.Done():
	}
	_ = s.command.Process.Kill() // fails if it has just ended by itself
	<-s.ended
}

// runAlone runs the suite undisturbed.
func (p *place) runAlone(ctx context.Context) error {
	s, err := p.start()
	if err != nil {
		return err
	}
	p.await(ctx, s)
	var r tally
	s.judge(&r)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(r.exits) > 0 {
		return fmt.Errorf("%s", r.exits[0])
	}
	return nil
}

// exit returns the exit code, or −1 after a signal.
func (s *sitting) exit() int { return s.command.ProcessState.ExitCode() }

// judge records how a sitting ended.
func (s *sitting) judge(r *tally) {
	stderr, err := os.ReadFile(s.stderr)
	if err != nil {
		r.exits = append(r.exits, err.Error())
		return
	}
	e := ending{code: s.exit(), killed: s.harnessKilled, pluginKilled: s.pluginKilled, stderr: stderr}
	if waiting.Match(stderr) {
		r.waited++
	}
	switch fault := e.fault(); {
	case s.hung:
		r.exits = append(r.exits, "a run did not end: "+e.lastLine())
	case fault != "":
		r.exits = append(r.exits, fault+": "+e.lastLine())
	}
}

// ending says how a sitting ended, and what had been done to it.
type ending struct {
	code         int // -1 after a signal
	killed       bool
	pluginKilled bool
	stderr       []byte
}

// waiting matches the line in which a run says that it waits for an experiment of another run.
var waiting = regexp.MustCompile(`(?m); waiting$`)

// trace matches the stack of a program that crashed.
var trace = regexp.MustCompile(`(?m)^goroutine \d+ \[`)

// fault says what is wrong with an ending, or "". A run whose plugin was killed may fail, with
// exit code 1, or 2 if the plugin was killed before the training. No other run may fail; not
// even a second run in the same folder, which waits.
func (e ending) fault() string {
	switch {
	case trace.Match(e.stderr):
		return fmt.Sprintf("a run crashed (%d)", e.code)
	case e.code == 0, e.code == -1 && e.killed:
		return ""
	case e.pluginKilled && (e.code == 1 || e.code == 2):
		return ""
	case e.code == -1:
		return "a run ended by a signal that nobody sent"
	}
	return fmt.Sprintf("a run exited with %d", e.code)
}

func (e ending) lastLine() string {
	lines := bytes.Split(bytes.TrimSpace(e.stderr), []byte("\n"))
	return strings.TrimSpace(string(lines[len(lines)-1]))
}
