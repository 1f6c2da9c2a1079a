package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/dataset"
	"bittern/reports/table"
)

func dataFlags(command *cobra.Command) {
	command.Flags().String("data", "", "folder of the corpora that are files")
}

func (p *program) dataCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the corpora, where each is looked for and whether it is there", Args: noArguments,
		Example: `  bittern data list --data DIR
  bittern data list --format json`,
		RunE: func(command *cobra.Command, _ []string) error { return p.listData(command) },
	}
	listFlags(list)
	dataFlags(list)
	return group("data", "Show the corpora at hand", list)
}

func (p *program) listData(command *cobra.Command) error {
	settings, err := p.list(command)
	if err != nil {
		return err
	}
	all := dataset.List(command.Context(), settings.Data)
	if settings.Format == formatJSON {
		return p.json(all)
	}
	t := table.New("corpus", "kind", "present", "what", "train / valid / test", "symbols", "split", "licence", "note")
	for _, s := range all {
		present, note := "yes", s.Note
		if !s.Present {
			present = "no"
			note = strings.TrimPrefix(note+"; "+s.Missing, "; ")
		}
		var sizes []string
		for _, n := range s.Parts {
			sizes = append(sizes, strconv.Itoa(n))
		}
		symbols := ""
		if s.Vocabulary > 0 {
			symbols = strconv.Itoa(s.Vocabulary)
		}
		if err := t.Append(s.Name, string(s.Kind), present, s.Summary, strings.Join(sizes, " / "), symbols, s.Split, s.Licence, note); err != nil {
			return err
		}
	}
	return t.Write(p.stdout)
}
