package cli

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/dataset"
	"bittern/plugins"
	"bittern/reports/table"
)

func dataFlags(command *cobra.Command) {
	command.Flags().String("data", "", "folder of the data sets that are files")
}

func (p *program) dataCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the data sets: what each is, and whether it is there", Args: noArguments,
		Long: `List names every data set that Bittern knows. Its status says whether it is the
published data whole, a prefix of it, a stand-in for it, or generated. With --wide, and
where the output is no terminal, it says all: size, SHA-256, split, licence, and where its
publisher describes it. As JSON it also lists each file and where that is looked for.`,
		Example: `  bittern data list --data DIR
  bittern data list --wide --data DIR
  bittern data list --format json`,
		RunE: func(command *cobra.Command, _ []string) error { return p.listData(command) },
	}
	get := &cobra.Command{
		Use: "get NAME", Short: "Fetch a data set, check it and put it into the data folder",
		Long: `Get fetches the files of a data set from their canonical address into the folder
of --data, and goes on where an earlier download was cut off. A file appears there only
when it is whole and its content has the SHA-256 that Bittern knows.`,
		Example: `  bittern data get mnist --data DIR
  bittern data get text8 --data DIR --from https://mirror.example.org/data/`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return plugins.Problemf("name one data set, as in: bittern data get mnist --data DIR")
			}
			return nil
		},
		ValidArgsFunction: completeDataSet,
		RunE:              func(command *cobra.Command, args []string) error { return p.getData(command, args[0]) },
	}
	get.Flags().String("from", "", "address of a mirror that holds the files under their canonical names")
	verify := &cobra.Command{
		Use: "verify", Short: "Check every file in the data folder against its SHA-256", Args: noArguments,
		Long: `Verify reads every file in the folder of --data that belongs to a data set. The exit
code is 2 when one differs from what it must be.`,
		Example: `  bittern data verify --data DIR
  bittern data verify --data DIR --format json`,
		RunE: func(command *cobra.Command, _ []string) error { return p.verifyData(command) },
	}
	listFlags(list)
	listFlags(verify)
	for _, command := range []*cobra.Command{list, get, verify} {
		dataFlags(command)
	}
	return group("data", "Show, fetch and check the data sets", list, get, verify)
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
	t := table.New("data set", "shape", "status", "here", "what", "train / valid / test", "symbols or classes", "split", "bytes", "SHA-256", "licence", "described at", "note")
	t.AlignRight(6, 8)
	t.Fold(4, 7, 12)
	t.Rank(1, 8)
	for i, column := range []int{4, 10, 5, 7, 6, 12, 11, 9} {
		t.Rank(i+2, column)
	}
	for _, info := range all {
		note := info.Note
		if !info.Present {
			note = strings.TrimPrefix(note+"; "+info.Missing, "; ")
		}
		var sizes []string
		for _, n := range info.Parts {
			sizes = append(sizes, strconv.Itoa(n))
		}
		symbols, size := "", ""
		if info.Vocabulary > 0 {
			symbols = strconv.Itoa(info.Vocabulary)
		}
		if len(info.Sources) > 0 {
			size = strconv.FormatInt(contentBytes(info.Set), 10)
		}
		digest := info.SHA256
		if digest == "" && len(info.Sources) == 1 {
			digest = "git blob " + info.Sources[0].GitBlob
		}
		if err := t.Append(info.Name, string(info.Shape), string(info.Status), yesNo(info.Present), info.Summary, strings.Join(sizes, " / "), symbols,
			info.Split, size, digest, info.Licence, info.Described, note); err != nil {
			return err
		}
	}
	return p.writeTable(t, settings)
}

func contentBytes(set dataset.Set) (sum int64) {
	for _, source := range set.Sources {
		sum += source.Bytes
	}
	return sum
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (p *program) getData(command *cobra.Command, name string) error {
	var settings struct {
		Data string `mapstructure:"data"`
		From string `mapstructure:"from"`
	}
	if err := settle(command, &settings); err != nil {
		return err
	}
	p.goOn = "run the same command again to go on with what has arrived"
	shown := newDownloads(p.stderr)
	placed, err := dataset.Get(command.Context(), dataset.GetRequest{
		Name: name, DataDir: settings.Data, From: settings.From, Progress: shown.update,
	})
	shown.close()
	for _, path := range placed {
		if _, err := fmt.Fprintf(p.stdout, "placed %s\n", path); err != nil {
			return err
		}
	}
	if err == nil && len(placed) == 0 {
		_, err = fmt.Fprintf(p.stdout, "data set %s is in %s already, whole and checked\n", name, filepath.Clean(settings.Data))
	}
	return err
}

func (p *program) verifyData(command *cobra.Command) error {
	settings, err := p.list(command)
	if err != nil {
		return err
	}
	all, err := dataset.Verify(command.Context(), settings.Data)
	if err != nil {
		return err
	}
	if settings.Format == formatJSON {
		err = p.json(all)
	} else {
		t := table.New("data set", "state", "files")
		for _, v := range all {
			if err := t.Append(v.Name, string(v.State), fmt.Sprintf("%d of %d", v.Files, v.Of)); err != nil {
				return err
			}
		}
		err = p.writeTable(t, settings)
	}
	if err != nil {
		return err
	}
	var problems []string
	for _, v := range all {
		problems = append(problems, v.Problems...)
	}
	if len(problems) > 0 {
		return plugins.Problemf("what must be mended in %s, %d in all: %s", settings.Data, len(problems), strings.Join(problems, "; "))
	}
	return nil
}
