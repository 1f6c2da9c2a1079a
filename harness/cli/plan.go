package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/experiment"
	"bittern/harness/schedule"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports/table"
)

func (p *program) planCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "plan --suite NAME|FILE", Short: "Say what a suite will run, and what time, memory and disk it will take here", Args: noArguments,
		Long: `Plan lists the experiments of a suite, and what each will take on this machine: the
time of training, of scoring and freezing, and of deploying on all backends; memory at
most at a time; and disk. It trains nothing: a few training steps, one scored batch and a
few time steps on each backend tell. Seeds are calibrated once, and experiments that the
run store holds already are not calibrated: they take no time.

With --budget the run store keeps the steps that were found, and "bittern run" with the
same budget trains those. Without it nothing is written.

The times are for one experiment after the other (--jobs 1) on a machine that does
nothing else. A training with patience may end sooner. With --workers, plan also says how
long so many workers take, each on a machine like this one that does nothing else.`,
		Example: `  bittern plan --suite demo
  bittern plan --suite demo --workers 2,4,8
  bittern plan --suite paper --data DIR --budget 2m
  bittern plan --suite mine.yaml --format json`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := defaults()
			if err := settle(command, &settings); err != nil {
				return err
			}
			var teams struct {
				Workers []int `mapstructure:"workers"`
			}
			if err := settle(command, &teams); err != nil {
				return err
			}
			list, err := p.list(command)
			if err != nil {
				return err
			}
			return p.plan(command.Context(), settings, teams.Workers, list)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	command.Flags().IntSlice("workers", nil, "also say how long so many workers take, as in 2,4,8")
	suiteSettingFlags(command)
	listFlags(command)
	return command
}

// planned is a line of a plan: an experiment with all its seeds.
type planned struct {
	Task      string `json:"task"`
	Model     string `json:"model"`
	Quantizer string `json:"quantizer"`
	Seeds     int    `json:"seeds"`
	Done      int    `json:"done"` // seeds that the run store has trained

	// The rest is for one seed, and missing if all are done.
	Steps      int     `json:"steps,omitempty"`
	Epochs     float64 `json:"epochs,omitempty"`
	Step       float64 `json:"step_seconds,omitempty"`
	Training   float64 `json:"training_seconds,omitempty"`
	Scoring    float64 `json:"scoring_seconds,omitempty"`
	Deploying  float64 `json:"deploying_seconds,omitempty"`
	Timed      float64 `json:"timed_deploying_seconds,omitempty"` // of Deploying: on backends that time themselves
	Memory     *int64  `json:"memory_bytes,omitempty"`
	Disk       int64   `json:"disk_bytes,omitempty"`
	Impossible string  `json:"impossible,omitempty"` // why it cannot be run
}

// seconds returns the time of all seeds that are not done.
func (l planned) seconds() float64 {
	return float64(l.Seeds-l.Done) * (l.Training + l.Scoring + l.Deploying)
}

// plan is a plan as JSON.
type plan struct {
	Suite       string    `json:"suite"`
	Experiments []planned `json:"experiments"`
	Seconds     float64   `json:"seconds"`
	Memory      *int64    `json:"memory_bytes,omitempty"` // of the experiment that takes the most
	Disk        int64     `json:"disk_bytes"`
	Spread      *spread   `json:"spread,omitempty"`
}

func (p *program) plan(ctx context.Context, settings runSettings, workers []int, list listSettings) (err error) {
	if err := checkTeams(workers); err != nil {
		return err
	}
	settings.Format = defaults().Format // --format is that of a report, and a plan writes none
	s, catalogue, specs, err := p.experiments(ctx, settings)
	if err != nil {
		return err
	}
	open := existing
	if settings.Budget > 0 {
		open = store.Open
	}
	runs, err := open(ctx, settings.Runs)
	if err != nil {
		return err
	}
	if runs != nil {
		defer func() { err = errors.Join(err, runs.Close()) }()
	}
	order, err := orderOf(ctx, catalogue, settings, specs, len(workers) > 0)
	if err != nil {
		return err
	}
	forecaster := &experiment.Forecaster{Catalogue: catalogue, Deadline: settings.Deadline}
	out, lines := plan{Suite: s.Name}, map[string]planned{}
	for len(specs) > 0 {
		one := specs[0]
		line := planned{Task: one.Task.Label, Model: one.Model.Label, Quantizer: one.Quantizer.Label}
		budget := settings.Budget
		var left []*experiment.Spec // not done
		for len(specs) > 0 && sameButSeed(specs[0], one) {
			known, done, err := trained(ctx, runs, specs[0], settings.Budget)
			if err != nil {
				return err
			}
			line.Seeds++
			if done {
				line.Done++
			} else {
				left = append(left, specs[0])
			}
			if known {
				budget = 0 // the stored steps already limit the experiment
			}
			specs = specs[1:]
		}
		if line.Done < line.Seeds {
			fmt.Fprintf(p.stderr, "calibrating %s, %s, %s; %d to come\n", line.Task, line.Model, line.Quantizer, len(specs))
			if err := forecast(ctx, forecaster, runs, one, budget, &line); err != nil {
				return err
			}
		}
		out.add(line)
		for _, spec := range left {
			lines[spec.String()] = line
		}
	}
	if len(workers) > 0 {
		out.Spread = spreadOf(order, lines, workers)
	}
	if list.Format == formatJSON {
		return p.json(out)
	}
	return p.writePlan(out, list)
}

// sameButSeed reports whether two experiments differ only in their seed, so that a table has one
// row for both. They follow each other in a suite.
func sameButSeed(a, b *experiment.Spec) bool {
	return a.Task.Label == b.Task.Label && a.Model.Label == b.Model.Label && a.Quantizer.Label == b.Quantizer.Label
}

// existing opens the run store in a folder for reading. It returns nil if there is none.
func existing(ctx context.Context, folder string) (*store.Store, error) {
	if _, err := os.Stat(filepath.Join(folder, store.FileName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store.OpenExisting(ctx, folder)
}

// trained reports whether a run store has the steps of an experiment's budget (it then limits
// the experiment to these steps), and whether it has the experiment trained.
func trained(ctx context.Context, runs *store.Store, spec *experiment.Spec, budget time.Duration) (known, done bool, err error) {
	if runs == nil {
		return false, false, nil
	}
	if budget > 0 {
		err := schedule.ApplyKnownBudget(ctx, runs, spec, budget)
		if errors.Is(err, store.ErrNoBudget) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
	}
	row, err := spec.Row()
	if err != nil {
		return false, false, err
	}
	stored, err := runs.Experiment(ctx, row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return true, false, nil
	}
	return true, stored.Status == store.Done, err
}

// forecast computes what one seed of an experiment takes. If there is a budget, it stores how
// many steps fit into it. If a plugin fails or the budget is too short, only this experiment is
// marked as impossible.
func forecast(ctx context.Context, forecaster *experiment.Forecaster, runs *store.Store, spec *experiment.Spec, budget time.Duration, line *planned) error {
	f, err := forecaster.Forecast(ctx, spec, budget)
	if failure, ok := errors.AsType[*experiment.Failure](err); ok {
		line.Impossible = failure.Reason
		return nil
	}
	if err != nil {
		return err
	}
	if budget > 0 {
		err := schedule.KeepBudget(ctx, runs, spec, budget, f.Step)
		if problem, ok := errors.AsType[*plugins.Problem](err); ok {
			line.Impossible = problem.Sentence
			return nil
		}
		if err != nil {
			return err
		}
	}
	line.Steps, line.Epochs, line.Step = f.Steps, f.Epochs, f.Step.Seconds()
	line.Training, line.Scoring, line.Deploying = f.Training.Seconds(), f.Scoring.Seconds(), f.Deploying.Seconds()
	line.Timed, line.Memory, line.Disk = f.Timed.Seconds(), f.Memory, f.Disk
	return nil
}

func (o *plan) add(line planned) {
	o.Experiments = append(o.Experiments, line)
	o.Seconds += line.seconds()
	o.Disk += int64(line.Seeds-line.Done) * line.Disk
	if line.Memory != nil && (o.Memory == nil || *line.Memory > *o.Memory) {
		o.Memory = line.Memory
	}
}

func (p *program) writePlan(o plan, list listSettings) error {
	t := table.New("task", "model", "quantizer", "seeds", "steps", "epochs", "training", "scoring", "deploying", "memory MB", "disk MB")
	t.AlignRight(3, 4, 5, 6, 7, 8, 9, 10)
	for i, column := range []int{6, 3, 4, 9, 8, 7, 10, 5} { // training is left out last, epochs first
		t.Rank(i+1, column)
	}
	for _, line := range o.Experiments {
		seeds := strconv.Itoa(line.Seeds)
		if line.Done > 0 {
			seeds = fmt.Sprintf("%d, %d done", line.Seeds, line.Done)
		}
		cells := []string{line.Task, line.Model, line.Quantizer, seeds}
		switch {
		case line.Impossible != "":
			cells = append(cells, "n/a", "", "", "", "", "", "")
		case line.Done == line.Seeds:
			cells = append(cells, "done", "", "", "", "", "", "")
		default:
			cells = append(cells, strconv.Itoa(line.Steps), strconv.FormatFloat(line.Epochs, 'g', 3, 64),
				clock(line.Training), clock(line.Scoring), clock(line.Deploying), megabytes(line.Memory), megabytes(&line.Disk))
		}
		if err := t.Append(cells...); err != nil {
			return err
		}
	}
	if err := p.writeTable(t, list); err != nil {
		return err
	}
	var text strings.Builder
	for _, line := range o.Experiments {
		if line.Impossible != "" {
			fmt.Fprintf(&text, "\nn/a: %s, %s, %s: %s.\n", line.Task, line.Model, line.Quantizer, line.Impossible)
		}
	}
	fmt.Fprintf(&text, "\nAll of them, one after the other: %s, at most %s MB of memory at a time, %s MB on disk.\n", clock(o.Seconds), megabytes(o.Memory), megabytes(&o.Disk))
	fmt.Fprintf(&text, "Times are of one seed, on this machine when it does nothing else, from a short calibration.\n")
	if _, err := fmt.Fprint(p.stdout, text.String()); err != nil || o.Spread == nil {
		return err
	}
	return p.writeSpread(*o.Spread, list)
}

// clock writes a time for people.
func clock(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func megabytes(bytes *int64) string {
	if bytes == nil {
		return "n/a"
	}
	return strconv.FormatFloat(float64(*bytes)/1e6, 'f', 1, 64)
}
