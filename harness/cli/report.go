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
		Example: `  bittern report --suite char-small
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
	name, err := recorded(ctx, runs, settings)
	if err == nil {
		err = p.writeReport(ctx, runs, name, settings.Format)
	}
	if closing := runs.Close(); err == nil {
		err = closing
	}
	return err
}

// recorded finds the suite in the run store by its name, or by the name that
// its file gives it.
func recorded(ctx context.Context, runs *store.Store, settings runSettings) (string, error) {
	names, err := runs.Suites(ctx)
	if err != nil || slices.Contains(names, settings.Suite) {
		return settings.Suite, err
	}
	s, err := suite.Load(settings.Suite)
	if err != nil {
		return "", err
	}
	if !slices.Contains(names, s.Name) {
		return "", plugins.Problemf("the suite %s was never run into %s; run it first, or name another folder with --runs", s.Name, settings.Runs)
	}
	return s.Name, nil
}

func (p *program) writeReport(ctx context.Context, runs *store.Store, name, format string) error {
	report, err := reports.Collect(ctx, runs, name)
	if err != nil {
		return err
	}
	return report.Write(p.stdout, reports.Format(format))
}
