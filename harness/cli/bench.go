package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/bench"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
)

// benchSettings are the flags of bench.
type benchSettings struct {
	pluginSettings `mapstructure:",squash"`

	Only     []string      `mapstructure:"only"`
	Check    bool          `mapstructure:"check"`
	Format   string        `mapstructure:"format"`
	Peers    string        `mapstructure:"peers"`
	Threads  int           `mapstructure:"threads"`
	Runs     int           `mapstructure:"runs"`
	PeerRuns int           `mapstructure:"peer-runs"`
	Deadline time.Duration `mapstructure:"deadline"`

	Arithmetic model.Arithmetic `mapstructure:"arithmetic"`
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
	d := benchSettings{Format: benchAll, Peers: "baselines/peers", Threads: 2, Runs: 9, PeerRuns: 3, Deadline: host.DefaultDeadline}
	command := &cobra.Command{
		Use: "bench", Short: "Time kernels, training steps and packed inference against the floor and the peers installed", Args: noArguments,
		Long: `Bench times matrix products, training steps through the plugin processes,
inference of packed networks and text scored by a simulated accelerator, in one
run with the floor (the step's matrix products alone) and with PyTorch and ONNX
Runtime where they are installed. It prints a table, and every time in Go's
benchmark format for benchstat.`,
		Example: `  bittern bench
  bittern bench --only inference,matrix --check
  bittern bench --format json > bench.json
  bittern bench --only training --arithmetic bfloat16
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
	flags.StringSlice("only", nil, "parts to run: "+strings.Join(bench.Groups(), ", "))
	flags.Bool("check", false, "exit with 1 when a goal is missed, and say which")
	flags.String("format", d.Format, strings.Join(benchFormats, ", "))
	flags.String("peers", d.Peers, "folder of the peers' scripts")
	flags.Int("threads", d.Threads, "workers of our kernels and threads of the peers in matrix products and training")
	flags.Int("runs", d.Runs, "counted runs of each thing")
	flags.Int("peer-runs", d.PeerRuns, "counted runs of a peer's training step")
	flags.Duration("deadline", d.Deadline, "how long one call to a plugin may take before it counts as hung")
	arithmeticFlag(command)
	pluginFlags(command)
	return command
}

func (s benchSettings) check() error {
	arithmetics := []model.Arithmetic{"", model.Float32, model.BFloat16}
	switch {
	case !slices.Contains(arithmetics, s.Arithmetic):
		return plugins.Problemf("--arithmetic must be %s or %s, not %q", model.Float32, model.BFloat16, s.Arithmetic)
	case !slices.Contains(benchFormats, s.Format):
		return plugins.Problemf("bench has no format %q%s; use one of %s", s.Format, plugins.DidYouMean(s.Format, benchFormats), strings.Join(benchFormats, ", "))
	case s.Threads < 1:
		return plugins.Problemf("--threads must be 1 or more, not %d", s.Threads)
	case s.Runs < 1 || s.PeerRuns < 1:
		return plugins.Problemf("--runs and --peer-runs must be 1 or more, not %d and %d", s.Runs, s.PeerRuns)
	}
	return bench.CheckGroups(s.Only)
}

func (p *program) bench(command *cobra.Command, settings benchSettings) error {
	if err := settings.check(); err != nil {
		return err
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return err
	}
	ctx := command.Context()
	b := &bench.Bench{
		Catalogue: catalogue, Deadline: settings.Deadline, Threads: settings.Threads, Arithmetic: settings.Arithmetic,
		Runs: settings.Runs, PeerRuns: settings.PeerRuns, Peers: bench.FindPeers(ctx, settings.Peers),
		Progress: func(line string) { fmt.Fprintln(p.stderr, "timed", line) },
	}
	result, err := b.Run(ctx, settings.Only)
	// After an error, what was timed before it is printed.
	return errors.Join(err, p.writeBench(result, settings))
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
