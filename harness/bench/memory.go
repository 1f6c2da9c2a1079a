package bench

import (
	"context"
	"errors"
	"os"

	"bittern/harness/internal/memory"
)

// maxMemory is how many bytes all processes together may take to train on Penn Treebank
// characters with 1000 units. This is a goal.
const maxMemory = 1e9

// Memory is how much memory a training took, in bytes.
type Memory struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"` // sum of the peaks of all processes
	Goal    int64  `json:"goal"`
	Missing string `json:"missing,omitempty"`
}

// Outcome returns whether the goal was reached.
func (m Memory) Outcome() Outcome {
	switch {
	case m.Missing != "":
		return NotMeasured
	case m.Bytes <= m.Goal:
		return Reached
	}
	return Missed
}

// peakMemory trains a few steps of a character model, and adds up the peaks of the resident
// memory of the harness and its plugins. Shared memory counts once for each process, so the sum
// is an upper bound.
func (b *Bench) peakMemory(ctx context.Context) (_ Memory, err error) {
	e := characters(1000, 50, 0, 0, 0)
	m := Memory{Name: "PeakMemory/characters-1000", Goal: maxMemory}
	trial, err := b.trial(ctx, e, "stochastic-ternary")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	for range 3 {
		if _, err := trial.Step(ctx); err != nil {
			return m, err
		}
	}
	for _, pid := range append(trial.Processes(), os.Getpid()) {
		bytes, err := memory.PeakResident(pid)
		if errors.Is(err, os.ErrNotExist) {
			m.Missing = "this system has no /proc/PID/status"
			return m, nil
		}
		if err != nil {
			return m, err
		}
		m.Bytes += bytes
	}
	return m, nil
}
