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
	stderr        string        // the file of its standard error
	ended         chan struct{} // closed at its end
	harnessKilled bool
	pluginKilled  bool
	hung          bool
}

func (p *place) start() (*sitting, error) {
	p.logs++
	s := &sitting{stderr: filepath.Join(p.folder, fmt.Sprintf("stderr-%d", p.logs)), ended: make(chan struct{})}
	// A file, not a pipe: a process that outlives the harness would hold that open.
	stderr, err := os.Create(s.stderr)
	if err != nil {
		return nil, err
	}
	s.command = exec.Command(p.bittern, "run", "--suite", p.suite, "--runs", p.runs())
	s.command.Env, s.command.Stderr, s.command.Dir = p.environment(), stderr, p.folder
	// Ctrl-C is for the tool to act on.
	s.command.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	err = s.command.Start()
	if closing := stderr.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	go func() {
		_ = s.command.Wait() // ProcessState says it all
		close(s.ended)
	}()
	return s, nil
}

// patience is how long a run may take: much longer than an undisturbed one, for the
// machine may have become busy.
func (p *place) patience() time.Duration { return time.Minute + 20*p.takes }

// await waits for the end of a sitting, which is brought about after a long
// time or the end of ctx.
func (p *place) await(ctx context.Context, s *sitting) {
	select {
	case <-s.ended:
		return
	case <-time.After(p.patience()):
		s.hung = true
	case <-ctx.Done():
	}
	_ = s.command.Process.Kill() // it may have ended by itself just now
	<-s.ended
}

// runAlone is an undisturbed run.
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

// exit is the exit code; -1 after a signal.
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

// ending is how a sitting ended and what had been done to it.
type ending struct {
	code         int // -1 after a signal
	killed       bool
	pluginKilled bool
	stderr       []byte
}

// waiting matches the line of a run that waits for an experiment of another one.
var waiting = regexp.MustCompile(`(?m); waiting$`)

// trace matches the stack of a program that crashed.
var trace = regexp.MustCompile(`(?m)^goroutine \d+ \[`)

// fault says what is wrong with an ending; nothing where it is as it should be. A
// run whose plugin was killed may fail, and says so with 1, or with 2 where
// that happened before the training; any other does neither, for a second run on
// the folder waits.
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
