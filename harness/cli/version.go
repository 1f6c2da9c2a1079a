package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"bittern/accel/kernels/isa"
	"bittern/harness/provenance"
	"bittern/plugins"
)

func (p *program) versionCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "version", Short: "Show version, commit, Go version and instruction set of this program", Args: noArguments,
		Example: `  bittern version
  bittern version --format json`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings, err := p.list(command)
			if err != nil {
				return err
			}
			b := provenance.CollectBuild(command.Context())
			if settings.Format == formatJSON {
				return p.json(struct {
					provenance.Build
					OS        string `json:"os"`
					Arch      string `json:"arch"`
					CPU       string `json:"cpu"`
					ISA       string `json:"isa"`
					PluginAPI int    `json:"plugin_api"`
				}{b, runtime.GOOS, runtime.GOARCH, isa.Features(), isa.Numbers(), plugins.APIVersion})
			}
			name := "bittern"
			if b.Version != "" {
				name += " " + b.Version
			}
			origin := b.Commit
			if b.Modified {
				origin += " with changes"
			}
			if b.Date != "" {
				origin += " of " + b.Date
			}
			_, err = fmt.Fprintf(p.stdout, "%s at commit %s, plugin contract %d, %s %s/%s, %s\n",
				name, origin, plugins.APIVersion, b.Go, runtime.GOOS, runtime.GOARCH, isa.Features())
			return err
		},
	}
	listFlags(command)
	return command
}
