package experiment

import (
	"errors"
	"fmt"

	"bittern/internal/host"
	"bittern/plugins"
)

// Failure is why a plugin's work could not be used: the experiment (or the
// deployment) ends with it, the others go on.
type Failure struct {
	Reason string // one sentence
	Stderr string // the last lines the plugin wrote, where there are any
	// Transient says that the process was lost, by a crash or for being
	// silent too long, rather than that it answered something unusable. A
	// experiment is deterministic, so only a transient failure is worth a retry.
	Transient bool

	cause error
}

func (f *Failure) Error() string { return f.Reason }

// Unwrap returns what the plugin's host said.
func (f *Failure) Unwrap() error { return f.cause }

// process is what the harness must know of a plugin's process to report on it.
type process interface {
	Pid() int
	Stderr() string
	Close() error
}

// unusable is the Failure of a plugin whose answer cannot be used.
func unusable(p process, name, format string, args ...any) error {
	return &Failure{Reason: plugins.Line(name + " " + fmt.Sprintf(format, args...)), Stderr: p.Stderr()}
}

// failure turns the error of a call to a plugin into a Failure where the
// plugin is to blame.
func failure(err error) error {
	var lost *host.Failure
	var problem *plugins.Problem
	switch {
	case errors.As(err, &lost):
		return &Failure{
			Reason: lost.Error(), Stderr: lost.Stderr,
			Transient: lost.Reason == host.Crashed || lost.Reason == host.Deadline,
			cause:     err,
		}
	case errors.As(err, &problem):
		return &Failure{Reason: problem.Sentence, cause: err}
	}
	return err
}
