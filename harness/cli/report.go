package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/format"
)

// reportSettings are runSettings and the flags that only report has.
type reportSettings struct {
	runSettings `mapstructure:",squash"`
	Schema      bool `mapstructure:"schema"`
}

func (p *program) reportCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "report --suite NAME|FILE", Short: "Print a suite's tables from the run store, without training", Args: noArguments,
		Long: `Report prints what the run store has of a suite: what its tasks, models and quantizers
are by now, where the suite comes with the program or its file is given, and else
everything that was ever run under its name; on the backends that it has asked for.
Seeds of the same settings make one row. Where settings differ, such as the length
of training, each has a row of its own, which says so.

Tables are fitted to a terminal: columns that have no room are left out, which is said,
and --wide shows all. Where the output is no terminal they are Markdown.

The formats:
` + formatList(),
		Example: `  bittern report --suite char-small
  bittern report --suite char-small --seeds 1,2 --backends cpu
  bittern report --suite char-small --columns quantizer,deployable,kb --sort kb
  bittern report --suite char-small --format csv --runs DIR
  bittern report --suite char-small --output char-small.tex
  bittern report --suite char-small --format tensorboard --output curves
  bittern report --schema`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := reportSettings{runSettings: defaults()}
			if err := settle(command, &settings); err != nil {
				return err
			}
			if settings.Schema {
				_, err := io.WriteString(p.stdout, format.Schema)
				return err
			}
			return p.report(command.Context(), settings.runSettings)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	selectionFlags(command)
	command.Flags().Bool("schema", false, "print the JSON Schema of --format json, and nothing else")
	reportFlags(command)
	return command
}

// reportFlags adds the flags that say how a report is written.
func reportFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.String("format", "", strings.Join(format.Names(), ", ")+"; without it what the name of the --output ends in, else terminal on a terminal and markdown elsewhere")
	flags.String("output", "", "write the report to this file in place of standard output, or to this folder where the format is of several files")
	flags.StringSlice("columns", nil, "only these columns, in this order: "+strings.Join(reports.Columns(), ", "))
	flags.String("sort", "", "sort by a column; with - in front the largest first, as in --sort=-energy")
	flags.String("group-by", "", "a table for each "+strings.Join(reports.Groups, ", "))
	flags.Bool("parts", false, "tables of energy and memory by part too")
	flags.Bool("wide", false, "all columns, whatever they say and however narrow the terminal is")
}

// selectionFlags adds the flags that select a part of what the run store has of a suite.
func selectionFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringSlice("task", nil, "only these tasks, by the suite's labels")
	flags.StringSlice("seeds", nil, "only these seeds, as in 1,2,3")
	flags.Int("steps", 0, "only experiments that were trained for this many training steps, or were to be with run --steps")
	flags.StringSlice("backends", nil, "only these backends, by the suite's labels")
}

func (p *program) report(ctx context.Context, settings runSettings) error {
	if err := settings.check(); err != nil {
		return err
	}
	return withRecorded(ctx, settings, func(runs *store.Store, name string, selection reports.Selection) error {
		return p.writeReport(ctx, runs, name, settings, selection)
	})
}

// withRecorded opens the run store and calls do with it, the name of the suite, and what the
// flags select.
func withRecorded(ctx context.Context, settings runSettings, do func(runs *store.Store, suite string, selection reports.Selection) error) error {
	if err := settings.checkSuite(); err != nil {
		return err
	}
	runs, err := store.OpenExisting(ctx, settings.Runs)
	if err != nil {
		return err
	}
	name, entries, err := recorded(ctx, runs, settings)
	if err == nil {
		err = do(runs, name, reports.Selection{
			Entries: entries, Tasks: settings.Tasks, Seeds: settings.Seeds, Steps: settings.Steps, Backends: settings.Backends,
		})
	}
	if closing := runs.Close(); err == nil {
		err = closing
	}
	return err
}

// recorded finds the suite in the run store by its name, or by the name in its file. entries are
// the combinations that the suite lists; nil if there is no file and only the name is known.
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

// entriesOf returns the combinations of a suite, by their labels.
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
	chosen, err := settings.format(p.stdout.columns() > 0)
	if err != nil {
		return err
	}
	switch {
	case settings.Output == "":
		err = chosen.Stream(p.stdout, report, p.view(settings))
	case chosen.Folder != nil:
		err = writeFolder(settings.Output, func(folder *os.Root) error { return chosen.Folder(folder, report) })
	default:
		err = writeFile(settings.Output, func(file io.Writer) error { return chosen.Stream(file, report, p.view(settings)) })
	}
	if n := len(report.Unfinished); err == nil && n > 0 && !chosen.Shaped {
		fmt.Fprintf(p.stderr, "%d experiments or deployments of the suite %s have no result; --format markdown lists them\n", n, plugins.Line(name))
	}
	return err
}

// format returns the format of a report: the one that the user asked for, or that of the output
// file. Without either it depends on whether standard output is a terminal.
func (s runSettings) format(terminal bool) (format.Format, error) {
	switch {
	case s.Format != "":
		return format.Find(s.Format)
	case s.Output != "":
		return format.OfFile(s.Output)
	case terminal:
		return format.Find(format.Terminal)
	}
	return format.Find(format.Markdown)
}

// formatList describes each format in a line.
func formatList() string {
	var lines []string
	for _, f := range format.All() {
		lines = append(lines, fmt.Sprintf("  %-15s %s", f.Name, f.About))
	}
	return strings.Join(lines, "\n")
}

// view returns how the tables are written, as the settings and the terminal have it.
func (p *program) view(settings runSettings) reports.View {
	view := settings.view()
	view.Width = p.textWidth()
	view.Color = settings.Output == "" && p.stdout.columns() > 0 && colours(os.Getenv)
	return view
}

func (s runSettings) view() reports.View {
	return reports.View{Columns: s.Columns, Sort: s.Sort, GroupBy: s.GroupBy, Parts: s.Parts || s.hardware, Wide: s.Wide, Hardware: s.hardware}
}

// checkReport refuses, before hours of training, an unknown format or column, and an output that
// cannot be written.
func (s runSettings) checkReport() error {
	chosen, err := s.format(false)
	if err != nil {
		return err
	}
	if asked := s.Sort != "" || s.GroupBy != "" || s.Parts || s.Wide || len(s.Columns) > 0; asked && !chosen.Shaped {
		return plugins.Problemf("--columns, --sort, --group-by, --parts and --wide shape tables; leave them out with --format %s, which has everything", chosen.Name)
	}
	if err := s.view().Check(); err != nil {
		return err
	}
	switch {
	case chosen.Folder != nil && s.Output == "":
		return plugins.Problemf("a report in the format %s is several files; name a folder for them with --output", chosen.Name)
	case chosen.Folder != nil:
		return checkFolder(s.Output)
	case s.Output != "":
		return checkFile(s.Output)
	}
	return nil
}

// colours reports whether the environment allows colours on a terminal: a NO_COLOR that is not
// empty forbids them (https://no-color.org).
func colours(environment func(string) string) bool {
	return environment("NO_COLOR") == "" && environment("TERM") != "dumb"
}
