package schedule

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"bittern/harness/experiment"
	"bittern/harness/internal/terminal"
)

// Display shows how far a run has come. On a terminal it is a line for the suite and one
// for each experiment that is under way; elsewhere it is plain lines, at first every few
// seconds and later once a minute.
type Display struct {
	out   *terminal.Writer
	clock func() time.Time
	jobs  int // experiments at a time, at most
	plain bool
	stop  func()
	work  []experiment.Work // of each experiment

	mu      sync.Mutex
	done    int // experiments, the failed ones included
	failed  int
	made    float64 // work of those
	found   float64 // work that earlier sittings did
	started time.Time
	running map[int]*running // by the experiment's number
}

// running is an experiment that is under way.
type running struct {
	spec    *experiment.Spec
	at      experiment.Progress // the last
	speed   float64             // smoothed; targets a second
	work    experiment.Work
	share   float64 // done of it, from 0 to 1
	found   float64 // share that earlier sittings did
	trains  bool    // in this sitting, it is not trained already
	worked  bool    // something was done for it in this sitting
	started time.Time
	written time.Time     // when the last plain line was
	every   time.Duration // until the next plain line
}

// The time between plain lines of an experiment doubles from the first to the last.
const (
	firstPlain = 5 * time.Second
	lastPlain  = time.Minute
)

// NewDisplay makes a display for experiments of so much work each, of which jobs run at a time.
// Close it in the end.
func NewDisplay(out *terminal.Writer, work []experiment.Work, jobs int) *Display {
	return newDisplay(out, work, jobs, time.Now)
}

func newDisplay(out *terminal.Writer, work []experiment.Work, jobs int, clock func() time.Time) *Display {
	d := &Display{
		out: out, clock: clock, jobs: jobs, plain: !out.Interactive(),
		work: completed(work), started: clock(), running: make(map[int]*running),
	}
	d.stop = out.Show(d.lines)
	return d
}

// usual is how an experiment's time is divided where it is not known: long runs mostly train.
var usual = experiment.Work{Steps: 0.85, Freeze: 0.05, Deployments: 0.1}

// completed takes experiments whose work is not known for the mean of the others.
func completed(work []experiment.Work) []experiment.Work {
	sum, n := 0.0, 0
	for _, w := range work {
		if w.Total() > 0 {
			sum, n = sum+w.Total(), n+1
		}
	}
	mean := 1.0
	if n > 0 {
		mean = sum / float64(n)
	}
	all := slices.Clone(work)
	for i, w := range all {
		if w.Total() <= 0 {
			all[i] = experiment.Work{Steps: mean * usual.Steps, Freeze: mean * usual.Freeze, Deployments: mean * usual.Deployments}
		}
	}
	return all
}

// Close takes the progress off the terminal.
func (d *Display) Close() { d.stop() }

// Line writes a line of its own, such as a warning.
func (d *Display) Line(line string) {
	fmt.Fprintln(d.out, line) // only an output that is gone fails here, and there is nobody to tell
}

func (d *Display) begin(i int, spec *experiment.Spec) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock()
	d.running[i] = &running{spec: spec, work: d.work[i], at: experiment.Progress{Stage: experiment.Starting}, started: now, written: now, every: firstPlain}
}

func (d *Display) update(i int, p experiment.Progress) {
	if line := d.updated(i, p); line != "" {
		d.Line(line)
	}
}

// updated takes in the progress of an experiment and returns the plain line that is due,
// if one is.
func (d *Display) updated(i int, p experiment.Progress) (line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.running[i]
	now := d.clock()
	if r.at.Stage == experiment.Waiting && p.Stage != experiment.Waiting {
		r.started, r.written = now, now
	}
	r.at = p
	switch p.Stage {
	case experiment.Waiting:
		return ""
	case experiment.Resuming:
		r.trains, r.found = true, share(p, r.work, true)
		d.found += r.found * r.work.Total()
	case experiment.Training:
		r.trains = true
		const weight = 0.1 // of the last step: what is shown follows in some ten steps
		if r.speed == 0 {
			r.speed = p.Speed
		}
		r.speed += weight * (p.Speed - r.speed)
	}
	r.worked = r.worked || p.Stage != experiment.Starting && p.Stage != experiment.Resuming
	r.share = share(p, r.work, r.trains)
	if !d.plain || now.Sub(r.written) < r.every {
		return ""
	}
	r.written, r.every = now, min(2*r.every, lastPlain)
	return d.plainLine(r, now)
}

func (d *Display) end(i int, failed []experiment.Failed, err error) {
	if line := d.ended(i, failed, err); line != "" {
		d.Line(line)
	}
}

// ended takes an experiment off those that are under way and returns the line that says
// how it ended, if it is to be told.
func (d *Display) ended(i int, failed []experiment.Failed, err error) (line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.running[i]
	delete(d.running, i)
	if err != nil { // it is not finished, and no longer counted
		d.found -= r.found * r.work.Total()
		return ""
	}
	if !r.worked {
		d.found += (1 - r.found) * r.work.Total()
	}
	d.done++
	d.made += r.work.Total()
	outcome := "done"
	if len(failed) > 0 {
		outcome = "failed"
		d.failed++
	}
	if !d.plain && len(failed) == 0 {
		return ""
	}
	return fmt.Sprintf("[%d/%d] %s: %s%s", d.done, len(d.work), r.spec, outcome, prefixed("; suite about ", d.remaining(d.clock()), " left"))
}

// lines are the status lines for a terminal of so many columns.
func (d *Display) lines(columns int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock()
	const least = 24 // columns of an experiment's name
	count := terminal.Part{Text: fmt.Sprintf("[%d/%d]", d.done, len(d.work))}
	failed, left, percent := terminal.Part{Rank: 1}, terminal.Part{Rank: 2}, terminal.Part{Rank: 3}
	if d.failed > 0 {
		failed.Text = fmt.Sprintf("%d failed", d.failed)
	}
	if len(d.work) > 1 {
		left.Text = prefixed("suite ", d.remaining(now), " left")
		percent.Text = fmt.Sprintf("%.0f %%", 100*d.progress()/d.total())
	}
	if d.jobs == 1 {
		// Its name stands in the suite's line, so that its own has room for all figures.
		var name terminal.Part
		lines := []string{""}
		for _, r := range d.running {
			name = terminal.Part{Text: r.spec.String(), Least: least}
			lines = append(lines, terminal.Fit(columns, r.parts(now)...))
		}
		lines[0] = terminal.Fit(columns, count, name, failed, percent, left)
		return lines
	}
	working := slices.DeleteFunc(slices.Sorted(maps.Keys(d.running)), func(i int) bool { return d.running[i].at.Stage == experiment.Waiting })
	lines := []string{terminal.Fit(columns, count, terminal.Part{Text: fmt.Sprintf("%d running", len(working)), Rank: 4}, failed, percent, left)}
	for _, i := range working {
		r := d.running[i]
		name := terminal.Part{Text: r.spec.String(), Least: least}
		lines = append(lines, terminal.Fit(columns, append([]terminal.Part{name}, r.parts(now)...)...))
	}
	return lines
}

// parts are what a status line has of an experiment beside its name.
func (r *running) parts(now time.Time) []terminal.Part {
	f := r.figures(now)
	return []terminal.Part{{Text: f.stage}, {Text: f.loss, Rank: 2}, {Text: f.best, Rank: 3}, {Text: f.speed, Rank: 4}, {Text: prefixed("", f.left, " left"), Rank: 1}}
}

// plainLine is the line of an experiment where no terminal is.
func (d *Display) plainLine(r *running, now time.Time) string {
	f := r.figures(now)
	line := fmt.Sprintf("[%d/%d] %s: %s", d.done, len(d.work), r.spec, f.stage)
	for _, text := range []string{f.loss, f.best, f.speed} {
		line += prefixed(", ", text, "")
	}
	line += prefixed(", about ", f.left, " left")
	if len(d.work) > 1 {
		line += prefixed("; suite about ", d.remaining(now), " left")
	}
	return line
}

// prefixed is a text between two others; nothing if the text is empty.
func prefixed(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

// total is the work of the suite.
func (d *Display) total() (sum float64) {
	for _, w := range d.work {
		sum += w.Total()
	}
	return sum
}

// progress is the work that is done.
func (d *Display) progress() float64 {
	sum := d.made
	for _, r := range d.running {
		sum += r.share * r.work.Total()
	}
	return sum
}

// remaining estimates the time that the suite still takes; empty if there is nothing to
// go by yet.
func (d *Display) remaining(now time.Time) string {
	if d.done == len(d.work) {
		return "" // sums of work that are rounded may differ by a little
	}
	return estimate(now.Sub(d.started), d.progress()-d.found, d.total()-d.progress())
}

// estimate is the time that the missing progress takes if it is made as fast as the
// progress so far. It is empty if that is too little to tell, or nothing is missing.
func estimate(elapsed time.Duration, made, missing float64) string {
	if made <= 0 || missing <= 0 || elapsed < time.Second {
		return ""
	}
	const longest = 1000 * 24 * time.Hour
	return short(time.Duration(min(float64(elapsed)*missing/made, float64(longest))))
}

// short is a time in one or two units.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour-30*time.Second:
		return fmt.Sprintf("%.0fm", d.Minutes())
	case d < 2*day:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	d = d.Round(time.Hour)
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}

// share is how much of an experiment is done, from 0 to 1. One that is trained already,
// and so does not train, has only its deployments to make.
func share(p experiment.Progress, work experiment.Work, trains bool) float64 {
	of := float64(p.Step) / float64(max(1, p.Steps))
	training := (work.Steps + work.Validations) / work.Total()
	switch p.Stage {
	case experiment.Resuming, experiment.Training, experiment.Validating:
		return training * of
	case experiment.Testing:
		if trains {
			return training
		}
	case experiment.Deploying:
		if trains {
			return 1 - (1-of)*work.Deployments/work.Total()
		}
		return of
	}
	return 0
}
