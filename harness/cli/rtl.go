package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/experiment"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// rtlSettings are the flags of backends rtl.
type rtlSettings struct {
	choice  `mapstructure:",squash"`
	Data    string `mapstructure:"data"`
	Check   bool   `mapstructure:"check"`
	Synth   string `mapstructure:"synth"`
	Windows int    `mapstructure:"windows"`
	Format  string `mapstructure:"format"`
}

// standardWindows is how many sequences are checked unless the user says.
const standardWindows = 2

func (p *program) rtlCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "rtl NAME [ID...]", Short: "Check a simulated machine against its SystemVerilog, or make gates of it",
		Long: `Rtl takes a backend whose machine is also written in SystemVerilog. With --check it runs
windows of the test part through a trained network in Verilator and compares every bit of the
states and outputs after each time step, and the cycles, with what the backend simulates. The
exit code is 1 where anything differs.

Name the network by its ID or the first digits of it, which "bittern export list" shows, or by
its suite and as many of its labels as tell it apart. It needs Verilator 5, g++ and make, which
are the Debian packages verilator, g++ and make. Compiling the machine of 100 units takes about a
minute.

With --synth LIBERTY, Yosys (Debian package yosys) makes gates of the columns for binary, ternary
and 12-bit weights, of the standard cells of that file, and a table has the area of their cells
and its ratios beside those published, without and with the weight memories, which the published
ones have in them. That needs no trained network.

Where networks are named, by IDs or by a suite, a second table has the power of the columns that
their recurrent weights run on: windows of the test part are played to the gates of units in
Verilator, which counts how often the output of each cell changes, and OpenSTA (Debian package
opensta) tells the power of each cell at that. Name a binary, a ternary and a full-precision
network to compare the three columns. What cannot be told is n/a with its reason.

The exit code is 2 where something has to be mended by you, such as a tool that is missing or a
file that is no liberty file.`,
		Example: `  bittern backends rtl asic-lowpower --check --suite demo --quantizer stochastic-ternary
  bittern backends rtl asic-lowpower 3f2a --check --windows 10 --data DIR --format json
  bittern backends rtl asic-lowpower --synth sg13g2_stdcell_typ_1p20V_25C.lib.gz
  bittern backends rtl asic-lowpower 3f2a 81c0 d77e --synth sg13g2_stdcell_typ_1p20V_25C.lib.gz
  bittern backends rtl asic-lowpower --synth cells.lib --suite demo --model lstm-128 --format json`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) < 1 {
				return plugins.Problemf("name one backend; see %s --help", command.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return p.withRTL(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			settings := rtlSettings{choice: choice{Runs: defaultRuns}, Windows: standardWindows, Format: formatMarkdown}
			if err := settle(command, &settings); err != nil {
				return err
			}
			return p.runRTL(command.Context(), args[0], args[1:], settings)
		},
	}
	flags := command.Flags()
	flags.Bool("check", false, "run windows in Verilator and compare every bit")
	flags.String("synth", "", "liberty file whose cells the columns are made of")
	flags.Int("windows", standardWindows, "sequences of the test part that are run")
	flags.String("format", formatMarkdown, formatMarkdown+" or "+formatJSON)
	offer(command, "format", formatMarkdown, formatJSON)
	choiceFlags(command)
	dataFlags(command)
	return command
}

// withRTL returns the names of the backends that have SystemVerilog.
func (p *program) withRTL() []string {
	var names []string
	for _, b := range p.builtins {
		if b.Backend == nil {
			continue
		}
		if _, ok := b.Backend().(backend.RTL); ok {
			names = append(names, b.Name)
		}
	}
	return names
}

// rtl makes the backend of this name. One without SystemVerilog is a *plugins.Problem.
func (p *program) rtl(name string) (backend.RTL, error) {
	for _, b := range p.builtins {
		if b.Kind != plugins.KindBackend || b.Name != name || b.Backend == nil {
			continue
		}
		if found, ok := b.Backend().(backend.RTL); ok {
			return found, nil
		}
		return nil, plugins.Problemf("the backend %s has no machine in SystemVerilog; those that have are %s", name, strings.Join(p.withRTL(), ", "))
	}
	return nil, plugins.Problemf("there is no built-in backend %q%s; those with a machine in SystemVerilog are %s", name, plugins.DidYouMean(name, p.withRTL()), strings.Join(p.withRTL(), ", "))
}

func (p *program) runRTL(ctx context.Context, name string, ids []string, settings rtlSettings) error {
	machine, err := p.rtl(name)
	if err != nil {
		return err
	}
	switch {
	case settings.Format != formatMarkdown && settings.Format != formatJSON:
		return plugins.Problemf("there is no format %q here; use %s or %s", settings.Format, formatMarkdown, formatJSON)
	case settings.Windows < 1:
		return plugins.Problemf("%d windows cannot be run; give at least 1", settings.Windows)
	case settings.Check == (settings.Synth != ""):
		return plugins.Problemf("say what to do with the machine: either --check, which compares it with the simulator, or --synth LIBERTY, which makes gates of its columns")
	case settings.Synth != "":
		return p.synthesizeRTL(ctx, machine, ids, settings)
	case len(ids) > 1:
		return plugins.Problemf("one network is checked at a time; name one ID")
	case len(ids) == 1:
		settings.id = ids[0]
	}
	of, t, err := settings.deploy(ctx, machine)
	if err != nil {
		return err
	}
	found, err := machine.CheckRTL(ctx, testBatches(t), settings.Windows)
	if err != nil {
		return err
	}
	if settings.Format == formatJSON {
		err = p.json(found)
	} else {
		_, err = fmt.Fprintf(p.stdout, "%s, %s: %s\n", name, title(of), found)
	}
	if err == nil && !found.Same() {
		err = errFailed
	}
	return err
}

// deploy puts the network of the one experiment that is chosen on a machine, and loads its
// task.
func (s rtlSettings) deploy(ctx context.Context, machine backend.RTL) (store.Experiment, task.Task, error) {
	of, n, err := s.network(ctx)
	if err != nil {
		return of, nil, err
	}
	t, err := experiment.LoadTask(ctx, of, &task.Loader{DataDir: s.Data})
	if err != nil {
		return of, nil, err
	}
	_, err = machine.Deploy(ctx, backend.Deploy{Network: n.Program, Weights: n.Weights})
	return of, t, err
}

// testBatches returns the batches of the test part. Each is valid until the next.
func testBatches(t task.Task) iter.Seq2[network.Batch, error] {
	return func(yield func(network.Batch, error) bool) {
		batches, batch := t.Evaluation(task.Test), t.Shape().Allocate()
		for i := range batches.Len() {
			if !yield(batch, batches.Fill(i, batch)) {
				return
			}
		}
	}
}
