package bench

import (
	"context"
	"slices"
	"strings"
	"time"

	"bittern/accel/kernels/isa"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
)

// Bench says how to time.
type Bench struct {
	Catalogue *host.Catalogue
	Deadline  time.Duration // of a call to a plugin
	Threads   int
	// Arithmetic is what the products of training steps compute with. The floor that the steps
	// are compared with stays that of float32, and a line with another arithmetic names it.
	Arithmetic model.Arithmetic
	Runs       int // how often ours, and the short programs of peers, are timed
	PeerRuns   int // how often a training step of a peer, which takes seconds, is timed
	Peers      *Peers
	Progress   func(line string)
}

// Result has everything that was timed.
type Result struct {
	CPU    string
	Lines  []Line
	Memory []Memory
}

// groups are the parts of the bench, in the order in which they run. Memory is the first, before
// the others make this process larger.
var groups = []struct {
	name string
	run  func(b *Bench, ctx context.Context, r *Result) error
}{
	{"memory", func(b *Bench, ctx context.Context, r *Result) error {
		m, err := b.peakMemory(ctx)
		r.Memory = append(r.Memory, m)
		return err
	}},
	{"inference", lines((*Bench).inferenceLines)},
	{"scoring", lines((*Bench).scoringLines)},
	{"training", lines((*Bench).stepLines)},
	{"matrix", lines((*Bench).matrixLines)},
	{"portable", lines((*Bench).portableLines)},
}

func lines(run func(*Bench, context.Context) ([]Line, error)) func(*Bench, context.Context, *Result) error {
	return func(b *Bench, ctx context.Context, r *Result) error {
		l, err := run(b, ctx)
		r.Lines = append(r.Lines, l...)
		return err
	}
}

// Groups returns the names of the parts of the bench.
func Groups() []string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return names
}

// CheckGroups returns a *plugins.Problem if a name is not that of a group.
func CheckGroups(names []string) error {
	known := Groups()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return plugins.Problemf("bench has no part %q%s; its parts are %s", name, plugins.DidYouMean(name, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// Run times the named groups, or all if only is empty. After an error, the result has what was
// finished before it.
func (b *Bench) Run(ctx context.Context, only []string) (*Result, error) {
	r := &Result{CPU: isa.Features()}
	for _, g := range groups {
		if len(only) > 0 && !slices.Contains(only, g.name) {
			continue
		}
		if err := g.run(b, ctx, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func newLine(name string, ours Sample) Line {
	return Line{Name: name, Ours: ours, Others: map[string]Sample{}, Missing: map[string]string{}}
}

// hold adds another sample to compare with and its goals, or the reason why there is none.
func (l *Line) hold(against string, other Sample, reason string, goals ...Goal) {
	if reason != "" {
		l.Missing[against] = reason
	} else {
		l.Others[against] = other
	}
	for _, goal := range goals {
		goal.Against = against
		l.Goals = append(l.Goals, goal)
	}
}
