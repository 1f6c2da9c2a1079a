package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// exitProblem is the exit code of this program after a mistake that the user can mend.
const exitProblem = 2

// observedRun is a suite that this executable runs in a process of its own, as a user does.
type observedRun struct {
	task  string // its data set, which must be in the bench's folder of data
	units int
	steps int // it is interrupted after so many training steps
}

// look is how often the process is looked at.
const look = time.Millisecond

// run trains with stochastic ternary weights and returns how long it took until the last step was
// done. Meanwhile it calls meanwhile with the process, at every look. The interrupted run saves a
// checkpoint. If the user's data are missing, reason says so.
func (b *Bench) run(ctx context.Context, r observedRun, meanwhile func(pid int) error) (seconds float64, reason string, err error) {
	if b.Data == "" {
		return 0, fmt.Sprintf("needs %s: name its folder with --data", r.task), nil
	}
	folder, err := os.MkdirTemp("", "bittern-bench-*")
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	suite := filepath.Join(folder, "bench.yaml")
	text := fmt.Sprintf(`name: bench
seeds: [1]
threads: %d
tasks: [{data: %s, batch: 64, length: 100}]
models: [{plugin: lstm, options: [units=%d, normalization=batch]}]
quantizers: [{plugin: stochastic-ternary}]
backends: [{plugin: cpu}]
training: {optimiser: adam, learning_rate: 0.002, epochs: 1}
`, b.Threads, r.task, r.units)
	if err := os.WriteFile(suite, []byte(text), 0o600); err != nil {
		return 0, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, "", err
	}
	command := exec.CommandContext(ctx, self, "run", "--suite", suite, "--data", b.Data, "--runs", filepath.Join(folder, "runs"))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	started := time.Now()
	if err := command.Start(); err != nil {
		return 0, "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	observe := func() error {
		done, err := stepsDone(filepath.Join(folder, "runs"))
		if err != nil {
			return err
		}
		if seconds == 0 && done >= r.steps {
			seconds = time.Since(started).Seconds()
			if command.Process.Signal(os.Interrupt) != nil { // a system without interrupts
				return command.Process.Kill()
			}
		}
		if meanwhile == nil {
			return nil
		}
		return meanwhile(command.Process.Pid)
	}
	for {
		select {
		case err := <-ended:
			switch {
			case seconds > 0: // the interrupt ended it
				return seconds, "", nil
			case command.ProcessState.ExitCode() == exitProblem:
				return 0, lastLine(stderr.String()), nil
			}
			return 0, "", fmt.Errorf("bittern run ended before training step %d: %v: %s", r.steps, err, lastLine(stderr.String()))
		case <-time.After(look):
		}
		if err := observe(); err != nil {
			return 0, "", errors.Join(err, command.Process.Kill(), <-ended)
		}
	}
}

// stepsDone counts the training steps of the only experiment of a run store.
func stepsDone(runs string) (int, error) {
	files, err := filepath.Glob(filepath.Join(runs, "*", "steps.jsonl"))
	if err != nil || len(files) == 0 {
		return 0, err
	}
	text, err := os.ReadFile(files[0])
	return bytes.Count(text, []byte("\n")), err
}
