package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/task"
	"bittern/plugins"
	"bittern/reports/table"
)

func (p *program) tasksCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the tasks: what each learns, of which data, and its options", Args: noArguments,
		Long: `List names every task that a suite can learn. Its options are keys of a suite's
entry, whose types, bounds and meanings bittern suites keys lists too. Data is what an
entry reads that names none; data of your own are given by the options listed beside it.`,
		Example: `  bittern tasks list
  bittern tasks list --format json`,
		RunE: func(command *cobra.Command, _ []string) error { return p.listTasks(command) },
	}
	listFlags(list)
	return group("tasks", "Show what can be learnt", list)
}

// listedTask is a line of the list of tasks.
type listedTask struct {
	Name    string           `json:"name"`
	Summary string           `json:"summary"`
	Shape   string           `json:"data_shape,omitempty"`
	Data    string           `json:"data,omitempty"`
	Files   []string         `json:"files,omitempty"`
	Options []plugins.Option `json:"options"`
}

func (p *program) listTasks(command *cobra.Command) error {
	settings, err := p.list(command)
	if err != nil {
		return err
	}
	all := []listedTask{}
	t := table.New("task", "what is learnt", "data", "of shape", "data of your own", "options")
	t.Fold(1, 4, 5)
	t.Rank(1, 2)
	t.Rank(2, 5)
	t.Rank(3, 4)
	t.Rank(4, 3)
	for _, d := range task.Definitions() {
		all = append(all, listedTask{d.Name, d.Summary, string(d.Shape), d.Data, d.Files, d.Options})
		if err := t.Append(d.Name, d.Summary, d.Data, string(d.Shape), strings.Join(d.Files, ", "), strings.Join(d.OptionNames(), ", ")); err != nil {
			return err
		}
	}
	if settings.Format == formatJSON {
		return p.json(all)
	}
	return p.writeTable(t, settings)
}
