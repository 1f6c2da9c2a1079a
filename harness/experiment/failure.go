package experiment

import (
	"errors"
	"fmt"

	"bittern/internal/host"
	"bittern/plugins"
)

// Failure says why a plugin's work cannot be used. It ends the experiment or the
// deployment; the others go on.
type Failure struct {
	Reason string // one sentence
	Stderr string // the last lines the plugin wrote, where there are any
	// Transient says that the process was lost: it crashed or was killed because it did not
	// answer. Only such a failure is worth a retry: an answer that cannot be used would
	// come again, since experiments are deterministic.
	Transient bool

	cause error
}

func (f *Failure) Error() string { return f.Reason }

// Unwrap returns what the plugin's host said.
func (f *Failure) Unwrap() error { return f.cause }

// process is the part of a plugin's process that failures are reported from.
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
