package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/reports"
)

func (p *program) runCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "run --suite NAME|FILE", Short: "Train and deploy every combination of a suite, and print its tables", Args: noArguments,
		Long: `Run trains every experiment of a suite that is not finished yet, deploys each on every
backend, and prints the tables. Whatever is finished is kept in the run store; a
run that was interrupted or killed goes on from the last checkpoint. A checkpoint
is written 5 s after the start, then after twice that time and so on until
checkpoint_every_seconds of the suite (60) lie between two, with every validation
and on Ctrl-C. Steps since the last one are lost by a kill and done again.

With --budget each experiment trains for about that long, validations and deployments
not counted: a short calibration finds how many steps those are, and the run store
keeps them, so a run that is resumed or repeated trains the same steps. What the whole
suite will take is told by "bittern plan".

The flags for seeds, threads, epochs, steps, arithmetic and bytes replace what the suite says;
everything else is set in its file, whose keys "bittern suites keys" lists.`,
		Example: `  bittern run --suite char-small --data DIR
  bittern run --suite paper --data DIR --budget 2m
  bittern run --suite mine.yaml --seeds 1,2,3 --epochs 2
  bittern run --suite mine.yaml --watch --open
  bittern run --suite paper --data DIR --workers 4
  bittern run --suite paper --data DIR --nats nats://host:4222
  bittern run --suite paper --data DIR --nats nats://host:4222 --same-machine-class
  BITTERN_DATA=DIR bittern run --suite char-small`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := defaults()
			if err := settle(command, &settings); err != nil {
				return err
			}
			var team struct {
				Workers  int    `mapstructure:"workers"`
				OneClass bool   `mapstructure:"same-machine-class"`
				Plan     string `mapstructure:"plan"`
			}
			if err := settle(command, &team); err != nil {
				return err
			}
			settings.workers, settings.oneClass, settings.plan = team.Workers, team.OneClass, team.Plan
			return p.runSuite(command.Context(), settings, nil)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	runFlags(command)
	command.Flags().Int("workers", 0, fmt.Sprintf("have this many worker processes on this machine run the experiments, at most %d", maxWorkers))
	command.Flags().Bool("same-machine-class", false, "with --nats or --workers: have all experiments run by machines with one processor and instruction set")
	command.Flags().String("plan", "", "with --nats or --workers: hand out the experiments by the times in this file of bittern plan --format json, the longest first")
	natsFlags(command)
	return command
}

// runSuite checks everything, then runs the suite and prints its tables. If introduce is not
// nil, it is called before the training.
func (p *program) runSuite(ctx context.Context, settings runSettings, introduce func([]*experiment.Spec) error) (err error) {
	s, catalogue, specs, err := p.experiments(ctx, settings)
	if err != nil {
		return err
	}
	if settings.untrained {
		specs = slices.CompactFunc(specs, sameButSeed)
	}
	server, err := p.server(ctx, settings, specs)
	if err != nil {
		return err
	}
	if server != nil {
		defer server.Close()
	}
	known, err := check(ctx, catalogue, settings, specs)
	if err != nil {
		return err
	}
	closePage, err := p.watchRun(ctx, settings, s)
	if err != nil {
		return err
	}
	defer func() {
		if closing := closePage(); err == nil {
			err = closing
		}
	}()
	machine := provenance.Collect(ctx)
	if training, err := someToTrain(ctx, settings, specs); err != nil {
		return err
	} else if training && !settings.untrained {
		if machine.Overhead, err = experiment.MeasureOverhead(ctx, catalogue); err != nil {
			return err
		}
	}
	runs, err := store.Open(ctx, settings.Runs)
	if err != nil {
		return err
	}
	defer func() {
		if closing := runs.Close(); err == nil {
			err = closing
		}
	}()
	var failures []schedule.Failure
	if settings.Budget > 0 && !settings.trained {
		forecaster := &experiment.Forecaster{Catalogue: catalogue, Deadline: settings.Deadline}
		specs, failures, err = schedule.ApplyBudget(ctx, forecaster, runs, specs, settings.Budget, func(line string) { fmt.Fprintln(p.stderr, line) })
		if err != nil {
			return err
		}
	}
	if settings.trained {
		if specs, err = p.trained(ctx, runs, s.Name, specs, settings.Budget); err != nil {
			return err
		}
	}
	if settings.Budget > 0 {
		if err := schedule.Distinct(specs); err != nil {
			return err
		}
	}
	if introduce != nil {
		if err := introduce(specs); err != nil {
			return err
		}
	}
	if settings.distributed() {
		failed, err := p.onWorkers(ctx, settings, s.Name, runs, specs, server, known)
		if failures = append(failures, failed...); err != nil {
			p.tell(failures)
			return err
		}
		specs, settings.Again = timed(specs, failed), false // the rest is for this machine, with nothing else under way
	}
	display := schedule.NewDisplay(p.stderr, known.work(specs), settings.Jobs)
	defer display.Close()
	runner := &experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(runs), Machine: machine,
		Deadline: settings.Deadline, Again: settings.Again, Untrained: settings.untrained, Log: display.Line, Verbose: settings.Verbose,
	}
	failed, err := schedule.Run(ctx, runs, runner, specs, settings.Jobs, display)
	display.Close()
	failures = append(failures, failed...)
	p.tell(failures)
	if err != nil {
		return err
	}
	err = p.writeReport(context.WithoutCancel(ctx), runs, s.Name, settings, reports.Selection{Entries: entriesOf(s)})
	if len(failures) == 0 {
		return err
	}
	if err != nil {
		fmt.Fprintln(p.stderr, oneLine(err.Error()))
	}
	return errFailed
}

// check refuses experiments that cannot be run, and returns what is known of them.
func check(ctx context.Context, catalogue *host.Catalogue, settings runSettings, specs []*experiment.Spec) (known effort, err error) {
	checker := experiment.Checker{Catalogue: catalogue, Deadline: settings.Deadline, Runs: settings.Runs, Again: settings.Again}
	defer func() { err = errors.Join(err, checker.Close()) }()
	planned := settings.plan != ""
	known = effort{make(map[string]experiment.Size), make(map[string]float64)}
	if planned {
		if known.long, err = plannedWork(settings.plan, specs); err != nil {
			return effort{}, err
		}
	}
	for _, spec := range specs {
		if err := checker.Check(ctx, spec); err != nil {
			return effort{}, err
		}
		size := checker.Size(ctx, spec)
		known.sizes[spec.String()] = size
		if !planned {
			known.long[spec.String()] = spec.Work(size).Steps
		}
	}
	return known, nil
}

// someToTrain reports whether an experiment will be trained. Only then is the harness's own cost
// measured.
func someToTrain(ctx context.Context, settings runSettings, specs []*experiment.Spec) (_ bool, err error) {
	if settings.Again {
		return true, nil
	}
	runs, err := existing(ctx, settings.Runs)
	if err != nil || runs == nil {
		return true, nil // opening it for writing, which is next, returns the error
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	for _, spec := range specs {
		_, done, err := trained(ctx, runs, spec, settings.Budget)
		if err != nil || !done {
			return true, err
		}
	}
	return false, nil
}

// experiments loads the suite that the settings name, and replaces its settings by those of the
// flags. It returns the suite, the catalogue of its plugins, and its experiments.
func (p *program) experiments(ctx context.Context, settings runSettings) (*suite.Suite, *host.Catalogue, []*experiment.Spec, error) {
	if err := settings.check(); err != nil {
		return nil, nil, nil, err
	}
	s, err := suite.Load(settings.Suite)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := s.Apply(suite.Override{
		Seeds: settings.Seeds, Threads: settings.Threads, Epochs: settings.Epochs, Steps: settings.Steps, Bytes: settings.Bytes,
		Arithmetic: settings.Arithmetic, Draws: settings.Draws, Calibration: settings.Calibration, Backends: settings.Backends,
	}); err != nil {
		return nil, nil, nil, err
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return nil, nil, nil, err
	}
	specs, err := schedule.Prepare(ctx, s, catalogue, settings.Data, settings.Tasks...)
	p.tellSlowProducts(specs)
	return s, catalogue, specs, err
}

// tell prints what failed and why, with the last lines that the plugins printed.
func (p *program) tell(failures []schedule.Failure) {
	for _, f := range failures {
		where := f.Spec.String()
		if f.Backend != "" {
			where += ", on " + f.Backend
		}
		fmt.Fprintf(p.stderr, "failed: %s: %s\n", where, f.Reason)
		for line := range strings.Lines(f.Stderr) {
			fmt.Fprintf(p.stderr, "    %s\n", strings.TrimRight(line, "\n"))
		}
	}
}
