package cli

import (
	"context"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/plugins"
	"bittern/reports"
)

func (p *program) reportCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "report --suite NAME|FILE", Short: "Print a suite's tables from the run store, without training", Args: noArguments,
		Long: `Report prints what the run store has of a suite: what its tasks, models and quantizers
are by now, where the suite comes with the program or its file is given, and else
everything that was ever run under its name; on the backends that it has asked for.
Seeds of the same settings make one row. Where settings differ, such as the length
of training, each has a row of its own, which says so.

Tables are fitted to a terminal: columns that have no room are left out, which is said,
and --wide shows all. Where the output is no terminal they are Markdown. Csv has a row
for each network on each backend with every figure, and json has everything.`,
		Example: `  bittern report --suite char-small
  bittern report --suite char-small --seeds 1,2 --backends cpu
  bittern report --suite char-small --columns quantizer,deployable,kb --sort kb
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
		err = p.writeReport(ctx, runs, name, settings, reports.Selection{
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

func (p *program) writeReport(ctx context.Context, runs *store.Store, name string, settings runSettings, selection reports.Selection) error {
	report, err := reports.Collect(ctx, runs, name, selection)
	if err != nil {
		return err
	}
	format, view := p.view(settings)
	return report.Write(p.stdout, format, view)
}

// view is how the settings and the terminal want a report.
func (p *program) view(settings runSettings) (reports.Format, reports.View) {
	width := terminalWidth(p.stdout)
	format := reports.Format(settings.Format)
	switch {
	case format == "" && width > 0:
		format = reports.Terminal
	case format == "":
		format = reports.Markdown
	}
	return format, reports.View{
		Columns: settings.Columns, Sort: settings.Sort, GroupBy: settings.GroupBy, Parts: settings.Parts, Wide: settings.Wide, Width: p.textWidth(),
		Color: width > 0 && colours(os.Getenv),
	}
}

// checkReport refuses an unknown format, or a column that there is not, before hours of
// training end in it.
func (s runSettings) checkReport() error {
	format := reports.Format(s.Format)
	shaped := s.Sort != "" || s.GroupBy != "" || s.Parts || s.Wide || len(s.Columns) > 0
	if shaped && (format == reports.JSON || format == reports.CSV) {
		return plugins.Problemf("--columns, --sort, --group-by, --parts and --wide shape the tables of markdown and terminal; leave them out with --format %s, which has everything", format)
	}
	if format == "" {
		format = reports.Markdown
	}
	view := reports.View{Columns: s.Columns, Sort: s.Sort, GroupBy: s.GroupBy}
	return (&reports.Report{}).Write(io.Discard, format, view)
}

// colours says whether the environment lets a terminal have colours: NO_COLOR forbids
// them with any value but the empty one (https://no-color.org).
func colours(environment func(string) string) bool {
	return environment("NO_COLOR") == "" && environment("TERM") != "dumb"
}
