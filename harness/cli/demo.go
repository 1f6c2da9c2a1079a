package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bittern/harness/experiment"
	"bittern/harness/internal/runfolder"
	"bittern/plugins"
)

// demoSettings are runSettings and the flags that only demo has.
type demoSettings struct {
	runSettings `mapstructure:",squash"`
	Smallest    bool `mapstructure:"smallest"`
}

func (p *program) demoCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "demo", Short: "Train four small networks on real text, deploy each on three machines, print the table", Args: noArguments,
		Long: `Demo trains a small BN-LSTM on the Go standard library's own source with four
quantizers, deploys each on two simulated accelerators and on this CPU, and
prints the table. It keeps nothing unless --runs names a folder.`,
		Example: `  bittern demo
  bittern demo --steps 1000 --seeds 1,2,3
  bittern demo --smallest`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := demoSettings{runSettings: defaults()}
			settings.Runs, settings.Suite = "", "demo"
			if err := settle(command, &settings); err != nil {
				return err
			}
			if settings.Smallest {
				settings.Suite = "demo-smallest"
			}
			return p.demo(command, settings.runSettings)
		},
	}
	command.Flags().Bool("smallest", false, "seconds of training, to see that all parts work")
	command.Flags().String("runs", "", "folder of the run store; a temporary one where it is not given")
	runFlags(command)
	return command
}

func (p *program) demo(command *cobra.Command, settings runSettings) error {
	if settings.Runs != "" {
		return p.runSuite(command.Context(), settings, p.introduce)
	}
	p.goOn = "nothing was kept, which naming a folder with --runs would change"
	return p.temporaryRuns("bittern-demo-", func(runs string) error {
		settings.Runs = runs
		return p.runSuite(command.Context(), settings, p.introduce)
	})
}

// temporaryRuns has work done with a folder for a run store that is deleted afterwards. Its
// name begins with prefix.
func (p *program) temporaryRuns(prefix string, work func(runs string) error) (err error) {
	folder, remove, making := runfolder.Temporary(os.TempDir(), prefix)
	if making != nil {
		return plugins.Problemf("there is no place for temporary files (%s); let TMPDIR name a folder that can be written", making)
	}
	defer func() {
		if removing := remove(); err == nil {
			err = removing
		}
	}()
	return work(folder)
}

// introduce prints what the demo is trained on.
func (p *program) introduce(specs []*experiment.Spec) error {
	data := specs[0].Loaded.Data
	kind, note := "real", ""
	if data.Synthetic {
		kind = "SYNTHETIC"
	}
	if data.Note != "" {
		note = " (" + data.Note + ")"
	}
	_, err := fmt.Fprintf(p.stdout, "Data %s, %s%s: %s, split %s, SHA-256 %s\n\n", data.Name, kind, note, data.Summary, data.Split, data.SHA256)
	return err
}
