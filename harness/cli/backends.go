package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bittern/harness/store"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/reports"
	"bittern/reports/table"
)

func (p *program) backendsCommand() *cobra.Command {
	return group("backends", "Show what the figures of hardware backends are made of, compare networks on them, and check machines against their hardware description",
		p.explainCommand(), p.estimateCommand(), p.compareCommand(), p.rtlCommand())
}

func (p *program) explainCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "explain NAME", Short: "Show the model of a backend: every constant with its source, the formulas, and how far they are off",
		Long: `Explain prints what a backend computes its figures from: each constant with its unit,
the technology it is for and its source, the formulas, and the calibration: what was
published of machines, what the model says of them without any fitted constant
(bottom-up) and with the constants that were fitted, and the error of each. Machines that
took no part in the fit say how far the model carries.

An option that is a file, such as a design, is given by its path.`,
		Example: `  bittern backends explain asic-lowpower
  bittern backends explain asic --options design=chip.yaml --options calibration=none
  bittern backends explain cpu --format json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return plugins.Problemf("name one backend, as in: bittern backends explain asic-lowpower")
			}
			return nil
		},
		ValidArgsFunction: p.completeBackend,
		RunE:              func(command *cobra.Command, args []string) error { return p.explain(command, args[0]) },
	}
	listFlags(command)
	pluginFlags(command)
	command.Flags().StringArray("options", nil, "an option of the backend, as in design=chip.yaml; once for each option")
	return command
}

// completeBackend offers the names of the backends that can be started.
func (p *program) completeBackend(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	settings, err := p.list(command)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	entries, err := catalogue.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, e := range entries {
		if e.Kind == plugins.KindBackend && e.HiddenBy == "" && e.Problem == "" {
			names = append(names, e.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *program) explain(command *cobra.Command, name string) error {
	settings := testSettings{listSettings: listSettings{Format: formatMarkdown}}
	if err := settle(command, &settings); err != nil {
		return err
	}
	if err := settings.check(); err != nil {
		return err
	}
	given, err := parseOptions(settings.Options)
	if err != nil {
		return err
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return err
	}
	explanation, err := explanationOf(command.Context(), catalogue, name, given)
	if err != nil {
		return err
	}
	if settings.Format == formatJSON {
		return p.json(explanation)
	}
	return p.writeExplanation(explanation)
}

// explanationOf starts a backend and asks for its explanation. Paths in its options are relative
// to the working directory.
func explanationOf(ctx context.Context, catalogue *host.Catalogue, name string, given plugins.Values) (_ backend.Explanation, err error) {
	process, err := catalogue.Backend(ctx, name, host.Settings{})
	if err != nil {
		return backend.Explanation{}, err
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	options, paths, err := host.ReadFiles(process.Description().Options, given, "")
	if err != nil {
		return backend.Explanation{}, err
	}
	explanation, err := process.Explain(ctx, options)
	return explanation, host.InFile(paths, err)
}

func (p *program) writeExplanation(e backend.Explanation) error {
	type section struct {
		heading string
		table   *table.Table
		rows    [][]string
	}
	sections := []section{
		{heading: "Constants", table: table.New("constant", "value", "unit", "for", "source")},
		{heading: "Formulas", table: table.New("quantity", "is")},
		{heading: "Calibration", table: table.New("machine", "quantity", "published", "bottom-up", "error", "fitted", "error", "in the fit", "source of the published")},
	}
	for _, c := range e.Constants {
		sections[0].rows = append(sections[0].rows, []string{c.Name, reports.Significant(c.Value), c.Unit, c.Node, c.Source})
	}
	for _, f := range e.Formulas {
		sections[1].rows = append(sections[1].rows, []string{f.Quantity, f.Expression})
	}
	for _, r := range e.Calibration {
		part := "no"
		if r.InFit {
			part = "yes"
		}
		sections[2].rows = append(sections[2].rows, []string{
			r.Machine, r.Quantity + " " + r.Unit, reports.Significant(r.Published), reports.Significant(r.BottomUp), reports.Deviation(r.BottomUp, r.Published),
			reports.Significant(r.Fitted), reports.Deviation(r.Fitted, r.Published), part, r.Source,
		})
	}
	for _, s := range sections {
		if len(s.rows) == 0 {
			continue
		}
		fmt.Fprintf(p.stdout, "## %s\n\n", s.heading)
		for _, row := range s.rows {
			if err := s.table.Append(row...); err != nil {
				return err
			}
		}
		if err := s.table.Write(p.stdout); err != nil {
			return err
		}
		fmt.Fprintln(p.stdout)
	}
	for _, note := range e.Notes {
		fmt.Fprintf(p.stdout, "- %s\n", note)
	}
	return nil
}

func (p *program) compareCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "compare --suite NAME|FILE", Short: "Show each trained network of a suite on each of its backends, without training", Args: noArguments,
		Long: `Compare prints the hardware tables of a report alone: of each trained network on each
backend its score as that machine computes it, cycles, latency, throughput, energy of a
time step and of a sequence; the same of the recurrent layers alone, as papers count;
energy, area and memory by part; and how far the backends' models are from
machines with published figures. × is against the full-precision network on the same
backend. It reads the run store; backends that a network was not deployed on yet,
"bittern deploy --backends" adds, and "bittern backends estimate" needs no training.`,
		Example: `  bittern backends compare --suite char-small
  bittern backends compare --suite char-small --group-by backend --format csv`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := reportSettings{runSettings: defaults()}
			if err := settle(command, &settings); err != nil {
				return err
			}
			settings.hardware = true
			if err := settings.runSettings.check(); err != nil {
				return err
			}
			return withRecorded(command.Context(), settings.runSettings, func(runs *store.Store, name string, selection reports.Selection) error {
				return p.writeReport(command.Context(), runs, name, settings.runSettings, selection)
			})
		},
	}
	suiteFlag(command)
	runsFlag(command)
	selectionFlags(command)
	reportFlags(command)
	return command
}
