package host

import (
	"fmt"

	"bittern/plugins"
)

// Reason says in what way a plugin failed.
type Reason string

// The ways a plugin can fail. After Crashed and Deadline its process is gone;
// after Fault and Nonsense it still runs.
const (
	Crashed  Reason = "crashed"  // the process ended or its connection broke
	Deadline Reason = "deadline" // it gave no answer in time and was killed
	Fault    Reason = "fault"    // it answered with an error of its own
	Nonsense Reason = "nonsense" // it answered with NaN, a wrong shape or the like
)

// Failure is a call that a plugin did not serve. A mistake of the user's is a
// *plugins.Problem instead, an unsupported request a *backend.ErrUnsupported.
type Failure struct {
	Plugin plugins.ID
	Call   string // the method, such as "Step"; "start" before the first
	Reason Reason
	Detail string // one line, see [plugins.Line]
	Stderr string // the last lines that the plugin wrote to stderr or stdout, each so

	unimplemented bool // the plugin does not know the method
}

// LastWords quotes the last lines that a plugin which crashed or hung printed. It is empty
// where the plugin printed none, or still runs.
func (f *Failure) LastWords() string {
	if f.Reason != Crashed && f.Reason != Deadline {
		return ""
	}
	return lastWords(f.Stderr)
}

// Error is one line; Stderr is left to the caller to show.
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
