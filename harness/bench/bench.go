// Package bench measures Bittern's kernels, training steps, packed inference, memory and start. It
// compares them with the floor (the matrix products alone, in float32) and with the peers that are
// installed, all in turn, and judges by confidence intervals which goals were reached. The goals of
// each class of processors are in goals.csv.
package bench

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"bittern/accel/kernels/isa"
	"bittern/harness/provenance"
	"bittern/internal/host"
	"bittern/plugins"
)

// Bench says how to measure.
type Bench struct {
	Catalogue *host.Catalogue
	Deadline  time.Duration // of a call to a plugin
	Data      string        // folder of data sets, which memory and start need; "" is none
	Threads   int
	Runs      int // counted rounds of everything
	// Lines, if it is not nil, matches the names of the lines to measure; no others are.
	Lines    *regexp.Regexp
	Peers    *Peers
	Progress func(line string)
}

// Result has everything that was measured on a processor.
type Result struct {
	Processor isa.Processor `json:"processor"`
	Parts     []Part        `json:"parts"` // in the order of [Parts]
}

// Part is one part of the bench.
type Part struct {
	Name    string             `json:"part"`
	Machine provenance.Machine `json:"machine"`
	Threads int                `json:"threads"`
	Runs    int                `json:"runs"`
	Started time.Time          `json:"started"`
	Seconds float64            `json:"seconds"` // how long the part took
	Lines   []Line             `json:"lines"`
}

func (r *Result) lines() []Line {
	var lines []Line
	for _, part := range r.Parts {
		lines = append(lines, part.Lines...)
	}
	return lines
}

// goals returns those of the processor's class.
func (r *Result) goals() Goals {
	class, _ := classify(r.Processor)
	return goalsByClass()[class]
}

// parts are in the order in which they are measured.
var parts = []struct {
	name    string
	measure func(*Bench, context.Context) ([]Line, error)
}{
	{"memory", (*Bench).memoryLines},
	{"start", (*Bench).startLines},
	{"inference", (*Bench).inferenceLines},
	{"scoring", (*Bench).scoringLines},
	{"training", (*Bench).stepLines},
	{"bfloat16", (*Bench).bfloat16Lines},
	{"checkpoints", (*Bench).checkpointLines},
	{"matrix", (*Bench).matrixLines},
	{"portable", (*Bench).portableLines},
}

// Parts returns the names of the parts of the bench.
func Parts() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// CheckParts returns a *plugins.Problem if a name is not that of a part.
func CheckParts(names []string) error {
	known := Parts()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return plugins.Problemf("bench has no part %q%s; its parts are %s", name, plugins.DidYouMean(name, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// Run measures the named parts, or all if only is empty. After an error, the result has the parts
// that were finished before it.
func (b *Bench) Run(ctx context.Context, only []string) (*Result, error) {
	r := &Result{Processor: isa.ThisProcessor()}
	machine := provenance.Collect(ctx)
	for _, p := range parts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		started := time.Now()
		lines, err := p.measure(b, ctx)
		if err != nil {
			return r, err
		}
		// Some lines are measured together with those that were asked for.
		if lines = slices.DeleteFunc(lines, func(l Line) bool { return !b.wants(l.Name) }); len(lines) == 0 {
			continue
		}
		r.Parts = append(r.Parts, Part{
			Name: p.name, Machine: machine, Threads: b.Threads, Runs: b.Runs,
			Started: started.UTC().Truncate(time.Second), Seconds: time.Since(started).Seconds(), Lines: lines,
		})
	}
	return r, nil
}

// wants says whether any of these lines is to be measured.
func (b *Bench) wants(names ...string) bool {
	return b.Lines == nil || slices.ContainsFunc(names, b.Lines.MatchString)
}

// Merge adds the parts of an earlier result that this one lacks. The result is of the same
// processor.
func (r *Result) Merge(earlier *Result) {
	var merged []Part
	for _, name := range Parts() {
		named := func(p Part) bool { return p.Name == name }
		if at := slices.IndexFunc(r.Parts, named); at >= 0 {
			merged = append(merged, r.Parts[at])
		} else if at := slices.IndexFunc(earlier.Parts, named); at >= 0 {
			merged = append(merged, earlier.Parts[at])
		}
	}
	r.Parts = merged
}
