package cli

import (
	"github.com/spf13/cobra"

	"bittern/harness/suite"
	"bittern/reports/table"
)

func (p *program) suitesCommand() *cobra.Command {
	keys := &cobra.Command{
		Use: "keys", Short: "List every key of a suite file: type, default, bounds, meaning, and the flag that replaces it", Args: noArguments,
		Example: `  bittern suites keys
  bittern suites keys --format json`,
		RunE: func(command *cobra.Command, _ []string) error { return p.listKeys(command) },
	}
	listFlags(keys)
	return group("suites", "Show what a suite file may say", keys)
}

// listedKey is a key of a suite file, with the environment variable of its flag.
type listedKey struct {
	suite.Key
	Variable string `json:"variable,omitempty"`
}

func (p *program) listKeys(command *cobra.Command) error {
	settings, err := p.list(command)
	if err != nil {
		return err
	}
	var all []listedKey
	for _, key := range suite.Keys() {
		listed := listedKey{Key: key}
		if key.Flag != "" {
			listed.Variable = variable(key.Flag)
		}
		all = append(all, listed)
	}
	if settings.Format == formatJSON {
		return p.json(all)
	}
	t := table.New("key", "of task", "type", "default", "allowed", "flag of run, variable", "meaning")
	t.Fold(4, 5, 6)
	t.Rank(1, 3)
	t.Rank(2, 1)
	t.Rank(3, 2)
	t.Rank(4, 4)
	t.Rank(5, 5)
	for _, key := range all {
		standard := key.Default
		if key.Required {
			standard = "required"
		}
		replaced := ""
		if key.Flag != "" {
			replaced = "--" + key.Flag + ", " + key.Variable
		}
		if err := t.Append(key.Name, key.Task, key.Type, standard, key.Allowed, replaced, key.Doc); err != nil {
			return err
		}
	}
	return p.writeTable(t, settings)
}
