package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/plugins"
	"bittern/reports"
)

func (p *program) reportCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "report --suite NAME|FILE", Short: "Print a suite's table from the run store, without training", Args: noArguments,
		Long: `Report prints what the run store has of a suite: what its tasks, models and quantizers
are by now, where the suite comes with the program or its file is given, and else
everything that was ever run under its name; on the backends that it has asked for.
Seeds of the same settings make one row. Where settings differ, such as the length
of training, each has a row of its own, which says so.`,
		Example: `  bittern report --suite char-small
  bittern report --suite char-small --seeds 1,2 --backends cpu
  bittern report --suite char-small --format csv --runs DIR`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := defaults()
			if err := settle(command, &settings); err != nil {
				return err
			}
			return p.report(command.Context(), settings)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	flags := command.Flags()
	flags.StringSlice("seeds", nil, "only these seeds, as in 1,2,3")
	flags.Int("steps", 0, "only experiments that were trained for this many training steps, or were to be with run --steps")
	flags.StringSlice("backends", nil, "only these backends, by the suite's labels")
	reportFlags(command)
	return command
}

func (p *program) report(ctx context.Context, settings runSettings) error {
	if err := settings.check(); err != nil {
		return err
	}
	runs, err := store.OpenExisting(ctx, settings.Runs)
	if err != nil {
		return err
	}
	name, entries, err := recorded(ctx, runs, settings)
	if err == nil {
		err = p.writeReport(ctx, runs, name, settings.Format, reports.Selection{
			Entries: entries, Seeds: settings.Seeds, Steps: settings.Steps, Backends: settings.Backends,
		})
	}
	if closing := runs.Close(); err == nil {
		err = closing
	}
	return err
}

// recorded finds the suite in the run store by its name, or by the name that
// its file gives it. Entries are what the suite lists; nil where it is known by its
// name alone.
func recorded(ctx context.Context, runs *store.Store, settings runSettings) (name string, entries []reports.Entry, err error) {
	names, err := runs.Suites(ctx)
	if err != nil {
		return "", nil, err
	}
	s, err := suite.Load(settings.Suite)
	switch {
	case err == nil && slices.Contains(names, s.Name) && (s.Name == settings.Suite || !slices.Contains(names, settings.Suite)):
		return s.Name, entriesOf(s), nil
	case slices.Contains(names, settings.Suite):
		return settings.Suite, nil, nil
	case err != nil:
		return "", nil, err
	}
	return "", nil, plugins.Problemf("the suite %s was never run into %s; run it first, or name another folder with --runs", s.Name, settings.Runs)
}

// entriesOf is what a suite lists, by labels.
func entriesOf(s *suite.Suite) []reports.Entry {
	entries := []reports.Entry{}
	for _, c := range s.Combinations() {
		entries = append(entries, reports.Entry{Task: c.Task.Label, Model: c.Model.Label, Quantizer: c.Quantizer.Label})
	}
	return entries
}

func (p *program) writeReport(ctx context.Context, runs *store.Store, name, format string, selection reports.Selection) error {
	report, err := reports.Collect(ctx, runs, name, selection)
	if err != nil {
		return err
	}
	return report.Write(p.stdout, reports.Format(format))
}
