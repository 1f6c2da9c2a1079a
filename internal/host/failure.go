package host

import (
	"fmt"

	"bittern/plugins"
)

// Reason says in what way a plugin failed.
type Reason string

// The ways in which a plugin can fail. After Crashed and Deadline its process is gone; after
// Fault and Nonsense it still runs.
const (
	Crashed  Reason = "crashed"  // the process ended, or its connection broke
	Deadline Reason = "deadline" // it gave no answer in time and was killed
	Fault    Reason = "fault"    // it answered with an error of its own
	Nonsense Reason = "nonsense" // its answer cannot be used: NaN, a wrong shape or the like
)

// Failure is a call that a plugin failed to serve. A mistake of the user is a *plugins.Problem
// instead, and an unsupported request is a *backend.ErrUnsupported.
type Failure struct {
	Plugin plugins.ID
	Call   string // the method, such as "Step"; "start" before the first
	Reason Reason
	Detail string // one line, see [plugins.Line]
	Stderr string // the last lines that the plugin wrote to stderr or stdout, each a plugins.Line

	unimplemented bool // the plugin does not know the method
}

// LastWords quotes the last lines of a plugin that crashed or hung. It is empty if the plugin
// printed none or still runs.
func (f *Failure) LastWords() string {
	if f.Reason != Crashed && f.Reason != Deadline {
		return ""
	}
	return lastWords(f.Stderr)
}

// Error is one line. It does not have Stderr, which the caller may show.
func (f *Failure) Error() string {
	switch f.Reason {
	case Crashed:
		return fmt.Sprintf("%s crashed during %s: %s", f.Plugin, f.Call, f.Detail)
	case Deadline:
		return fmt.Sprintf("%s was killed during %s: %s", f.Plugin, f.Call, f.Detail)
	case Nonsense:
		return fmt.Sprintf("%s answered %s with nonsense: %s", f.Plugin, f.Call, f.Detail)
	}
	return fmt.Sprintf("%s failed during %s: %s", f.Plugin, f.Call, f.Detail)
}
