package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/bench"
	"bittern/internal/host"
	"bittern/plugins"
)

// benchSettings are the flags of bench.
type benchSettings struct {
	pluginSettings `mapstructure:",squash"`

	Only     []string      `mapstructure:"only"`
	Check    bool          `mapstructure:"check"`
	Save     string        `mapstructure:"save"`
	Format   string        `mapstructure:"format"`
	Data     string        `mapstructure:"data"`
	Peers    string        `mapstructure:"peers"`
	Threads  int           `mapstructure:"threads"`
	Lines    string        `mapstructure:"lines"`
	Runs     int           `mapstructure:"runs"`
	Deadline time.Duration `mapstructure:"deadline"`
}

// The formats of bench: the table with the benchmark lines below it, one of the two alone, or
// every figure as JSON.
const (
	benchAll   = "all"
	benchTable = "table"
	benchLines = "go"
	benchJSON  = "json"
)

var benchFormats = []string{benchAll, benchTable, benchLines, benchJSON}

func (p *program) benchCommand() *cobra.Command {
	d := benchSettings{Format: benchAll, Peers: "baselines/peers", Threads: 2, Runs: 9, Deadline: host.DefaultDeadline}
	command := &cobra.Command{
		Use: "bench", Short: "Measure kernels, training steps, packed inference, memory and start against the floor and the peers installed", Args: noArguments,
		Long: `Bench times matrix products, training steps through the plugin processes, with
products of float32 and of bfloat16, checkpoints beside them, inference of
packed networks and text scored by a simulated accelerator, in turn with the
floor (the step's matrix products alone) and with PyTorch and ONNX Runtime where
they are installed. It also measures the memory of a training and how long the
program takes to start, for which it needs the data of ptb-char and warpeace
(--data). It prints a table, and every value in Go's benchmark format for
benchstat.

A goal is reached or missed if the whole confidence interval is; where the runs
cannot tell, the outcome is ~. Each class of processors has its own goals; on a
processor of no class nothing is judged.

With --save a page for this class of processors, and the same as JSON, are
written into a folder. If the folder has them already, the parts that were not
measured now are kept, so that a long bench can be made in parts.

With --lines only those lines are measured whose names match: more rounds of one
line may tell what the whole bench could not.`,
		Example: `  bittern bench
  bittern bench --only inference,matrix --check
  bittern bench --only training --save reports/results/bench --data DIR
  bittern bench --format json > bench.json
  bittern bench --only training,bfloat16
  bittern bench --lines mnist-100 --runs 60
  BITTERN_ISA=avx2 bittern bench --only matrix`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := d
			if err := settle(command, &settings); err != nil {
				return err
			}
			return p.bench(command, settings)
		},
	}
	flags := command.Flags()
	flags.StringSlice("only", nil, "parts to run: "+strings.Join(bench.Parts(), ", "))
	flags.Bool("check", false, "exit with 1 if a goal is missed, its whole interval beyond the bound, and say which")
	flags.String("save", "", "folder for the page and JSON of this class of processors; the parts that it has and that are not measured now are kept")
	flags.String("format", d.Format, strings.Join(benchFormats, ", "))
	flags.String("peers", d.Peers, "folder of the peers' scripts")
	flags.Int("threads", d.Threads, "workers of our kernels and threads of the peers in matrix products and training")
	flags.String("lines", "", "regular expression that the names of the lines to measure match")
	flags.Int("runs", d.Runs, "counted rounds; an interval needs 6 or more")
	flags.Duration("deadline", d.Deadline, "how long one call to a plugin may take before it counts as hung")
	dataFlags(command)
	pluginFlags(command)
	offer(command, "format", benchFormats...)
	if err := errors.Join(
		command.RegisterFlagCompletionFunc("only", severally(fixedValues(bench.Parts()))),
		command.MarkFlagDirname("save"), command.MarkFlagDirname("peers"),
	); err != nil {
		panic(err) // there is no such flag
	}
	return command
}

func (s benchSettings) check() error {
	switch {
	case !slices.Contains(benchFormats, s.Format):
		return plugins.Problemf("bench has no format %q%s; use one of %s", s.Format, plugins.DidYouMean(s.Format, benchFormats), strings.Join(benchFormats, ", "))
	case s.Threads < 1:
		return plugins.Problemf("--threads must be 1 or more, not %d", s.Threads)
	case s.Runs < 1:
		return plugins.Problemf("--runs must be 1 or more, not %d", s.Runs)
	case s.Lines != "" && s.Save != "":
		return plugins.Problemf("--save keeps whole parts of the bench, and --lines measures less; leave one of them out")
	}
	return bench.CheckParts(s.Only)
}

func (p *program) bench(command *cobra.Command, settings benchSettings) error {
	if err := settings.check(); err != nil {
		return err
	}
	lines, err := regexp.Compile(settings.Lines) // an empty one matches all
	if err != nil {
		return plugins.Problemf("--lines is no regular expression: %v", err)
	}
	var saved *bench.Result
	if settings.Save != "" { // read first, since a mistake should not be told after a long bench
		if saved, err = bench.Saved(settings.Save); err != nil {
			return err
		}
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return err
	}
	ctx := command.Context()
	b := &bench.Bench{
		Catalogue: catalogue, Deadline: settings.Deadline, Data: settings.Data, Threads: settings.Threads,
		Runs: settings.Runs, Lines: lines, Peers: bench.FindPeers(ctx, settings.Peers),
		Progress: func(line string) { fmt.Fprintln(p.stderr, "timed", line) },
	}
	p.goOn = "the parts that were finished are printed, and kept with --save"
	result, err := b.Run(ctx, settings.Only)
	if err == nil && len(result.Parts) == 0 {
		return plugins.Problemf("no line of these parts has a name that matches %s; a bench without --lines prints all names", settings.Lines)
	}
	// After an error, the parts that were finished before it are printed and saved.
	printing := p.writeBench(result, settings)
	return errors.Join(err, p.saveBench(result, saved, settings.Save), printing)
}

// saveBench saves the result with the parts that were saved before and that it lacks.
func (p *program) saveBench(result, saved *bench.Result, folder string) error {
	if folder == "" || len(result.Parts) == 0 {
		return nil
	}
	if saved != nil {
		result.Merge(saved)
	}
	page, err := result.Save(folder)
	if err == nil {
		fmt.Fprintln(p.stderr, "saved", page)
	}
	return err
}

func (p *program) writeBench(result *bench.Result, settings benchSettings) error {
	var err error
	switch settings.Format {
	case benchJSON:
		err = result.WriteJSON(p.stdout)
	case benchTable:
		err = result.WriteTable(p.stdout)
	case benchLines:
		err = result.WriteBenchmark(p.stdout)
	case benchAll:
		err = result.WriteTable(p.stdout)
		if err == nil {
			_, err = fmt.Fprintln(p.stdout)
		}
		if err == nil {
			err = result.WriteBenchmark(p.stdout)
		}
	}
	if err != nil || !settings.Check {
		return err
	}
	misses := result.Misses()
	for _, miss := range misses {
		fmt.Fprintln(p.stderr, "missed:", miss)
	}
	if len(misses) > 0 {
		return errFailed
	}
	return nil
}
