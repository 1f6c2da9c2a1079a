// Package provenance records what a number was measured with, so that it can
// be judged and made again.
package provenance

import (
	"context"
	"runtime"
	"strings"
	"time"

	"bittern/accel/kernels/isa"
)

// Machine is the program and the machine it runs on.
type Machine struct {
	Commit   string `json:"commit"`   // "unknown" outside a checkout and without a stamp in the executable
	Modified bool   `json:"modified"` // the sources differ from Commit
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CPU      string `json:"cpu"` // name, instruction-set level in use, features
	ISA      string `json:"isa"`
	Cores    int    `json:"cores"` // logical, usable by this process

	// Overhead is what the harness itself adds to a training step; nil where
	// it was not measured.
	Overhead *Overhead `json:"overhead,omitempty"`
}

// Class names the kind of machine: its processor, and the instruction set in use. It is empty
// where the processor does not tell its name.
func (m Machine) Class() string {
	name, _, _ := strings.Cut(m.CPU, "; ")
	if name == "" || name == isa.UnknownCPU {
		return ""
	}
	return name + ", " + m.ISA
}

// Overhead is the time of one training step's calls on the null plugins, which
// compute nothing: the harness, the process boundary and the waking of processes.
type Overhead struct {
	Seconds float64 `json:"seconds"` // median over N steps
	N       int     `json:"n"`
}

// Sitting is a stretch of work without an interruption, by one program on one machine.
type Sitting struct {
	Machine
	Host    string    `json:"host,omitempty"` // name of the machine, if a worker did this for a run elsewhere
	Threads int       `json:"threads"`
	Started time.Time `json:"started"`
	// Ended is when the sitting last saved something, or came to its end; zero where
	// it had no time to note that.
	Ended time.Time `json:"ended,omitzero"`
	From  uint64    `json:"from"` // training steps done before it
	To    uint64    `json:"to"`   // training steps done and saved by its end
}

// Contributed says whether the network has steps of this sitting.
func (s Sitting) Contributed() bool { return s.To > s.From }

// Experiment is what stands beside the numbers of one trained experiment.
type Experiment struct {
	Data      string `json:"data"`   // name of the data set
	SHA256    string `json:"sha256"` // of its content
	Synthetic bool   `json:"synthetic,omitempty"`
	Note      string `json:"note,omitempty"` // what the data set says of itself, such as "stand-in"
	Model     string `json:"model"`          // plugin and version
	Quantizer string `json:"quantizer"`

	StepsPerEpoch  int `json:"steps_per_epoch,omitempty"`  // training steps of a pass over the data
	PlannedSteps   int `json:"planned_steps,omitempty"`    // training steps of the whole recipe, if nothing stops it early
	SymbolsPerStep int `json:"symbols_per_step,omitempty"` // time steps of all streams of all sequences of a training step

	// Sittings are those that contributed to the numbers, in order.
	Sittings []Sitting `json:"sittings"`
}

// Begin adds a sitting that goes on from a checkpoint after a number of training steps
// (0: it begins afresh). Of the sittings before it the steps beyond the checkpoint are
// taken away, since they are done again, and those that then contributed nothing.
// A sitting that was killed between a checkpoint and the note of it gets its steps.
func (e *Experiment) Begin(s Sitting, step uint64) {
	var before []Sitting
	for i, known := range e.Sittings {
		if i == len(e.Sittings)-1 {
			known.To = max(known.To, step)
		}
		known.To = min(known.To, step)
		savedNothing := known.Ended.IsZero() && known.To <= known.From
		if step > 0 && known.From <= step && !savedNothing {
			before = append(before, known)
		}
	}
	s.From, s.To = step, step
	e.Sittings = append(before, s)
}

// Saved notes that the last sitting has saved the network after a number of steps.
func (e *Experiment) Saved(step uint64, at time.Time) {
	last := &e.Sittings[len(e.Sittings)-1]
	last.To, last.Ended = step, at
}

// Deployment is what stands beside the numbers of one backend, which one sitting found.
type Deployment struct {
	Machine
	Backend string    `json:"backend"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`

	// ScoredBy is the backend that executed the network, where it was not this one:
	// both compute the same Arithmetic, and so the same score.
	ScoredBy   string `json:"scored_by,omitempty"`
	Arithmetic string `json:"arithmetic,omitempty"`
}

// Collect describes this program on this machine.
func Collect(ctx context.Context) Machine {
	program := CollectBuild(ctx)
	return Machine{
		Commit:   program.Commit,
		Modified: program.Modified,
		Go:       program.Go,
		OS:       runtime.GOOS,
		Arch:     runtime.GOARCH,
		CPU:      isa.Features(),
		ISA:      isa.Numbers(),
		Cores:    runtime.NumCPU(),
	}
}
