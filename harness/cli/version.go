package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"bittern/harness/provenance"
	"bittern/plugins"
)

func (p *program) versionCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "version", Short: "Show the commit, Go version and instruction set of this program", Args: noArguments,
		Example: `  bittern version --format json`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings, err := p.list(command)
			if err != nil {
				return err
			}
			m := provenance.Collect(command.Context())
			if settings.Format == formatJSON {
				return p.json(struct {
					provenance.Machine
					PluginAPI int `json:"plugin_api"`
				}{m, plugins.APIVersion})
			}
			changed := ""
			if m.Modified {
				changed = " with changes"
			}
			_, err = fmt.Fprintf(p.stdout, "bittern at commit %s%s, plugin contract %d, %s %s/%s, %s\n",
				m.Commit, changed, plugins.APIVersion, m.Go, m.OS, m.Arch, m.CPU)
			return err
		},
	}
	listFlags(command)
	return command
}
