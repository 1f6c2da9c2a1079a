// Package cli is Bittern's command line.
//
// Results are written to standard output; progress, warnings and errors to standard error. The
// exit code is 0 if all went well, 1 if an experiment or deployment failed or the program has a
// fault, 2 if the user made a mistake, and 130 after an interrupt.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"bittern/accel/kernels/isa"
	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/terminal"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// Builtin is a plugin in this executable. Serve is called in the plugin's own process, and does
// not return while the plugin is used. Describe describes the plugin, in any process.
type Builtin struct {
	plugins.ID
	Serve    func()
	Describe func(context.Context) (plugins.Description, error)
	// Backend makes the plugin in this process. It is nil if the plugin is no backend.
	Backend func() backend.Backend
}

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitProblem     = 2
	exitInterrupted = 130 // 128 + SIGINT, as in a shell
)

// errFailed ends a command after its failures were printed.
var errFailed = errors.New("a part of the suite failed")

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// Run runs the command line and returns the exit code.
func Run(args []string, stdout, stderr io.Writer, builtins []Builtin) int {
	messages := terminal.New(stderr)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		if _, ok := <-signals; ok {
			signal.Stop(signals) // a second signal ends the program at once
			fmt.Fprintln(messages, "stopping as soon as everything is saved; press Ctrl-C again to stop at once")
			cancel(errInterrupted)
		}
	}()
	p := &program{
		stdout: output{stdout}, stderr: messages, builtins: builtins,
		goOn: "run the same command again to go on from the last checkpoint",
	}
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) {
		err = context.Cause(ctx)
	}
	return p.exitCode(err)
}

// output is standard output. A full disk behind it is a *plugins.Problem.
type output struct{ io.Writer }

func (o output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	return n, diskfault.Explain(err, "standard output")
}

// columns returns the columns of the terminal, or 0 if standard output is not one.
func (o output) columns() int {
	file, ok := o.Writer.(*os.File)
	if !ok {
		return 0
	}
	columns, _ := terminal.Size(file)
	return columns
}

// program has what every command needs.
type program struct {
	stdout   output
	stderr   *terminal.Writer
	builtins []Builtin
	goOn     string // what to do after an interrupt, for the user
}

func (p *program) exitCode(err error) int {
	var problem *plugins.Problem
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(p.stderr, "interrupted; "+p.goOn)
		return exitInterrupted
	case errors.As(err, &problem):
		fmt.Fprintln(p.stderr, oneLine(problem.Sentence))
		return exitProblem
	}
	fmt.Fprintln(p.stderr, oneLine(err.Error()))
	return exitFailed
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bittern",
		Short: "Benchmark quantized recurrent networks: accuracy, memory and energy from one run",
		Long: `Bittern trains every task × model × quantizer × seed of a suite, deploys each
result on every backend, and prints accuracy, memory and energy next to the
numbers that papers published.

Every flag can be set by the environment too: --data by BITTERN_DATA, and so on.`,
		Example: `  bittern demo
  bittern run --suite char-small --data DIR
  bittern report --suite char-small --format json
  bittern plugins list`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return command.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if err := isa.Check(); err != nil {
				return plugins.Problemf("%s", err)
			}
			return nil
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(flagProblem)
	root.AddCommand(
		p.demoCommand(), p.planCommand(), p.runCommand(), p.deployCommand(), p.reportCommand(), p.plotCommand(), p.watchCommand(), p.exportCommand(), p.benchCommand(),
		p.workerCommand(), p.workersCommand(),
		p.suitesCommand(), p.tasksCommand(), p.pluginsCommand(), p.backendsCommand(), p.dataCommand(), p.versionCommand(), p.manCommand(), p.pluginCommand(),
	)
	p.complete(root)
	return root
}

// noArguments returns an error if there are arguments. For an unknown command it names the
// nearest one.
func noArguments(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !command.HasAvailableSubCommands() {
		return plugins.Problemf("%s takes no argument, but %q was given; see %s --help", command.CommandPath(), args[0], command.CommandPath())
	}
	var names []string
	for _, sub := range command.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return plugins.Problemf("there is no command %q%s; see %s --help", args[0], plugins.DidYouMean(args[0], names), command.CommandPath())
}

// group returns a command that only has other commands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	g.AddCommand(commands...)
	return g
}
