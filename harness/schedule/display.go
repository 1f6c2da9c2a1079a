package schedule

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"bittern/harness/experiment"
)

// Display shows how far a run has come: a bar with the remaining time on a
// terminal, else a plain line every few seconds.
type Display struct {
	out   io.Writer
	clock func() time.Time
	every time.Duration // between plain lines
	bar   *progressbar.ProgressBar
	room  int // for text beside the bar

	mu      sync.Mutex
	total   int // experiments
	done    int
	shares  map[int]float64 // of the experiments under way, 0 to 1
	specs   map[int]*experiment.Spec
	trained map[int]bool // of the experiments under way, those that have trained in this sitting
	found   float64      // progress made in earlier sittings, in experiments
	started time.Time
	written time.Time
}

// parts is the resolution of the bar: parts of one experiment.
const parts = 1000

// barWidth is what the bar with its percentage and times takes of a line.
const barWidth = 50

// NewDisplay makes a display of a number of experiments. width is the terminal's, in
// characters; 0 if the output is not a terminal.
func NewDisplay(out io.Writer, width, experiments int) *Display {
	d := &Display{
		out: out, clock: time.Now, every: 5 * time.Second, room: width - barWidth, total: experiments,
		shares: make(map[int]float64), specs: make(map[int]*experiment.Spec), trained: make(map[int]bool),
	}
	d.started = d.clock()
	d.written = d.started
	if width > 0 {
		d.bar = progressbar.NewOptions64(int64(max(1, experiments))*parts,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetPredictTime(false), // it would take what was found for work of this sitting
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(200*time.Millisecond),
			progressbar.OptionClearOnFinish(),
		)
	}
	return d
}

// Line writes a line of its own, such as a warning.
func (d *Display) Line(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line(line)
}

func (d *Display) line(line string) {
	if d.bar != nil {
		_ = d.bar.Clear() // only a terminal that is gone fails here, and there is nobody to tell
	}
	fmt.Fprintln(d.out, line)
	d.written = d.clock()
}

func (d *Display) begin(i int, spec *experiment.Spec) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.specs[i], d.shares[i] = spec, 0
}

func (d *Display) end(i int, failed []experiment.Failed, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	spec, trained := d.specs[i], d.trained[i]
	delete(d.specs, i)
	delete(d.shares, i)
	delete(d.trained, i)
	if err != nil {
		return
	}
	if !trained {
		d.found++
	}
	d.done++
	outcome := "done"
	if len(failed) > 0 {
		outcome = "failed"
	}
	if d.bar == nil || outcome == "failed" {
		d.line(fmt.Sprintf("[%d/%d] %s: %s%s", d.done, d.total, spec, outcome, d.remaining()))
	}
	d.advance("")
}

func (d *Display) update(i int, p experiment.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shares[i] = share(p)
	switch p.Stage {
	case experiment.Resuming:
		if !d.trained[i] {
			d.found += d.shares[i]
		}
	case experiment.Training:
		d.trained[i] = true
	}
	if d.bar != nil {
		d.advance(fmt.Sprintf("%s%s (%s)", describe(p), d.remaining(), d.specs[i]))
		return
	}
	if d.clock().Sub(d.written) >= d.every {
		d.line(fmt.Sprintf("[%d/%d] %s: %s%s", d.done, d.total, d.specs[i], describe(p), d.remaining()))
	}
}

func (d *Display) advance(text string) {
	if d.bar == nil {
		return
	}
	// A longer line would wrap, and only its last part would be cleared.
	if letters := []rune(text); len(letters) > d.room {
		text = string(letters[:max(0, d.room)])
	}
	d.bar.Describe(text)
	_ = d.bar.Set64(int64(d.progress() * parts)) // as in line
}

// Close takes the bar off the terminal.
func (d *Display) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		_ = d.bar.Clear() // as in line
	}
}

// progress is in experiments.
func (d *Display) progress() float64 {
	sum := float64(d.done)
	for _, s := range d.shares {
		sum += s
	}
	return sum
}

// remaining estimates from the time and the progress of this sitting; it says
// nothing before there is something to go by.
func (d *Display) remaining() string {
	made := d.progress() - d.found
	missing := float64(d.total) - d.progress()
	elapsed := d.clock().Sub(d.started)
	if made <= 0 || missing <= 0 || elapsed < time.Second {
		return ""
	}
	left := time.Duration(float64(elapsed) * missing / made)
	return fmt.Sprintf(", about %s left", left.Round(time.Second))
}

// The shares of an experiment's time that its stages are taken for: long runs mostly
// train, and of short ones no estimate is needed.
const (
	trainingShare = 0.85
	testingShare  = 0.90
)

func share(p experiment.Progress) float64 {
	of := 0.0
	if p.Steps > 0 {
		of = float64(p.Step) / float64(p.Steps)
	}
	switch p.Stage {
	case experiment.Resuming, experiment.Training, experiment.Validating:
		return trainingShare * of
	case experiment.Testing:
		return trainingShare
	case experiment.Deploying:
		return testingShare + (1-testingShare)*of
	}
	return 0
}

func describe(p experiment.Progress) string {
	switch p.Stage {
	case experiment.Training, experiment.Validating:
		text := fmt.Sprintf("%s, step %d of %d", p.Stage, p.Step, p.Steps)
		if p.Stage == experiment.Training {
			text += fmt.Sprintf(", loss %.3f bits", p.Loss/math.Ln2)
		}
		if p.Best != nil {
			text += fmt.Sprintf(", best validation %.3f %s", *p.Best, p.Metric)
		}
		return text
	case experiment.Deploying:
		return "deploying on " + p.Backend
	}
	return string(p.Stage)
}
