package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bittern/internal/host"
	"bittern/plugins"
	"bittern/reports/table"
)

// pluginSettings are the flags that say where external plugins are.
type pluginSettings struct {
	Plugins string `mapstructure:"plugins"`
	OnPath  bool   `mapstructure:"plugins-on-path"`
	Verbose bool   `mapstructure:"verbose"`
}

func (p *program) catalogue(settings pluginSettings) (*host.Catalogue, error) {
	ids := make([]plugins.ID, len(p.builtins))
	for i, b := range p.builtins {
		ids[i] = b.ID
	}
	catalogue, err := host.NewCatalogue(ids, settings.Plugins)
	if err != nil {
		return nil, err
	}
	catalogue.DescribeInProcess(p.describeBuiltin)
	p.verbose(catalogue, settings)
	if settings.OnPath {
		catalogue.SearchPath()
	}
	return catalogue, nil
}

// verbose prints what plugins print, if the user asked for it. This is for plugins that are
// started outside of experiments; the runner prints what those of experiments do.
func (p *program) verbose(catalogue *host.Catalogue, settings pluginSettings) {
	if settings.Verbose {
		catalogue.LogOutput(func(id plugins.ID) io.Writer {
			return host.Lines(func(line string) { fmt.Fprintf(p.stderr, "%s: %s\n", id, line) })
		})
	}
}

func pluginFlags(command *cobra.Command) {
	command.Flags().String("plugins", "", "folder of external plugins, executables named bittern-KIND-NAME")
	command.Flags().Bool("plugins-on-path", false, "look for external plugins on PATH too, after the folder")
	command.Flags().Bool("verbose", false, "show what plugins print, line by line, on standard error")
}

func (p *program) pluginsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the quantizers, models and backends at hand", Args: noArguments,
		Long: `List shows every plugin and where it is. It starts none: what an external one says
of itself, "bittern plugins describe NAME" asks it.`,
		Example: `  bittern plugins list
  bittern plugins list --wide
  bittern plugins list --format json --plugins DIR`,
		RunE: func(command *cobra.Command, _ []string) error { return p.listPlugins(command) },
	}
	describe := &cobra.Command{
		Use: "describe NAME", Short: "Show what a plugin says of itself: version, options with their bounds, facts",
		Long: `Describe asks the plugin of that name what it is; one that is not built in it starts
for that, and no other. An external plugin is trusted code: it runs with all your
rights, as any program that you start. It sees few environment variables: PATH, HOME, TMPDIR, the
language, BITTERN_*, and in a suite those that its entry names.`,
		Example: `  bittern plugins describe lstm
  bittern plugins describe quantizer/none --format json`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return plugins.Problemf("name one plugin, as in: bittern plugins describe lstm")
			}
			return nil
		},
		ValidArgsFunction: p.completePlugin,
		RunE:              func(command *cobra.Command, args []string) error { return p.describePlugin(command, args[0]) },
	}
	test := p.testCommand()
	for _, command := range []*cobra.Command{list, describe, test} {
		listFlags(command)
		pluginFlags(command)
	}
	return group("plugins", "Show the plugins at hand, test them, and start new ones", list, describe, test, p.newCommand())
}

// listed is a line of the list: where a plugin is and, if it is built in, its description.
type listed struct {
	host.Entry
	Description *plugins.Description `json:"description,omitempty"`
}

func (p *program) listPlugins(command *cobra.Command) error {
	settings, err := p.list(command)
	if err != nil {
		return err
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return err
	}
	entries, err := catalogue.List()
	if err != nil {
		return err
	}
	var all []listed
	for _, entry := range entries {
		l := listed{Entry: entry}
		if entry.Builtin {
			description, err := catalogue.Describe(command.Context(), entry.ID, host.Settings{})
			if err != nil {
				return err
			}
			l.Description = &description
		}
		all = append(all, l)
	}
	if settings.Format == formatJSON {
		return p.json(all)
	}
	t := table.New("kind", "name", "version", "summary", "options", "where")
	t.Fold(3, 4)
	t.Rank(1, 2)
	t.Rank(2, 5)
	t.Rank(3, 4)
	for _, l := range all {
		version, summary, options := "", l.Problem, ""
		if l.HiddenBy != "" {
			summary = "hidden by " + l.HiddenBy
		}
		if l.Description != nil {
			version, summary = l.Description.Version, l.Description.Summary
			var names []string
			for _, o := range l.Description.Options {
				names = append(names, o.Name)
			}
			options = strings.Join(names, ", ")
		}
		where := l.Path
		if l.Builtin {
			where = "built in"
		}
		if err := t.Append(string(l.Kind), l.Name, version, summary, options, where); err != nil {
			return err
		}
	}
	return p.writeTable(t, settings)
}

// describeBuiltin describes a built-in plugin without starting a process.
func (p *program) describeBuiltin(ctx context.Context, id plugins.ID) (plugins.Description, error) {
	for _, b := range p.builtins {
		if b.ID == id {
			return b.Describe(ctx)
		}
	}
	return plugins.Description{}, fmt.Errorf("there is no built-in plugin %s", id)
}

func (p *program) describePlugin(command *cobra.Command, name string) error {
	settings, err := p.list(command)
	if err != nil {
		return err
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return err
	}
	ids, err := identify(catalogue, name)
	if err != nil {
		return err
	}
	var descriptions []plugins.Description
	for _, id := range ids {
		d, err := catalogue.Describe(command.Context(), id, host.Settings{})
		if err != nil {
			return err
		}
		descriptions = append(descriptions, d)
	}
	if settings.Format == formatJSON {
		return p.json(descriptions)
	}
	for i, d := range descriptions {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if err := p.writeDescription(d, settings); err != nil {
			return err
		}
		if err := p.writeOrigin(command.Context(), catalogue, ids[i]); err != nil {
			return err
		}
	}
	return nil
}

// writeOrigin prints the file and checksum of an external plugin.
func (p *program) writeOrigin(ctx context.Context, catalogue *host.Catalogue, id plugins.ID) error {
	entry, err := catalogue.Find(id)
	if err != nil || entry.Builtin {
		return err
	}
	sum, err := catalogue.Checksum(ctx, id)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "\nExecutable %s, SHA-256 %s. It is trusted code: it runs with all your rights.\n", entry.Path, sum)
	return err
}

// identify finds the plugins that "kind/name" or a name alone stands for. Plugins of several
// kinds may have the same name.
func identify(catalogue *host.Catalogue, text string) ([]plugins.ID, error) {
	if kind, name, ok := strings.Cut(text, "/"); ok {
		return []plugins.ID{{Kind: plugins.Kind(kind), Name: name}}, nil
	}
	entries, err := catalogue.List()
	if err != nil {
		return nil, err
	}
	var ids []plugins.ID
	var names []string
	for _, e := range entries {
		if e.Name == text && !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
		names = append(names, e.Name)
	}
	if len(ids) == 0 {
		return nil, plugins.Problemf("there is no plugin named %q%s; `bittern plugins list` shows them all%s", text, plugins.DidYouMean(text, names), catalogue.Hint("", text))
	}
	return ids, nil
}

func (p *program) writeDescription(d plugins.Description, settings listSettings) error {
	if err := p.writeParagraph(fmt.Sprintf("%s/%s %s — %s", d.Kind, d.Name, d.Version, d.Summary), settings); err != nil {
		return err
	}
	if len(d.Options) > 0 {
		fmt.Fprintln(p.stdout)
		t := table.New("option", "type", "default", "allowed", "meaning")
		t.Fold(3, 4)
		t.Rank(1, 1)
		for _, o := range d.Options {
			if err := t.Append(o.Name, string(o.Type), o.Default, allowed(o), o.Doc); err != nil {
				return err
			}
		}
		if err := p.writeTable(t, settings); err != nil {
			return err
		}
	}
	if len(d.Facts) > 0 {
		fmt.Fprintln(p.stdout)
		t := table.New("fact", "value", "source")
		t.Fold(0, 1, 2)
		for _, f := range d.Facts {
			if err := t.Append(f.Name, f.Value, f.Source); err != nil {
				return err
			}
		}
		return p.writeTable(t, settings)
	}
	return nil
}

func allowed(o plugins.Option) string {
	number := o.Type == plugins.Int || o.Type == plugins.Float
	switch {
	case o.Type == plugins.File && len(o.Choices) > 0:
		return strings.Join(o.Choices, ", ") + ", or a file's path"
	case len(o.Choices) > 0:
		return strings.Join(o.Choices, ", ")
	case o.Type == plugins.Bool:
		return "true, false"
	case number && o.Min <= o.Max:
		return strconv.FormatFloat(o.Min, 'g', -1, 64) + " to " + strconv.FormatFloat(o.Max, 'g', -1, 64)
	}
	return "any"
}

// pluginCommand serves a built-in plugin. The host starts this executable with it.
func (p *program) pluginCommand() *cobra.Command {
	return &cobra.Command{
		Use: "plugin KIND/NAME", Short: "Serve a built-in plugin to the program that starts it", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, b := range p.builtins {
				if b.ID.String() == args[0] {
					b.Serve()
					return nil
				}
			}
			return errors.New("there is no built-in plugin " + args[0])
		},
	}
}
