package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) estimateCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "estimate --suite NAME|FILE", Short: "Show what the networks of a suite cost on its backends, before anything is trained", Args: noArguments,
		Long: `Estimate makes each network of a suite with its starting weights, deploys it on each
backend, and prints the tables that compare prints of trained networks: cycles, latency,
throughput, energy, area and memory, of the whole network and of its recurrent layers
alone, and how far the backends' models are from machines with published figures.
Nothing is trained, scored or kept.

What a network costs on a simulated machine depends on its sizes and the formats of its
weights. So training changes these figures only where a backend makes use of the values
of weights, or where a quantizer chooses formats by them. Seeds change nothing: the
suite's first is taken.`,
		Example: `  bittern backends estimate --suite paper-hardware --data DIR
  bittern backends estimate --suite mine.yaml --backends asic-lowpower,mcu
  bittern backends estimate --suite paper-hardware --data DIR --task words --format csv`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := defaults()
			if err := settle(command, &settings); err != nil {
				return err
			}
			settings.untrained, settings.hardware = true, true
			p.goOn = "an estimate keeps nothing"
			return p.temporaryRuns("bittern-estimate-", func(runs string) error {
				settings.Runs = runs
				return p.runSuite(command.Context(), settings, nil)
			})
		},
	}
	suiteFlag(command)
	flags := command.Flags()
	flags.StringSlice("task", nil, "only these tasks, by the suite's labels")
	flags.StringSlice("backends", nil, "backends to deploy on in place of the suite's: its labels, or names of plugins")
	flags.Int("threads", 0, "workers of a model in place of the suite's")
	flags.Int("bytes", 0, "use only the first bytes of each text, for a quick look, which may have fewer symbols; 0 is all")
	flags.Int("jobs", defaults().Jobs, fmt.Sprintf("networks at a time, at most %d", maxJobs))
	flags.Duration("deadline", defaults().Deadline, "how long one call to a plugin may take before it counts as hung")
	dataFlags(command)
	pluginFlags(command)
	reportFlags(command)
	return command
}
