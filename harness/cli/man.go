package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"bittern/harness/provenance"
	"bittern/plugins"
)

func (p *program) manCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "man --dir DIR", Short: "Write the manual pages of all commands into a folder", Args: noArguments, Hidden: true,
		Long: `Man writes a page for each command, bittern-run.1 and so on, and makes the folder where
there is none. A page's date is that of the program's commit, so the same program writes
the same bytes.`,
		Example: `  bittern man --dir ~/.local/share/man/man1`,
		RunE: func(command *cobra.Command, _ []string) error {
			var settings struct {
				Dir string `mapstructure:"dir"`
			}
			if err := settle(command, &settings); err != nil {
				return err
			}
			if settings.Dir == "" {
				return plugins.Problemf("name the folder for the manual pages, as in: bittern man --dir ~/.local/share/man/man1")
			}
			return writeManual(command, settings.Dir)
		},
	}
	command.Flags().String("dir", "", "folder for the pages")
	if err := command.MarkFlagDirname("dir"); err != nil {
		panic(err) // the flag was added just now
	}
	return command
}

func writeManual(command *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return noManual(folder, err)
	}
	root := command.Root()
	root.DisableAutoGenTag = true // so that the pages are the same on every day
	header := &doc.GenManHeader{Section: "1", Manual: "Bittern", Source: "bittern"}
	build := provenance.CollectBuild(command.Context())
	if build.Version != "" {
		header.Source += " " + build.Version
	}
	if date, err := time.Parse(time.RFC3339, build.Date); err == nil {
		header.Date = &date
	}
	if err := doc.GenManTree(root, header, folder); err != nil {
		return noManual(folder, err)
	}
	return nil
}

func noManual(folder string, err error) error {
	return plugins.Problemf("the manual pages cannot be written into %s (%s); name another folder with --dir", folder, err)
}
