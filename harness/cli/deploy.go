package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/experiment"
	"bittern/harness/store"
	"bittern/plugins"
)

// deployCommand deploys trained networks again, on other backends or with other options.
func (p *program) deployCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "deploy --suite NAME|FILE", Short: "Freeze and deploy a suite's trained networks again, without training", Args: noArguments,
		Long: `Deploy takes the networks of a suite that are trained, freezes them as the suite or the
flags say, deploys each on the backends, and prints the table. It trains nothing.

A freeze draws the weights several times, gathers the normalization statistics
of each draw over training batches, and keeps the draw that validates best.
Another freeze replaces the figures of the one before.`,
		Example: `  bittern deploy --suite char-small --data DIR --backends cpu,asic-lowpower
  bittern deploy --suite char-small --data DIR --draws 24 --calibration 400 --format json`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := defaults()
			if err := settle(command, &settings); err != nil {
				return err
			}
			settings.trained = true
			return p.runSuite(command.Context(), settings, nil)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	experimentFlags(command)
	return command
}

// trained returns the experiments that are trained, and prints which are not.
func (p *program) trained(ctx context.Context, runs *store.Store, suite string, specs []*experiment.Spec, budget time.Duration) ([]*experiment.Spec, error) {
	var ready, left []*experiment.Spec
	for _, spec := range specs {
		_, done, err := trained(ctx, runs, spec, budget)
		if err != nil {
			return nil, err
		}
		if !done {
			left = append(left, spec)
			continue
		}
		ready = append(ready, spec)
	}
	if len(ready) == 0 {
		return nil, plugins.Problemf("no experiment of the suite %s is trained with these settings; train it first with bittern run", suite)
	}
	for _, spec := range left {
		fmt.Fprintf(p.stderr, "%s is not trained; it is left out\n", spec)
	}
	return ready, nil
}
