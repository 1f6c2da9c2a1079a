package page

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/live"
)

// Live is a page of a suite that is being run.
type Live struct {
	Suite   live.Suite
	Suites  []string // to choose from; none where the page is of one suite alone
	Results *Page    // of what is finished; nil if that is not known
	Waiting string   // why there is nothing to show, and what to do
	Problem string   // why what is shown may be old
}

// LivePolicy is the Content-Security-Policy of live pages. A server should send it too.
var LivePolicy = page{Live: true}.Policy()

// Write writes the page. Its script asks for "state", beside the page, what has changed.
func (l Live) Write(w io.Writer) error {
	filled, err := l.page()
	if err != nil {
		return err
	}
	return filled.write(w, "page")
}

// Parts are the parts of the page that may change, by their names. Each stands in the
// element whose ID is the name behind "part-".
func (l Live) Parts() (map[string]Part, error) {
	filled, err := l.page()
	if err != nil {
		return nil, err
	}
	all, err := filled.parts("head", "progress")
	if err != nil {
		return nil, err
	}
	constant := func() (map[string]Part, error) { return filled.parts("results", "notes") }
	if l.Results != nil {
		constant = l.Results.constant
	}
	more, err := constant()
	maps.Copy(all, more)
	return all, err
}

func (l Live) page() (page, error) {
	filled := page{Title: plugins.Line(cmp.Or(l.Suite.Name, "Nothing was run yet"))}
	if l.Results != nil {
		filled = l.Results.filled
	}
	filled.Live = true
	filled.Unfinished = nil // what the report says there, Progress says of each experiment
	for _, name := range l.Suites {
		if len(l.Suites) > 1 {
			filled.Suites = append(filled.Suites, suiteLink{name, name == l.Suite.Name})
		}
	}
	var err error
	if filled.Progress, err = newProgress(l.Suite); err != nil {
		return page{}, err
	}
	filled.Progress.Waiting, filled.Progress.Problem = plugins.Line(l.Waiting), plugins.Line(l.Problem)
	return filled, nil
}

// progress is the part of the page that shows a run under way.
type progress struct {
	Waiting string
	Problem string
	Summary string
	Share   string // of the training, 0 to 1
	Percent string
	Common  string // what all experiments have in common
	Columns []column
	Rows    []experiment
	Figures []figure
}

// experiment is the row of one.
type experiment struct {
	ID, Task, Model, Quantizer, Phase string
	Seed                              uint64
	Names                             []string // in front of the quantizer: task and model where they differ
	Order                             int      // of the phase, what is under way first
	Reasons                           []string
	Share, Percent, Steps             string
	Figures                           []cell // loss, best, speed, remaining
}

// order is how phases sort.
var order = []live.Phase{live.Training, live.Testing, live.Deploying, live.Starting, live.Failed, live.Stopped, live.Queued, live.Done}

func newProgress(s live.Suite) (*progress, error) {
	p := &progress{
		Summary: summary(s), Share: share(s.Share()), Percent: percent(s.Share()),
		Columns: []column{
			{ID: "quantizer", Header: "quantizer"}, {ID: "seed", Header: "seed", Right: true},
			{ID: "phase", Header: "state"}, {ID: "progress", Header: "training"}, {ID: "loss", Header: "loss nats", Right: true},
			{ID: "best", Header: "best validation", Right: true}, {ID: "speed", Header: "symbols/s", Right: true}, {ID: "remaining", Header: "remaining", Right: true},
		},
	}
	for _, e := range s.Experiments {
		p.Rows = append(p.Rows, newExperiment(e))
	}
	p.name("model", func(e experiment) string { return e.Model })
	p.name("task", func(e experiment) string { return e.Task })
	var err error
	p.Figures, err = curves(s)
	return p, err
}

// name adds a column in front with a name of each experiment, such as its task. If all have the
// same, it is said once instead.
func (p *progress) name(id string, of func(experiment) string) {
	if !slices.ContainsFunc(p.Rows, func(e experiment) bool { return of(e) != of(p.Rows[0]) }) {
		if len(p.Rows) > 1 {
			p.Common = strings.TrimSuffix(fmt.Sprintf("%s %s; %s", id, of(p.Rows[0]), p.Common), "; ")
			return
		}
	}
	p.Columns = slices.Insert(p.Columns, 0, column{ID: id, Header: id})
	for i := range p.Rows {
		p.Rows[i].Names = slices.Insert(p.Rows[i].Names, 0, of(p.Rows[i]))
	}
}

// curves draws the training of the experiments that are not trained yet.
func curves(s live.Suite) ([]figure, error) {
	r := &reports.Report{Suite: s.Name}
	for _, e := range s.Experiments {
		if len(e.Losses) == 0 {
			continue
		}
		r.Experiments = append(r.Experiments, reports.Experiment{
			Experiment: store.Experiment{ID: e.ID, Task: e.Task, Model: e.Model, Quantizer: e.Quantizer, Seed: e.Seed, Metric: e.Metric},
			Training:   e.Losses, Validations: e.Validations,
		})
		if !slices.ContainsFunc(r.Networks, func(n *reports.Network) bool {
			return n.Task == e.Task && n.Model == e.Model && n.Quantizer == e.Quantizer
		}) {
			r.Networks = append(r.Networks, &reports.Network{Task: e.Task, Model: e.Model, Quantizer: e.Quantizer, Metric: e.Metric})
		}
	}
	if len(r.Networks) == 0 {
		return nil, nil
	}
	// What is missing is not there yet. If it cannot be read, the row of the experiment says so.
	figures, _, err := drawn(r, "curves", "live-")
	if _, ok := errors.AsType[*plugins.Problem](err); ok {
		return nil, nil
	}
	return figures, err
}

func newExperiment(e live.Experiment) experiment {
	row := experiment{
		ID: e.ID, Task: plugins.Line(e.Task), Model: plugins.Line(e.Model), Quantizer: plugins.Line(e.Quantizer), Seed: e.Seed,
		Phase: string(e.Phase), Order: slices.Index(order, e.Phase),
		Share: share(e.Share()), Percent: percent(e.Share()), Steps: steps(e),
	}
	if len(e.Hosts) > 0 {
		row.Steps += ", on " + plugins.Line(strings.Join(e.Hosts, ", "))
	}
	if e.Reason != "" {
		row.Reasons = append(row.Reasons, plugins.Line(e.Reason))
	}
	for _, f := range e.Failures {
		row.Reasons = append(row.Reasons, plugins.Line(fmt.Sprintf("on %s: %s", f.Backend, f.Reason)))
	}
	number := func(known bool, value float64, text string) cell {
		if !known {
			return cell{Text: "–", Class: "number missing"}
		}
		return cell{Text: text, Class: "number", Value: decimal(value)}
	}
	var loss, best cell
	if e.Loss != nil && !e.Trained {
		loss = number(true, *e.Loss, fmt.Sprintf("%.3f", *e.Loss))
	} else {
		loss = number(false, 0, "")
	}
	if e.Best != nil {
		best = number(true, *e.Best, fmt.Sprintf("%.3f %s", *e.Best, e.Metric))
	} else {
		best = number(false, 0, "")
	}
	training := e.Phase == live.Training
	row.Figures = []cell{
		loss, best,
		number(training && e.SymbolsPerSecond() > 0, e.SymbolsPerSecond(), fmt.Sprintf("%.0f", e.SymbolsPerSecond())),
		number(training && e.Remaining > 0, e.Remaining.Seconds(), about(e.Remaining)),
	}
	return row
}

func steps(e live.Experiment) string {
	switch {
	case e.Phase == live.Deploying:
		return fmt.Sprintf("%d of %d backends", e.Deployed, e.Backends)
	case e.Trained:
		return fmt.Sprintf("%d steps", e.Step)
	case e.Steps == 0:
		return "–"
	}
	return fmt.Sprintf("step %d of %d", e.Step, e.Steps)
}

// summary says in a sentence how far a suite has come.
func summary(s live.Suite) string {
	text := fmt.Sprintf("%d of %d experiments done", s.Count(live.Done), len(s.Experiments))
	for _, part := range []struct {
		n    int
		name string
	}{
		{s.Count(live.Active...), "running"}, {s.Count(live.Queued), "queued"},
		{s.Count(live.Stopped), "stopped"}, {s.Count(live.Failed), "failed"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.name)
		}
	}
	if s.Remaining > 0 {
		text += ", " + about(s.Remaining) + " of training left"
	}
	return text + "."
}

// about is a duration as precise as an estimate is.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("about %d s", int(math.Ceil(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int(math.Round(d.Minutes())))
	case d < 48*time.Hour:
		return fmt.Sprintf("about %s h", strings.TrimSuffix(strconv.FormatFloat(d.Hours(), 'f', 1, 64), ".0"))
	}
	return fmt.Sprintf("about %.0f days", d.Hours()/24)
}

func share(f float64) string   { return strconv.FormatFloat(f, 'f', 4, 64) }
func percent(f float64) string { return fmt.Sprintf("%.0f %%", math.Floor(100*f)) }
func decimal(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
