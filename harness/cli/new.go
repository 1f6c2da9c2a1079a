package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/scaffold"
	"bittern/plugins"
	"bittern/plugins/examples"
)

// newSettings are the flags of plugins new.
type newSettings struct {
	Language string `mapstructure:"lang"`
	Dir      string `mapstructure:"dir"`
	Source   string `mapstructure:"source"`
}

func (p *program) newCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "new KIND NAME", Short: "Write a plugin that works, to change into your own",
		Long: `New makes a folder with a whole plugin of the kind quantizer, model or backend: its source,
its test, and a suite that compares it with two that come with Bittern. It works as it is;
change it into yours. docs/authors.md in Bittern's source explains the rest.

A plugin in Go is a module of its own, whose go.mod replaces Bittern's module by the folder
of its source: the one that this bittern was built in, or the one that --source names. A
released bittern was built elsewhere, so name a checkout with --source. A plugin in Python
needs no source, and is a quantizer.`,
		Example: `  bittern plugins new quantizer mine
  bittern plugins new backend mine --dir plugins/mine
  bittern plugins new model mine --source ~/bittern
  bittern plugins new quantizer mine --lang python`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return plugins.Problemf("give a kind and a name, as in: bittern plugins new quantizer mine")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return strings.Fields(kinds(" ")), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			return p.newPlugin(command, plugins.ID{Kind: plugins.Kind(args[0]), Name: args[1]})
		},
	}
	command.Flags().String("lang", string(examples.Go), "go or python")
	command.Flags().String("dir", "", "folder to make (default: NAME)")
	command.Flags().String("source", "", "folder of Bittern's source (default: where this bittern was built)")
	offer(command, "lang", examples.Go, examples.Python)
	for _, flag := range []string{"dir", "source"} {
		if err := command.MarkFlagDirname(flag); err != nil {
			panic(err) // there is no such flag
		}
	}
	return command
}

// kinds lists the kinds of plugin.
func kinds(separator string) string {
	var names []string
	for _, kind := range plugins.Kinds {
		names = append(names, string(kind))
	}
	return strings.Join(names, separator)
}

func (p *program) newPlugin(command *cobra.Command, id plugins.ID) error {
	settings := newSettings{Language: string(examples.Go), Dir: id.Name}
	if err := settle(command, &settings); err != nil {
		return err
	}
	example, err := p.exampleFor(id, settings.Language)
	if err != nil {
		return err
	}
	source := ""
	if example.Language == examples.Go {
		if source, err = scaffold.Source(settings.Source); err != nil {
			return err
		}
	}
	files, err := scaffold.New(example, id, source)
	if err != nil {
		return err
	}
	if err := files.Write(settings.Dir); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s is in %s, with a README.md. It works as it is; try it with\n\n", id, settings.Dir)
	if err != nil {
		return err
	}
	commands, err := nextCommands(example.Language, id, settings.Dir)
	if err != nil {
		return err
	}
	for _, line := range commands {
		if _, err := fmt.Fprintln(p.stdout, "  "+line); err != nil {
			return err
		}
	}
	return nil
}

// exampleFor returns the example that a new plugin is copied from.
func (p *program) exampleFor(id plugins.ID, language string) (examples.Example, error) {
	var names []string
	for _, kind := range plugins.Kinds {
		names = append(names, string(kind))
	}
	if !slices.Contains(plugins.Kinds, id.Kind) {
		return examples.Example{}, plugins.Problemf("there is no kind of plugin %q%s; the kinds are %s", id.Kind, plugins.DidYouMean(string(id.Kind), names), kinds(", "))
	}
	if !plugins.ValidName(id.Name) {
		return examples.Example{}, plugins.Problemf("%q cannot be the name of a plugin; write lower-case letters and digits, and hyphens between words", id.Name)
	}
	if slices.ContainsFunc(p.builtins, func(b Builtin) bool { return b.ID == id }) {
		return examples.Example{}, plugins.Problemf("%s comes with Bittern, which would start that one in place of yours; choose another name", id)
	}
	known := []string{string(examples.Go), string(examples.Python)}
	if !slices.Contains(known, language) {
		return examples.Example{}, plugins.Problemf("there is no plugin in %q to start from%s; the languages are %s", language, plugins.DidYouMean(language, known), strings.Join(known, ", "))
	}
	for _, example := range examples.All {
		if example.Kind == id.Kind && string(example.Language) == language {
			return example, nil
		}
	}
	return examples.Example{}, plugins.Problemf("there is no %s in %s to start from, only a quantizer; leave --lang out, or make a quantizer", id.Kind, language)
}

// nextCommands returns commands that try a new plugin. A user can paste them into a shell, in
// this order.
func nextCommands(language examples.Language, id plugins.ID, folder string) ([]string, error) {
	enter := "cd " + shellWord(folder)
	if language == examples.Go {
		return []string{enter, "go test", "go build && go tool bittern run --suite " + scaffold.SuiteFile + " --plugins ."}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this executable: %w", err)
	}
	build, bittern := "", shellWord(self)
	if onPath, err := exec.LookPath("bittern"); err == nil && sameFile(onPath, self) {
		bittern = "bittern"
	} else if strings.HasPrefix(self, filepath.Join(os.TempDir(), "go-build")) { // go run removes this executable
		source, err := scaffold.Source("")
		if err != nil {
			return nil, err
		}
		build, bittern = `go build -C `+shellWord(source)+` -o "$PWD/bittern" && `, "./bittern"
	}
	return []string{enter, build + bittern + " plugins test " + id.Executable(), bittern + " run --suite " + scaffold.SuiteFile + " --plugins ."}, nil
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// shellWord quotes a path for a shell, if it must be quoted.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r) || r == filepath.Separator
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
