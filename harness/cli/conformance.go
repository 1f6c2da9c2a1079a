package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"bittern/harness/internal/terminal"
	"bittern/internal/conformance"
	"bittern/internal/conformance/process"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/reports/table"
)

// testSettings are the flags of plugins test.
type testSettings struct {
	listSettings `mapstructure:",squash"`
	Options      []string `mapstructure:"options"`
}

func (p *program) testCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "test PATH|KIND/NAME", Short: "Hold a plugin against the contract and print every check with what was expected and seen",
		Long: `Test starts a plugin as training would and holds it against the contract: an
executable by its path, or any plugin at hand by its name. It prints a table of the
checks: passed, failed with what was expected and what was seen, skipped for what
the plugin has not, and refused for tasks or networks that it says it does not serve.
The exit code is 1 where a check failed, and 2 where the plugin cannot be tried at all.

Give a model options that make it small. An external plugin is trusted code: it runs
with all your rights, as any program that you start.`,
		Example: `  bittern plugins test ./bittern-quantizer-mine
  bittern plugins test quantizer/mine --plugins DIR --options levels=3 --options scale=row
  bittern plugins test model/lstm --options units=9 --format json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return plugins.Problemf("name one plugin or the path of one, as in: bittern plugins test quantizer/none")
			}
			return nil
		},
		ValidArgsFunction: p.completePlugin,
		RunE:              func(command *cobra.Command, args []string) error { return p.testPlugin(command, args[0]) },
	}
	command.Flags().StringArray("options", nil, "an option of the plugin, as in units=9; once for each option")
	return command
}

func (p *program) testPlugin(command *cobra.Command, named string) error {
	settings := testSettings{}
	if err := settle(command, &settings); err != nil {
		return err
	}
	if err := settings.check(); err != nil {
		return err
	}
	options, err := parseOptions(settings.Options)
	if err != nil {
		return err
	}
	ctx := command.Context()
	p.goOn = "run the same command again to start afresh"
	catalogue, id, err := p.pluginUnderTest(settings.pluginSettings, named)
	if err != nil {
		return err
	}
	description, err := catalogue.Describe(ctx, id, host.Settings{})
	if err != nil {
		return err
	}
	if options, _, err = host.ReadFiles(description.Options, options, ""); err != nil {
		return err
	}
	if _, err := plugins.Resolve(id.String(), description.Options, options); err != nil {
		return err
	}
	results, err := p.check(ctx, process.Groups(catalogue, id, options))
	if err != nil {
		return err
	}
	if err := p.writeResults(results, settings.listSettings); err != nil {
		return err
	}
	if slices.ContainsFunc(results, func(r conformance.Result) bool { return r.Outcome == conformance.Failed }) {
		return errFailed
	}
	return nil
}

// parseOptions parses pairs "name=value".
func parseOptions(pairs []string) (plugins.Values, error) {
	options := plugins.Values{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, plugins.Problemf("--options holds %q; write name=value, as in --options units=9, once for each option", pair)
		}
		if _, twice := options[name]; twice {
			return nil, plugins.Problemf("--options gives %q twice; give it one value", name)
		}
		options[name] = value
	}
	return options, nil
}

// pluginUnderTest returns the plugin that a path or a name stands for, and a catalogue that has
// it.
func (p *program) pluginUnderTest(settings pluginSettings, named string) (*host.Catalogue, plugins.ID, error) {
	info, err := os.Stat(named)
	if isFile := err == nil && !info.IsDir(); isFile {
		catalogue, id, err := executable(named)
		if err == nil {
			p.verbose(catalogue, settings)
		}
		return catalogue, id, err
	}
	catalogue, err := p.catalogue(settings)
	if err != nil {
		return nil, plugins.ID{}, err
	}
	kind, _, _ := strings.Cut(named, "/")
	if strings.ContainsAny(named, `/\`) && !slices.Contains(plugins.Kinds, plugins.Kind(kind)) {
		return nil, plugins.ID{}, plugins.Problemf("there is no file %s, and no kind of plugin %q; give the path of an executable, or KIND/NAME with one of the kinds %s, %s and %s",
			named, kind, plugins.Kinds[0], plugins.Kinds[1], plugins.Kinds[2])
	}
	ids, err := identify(catalogue, named)
	if err != nil {
		return nil, plugins.ID{}, err
	}
	if len(ids) > 1 {
		return nil, plugins.ID{}, plugins.Problemf("several plugins are named %q; say which, as in: bittern plugins test %s", named, ids[0])
	}
	return catalogue, ids[0], nil
}

// executable returns the plugin that the name of a file stands for, and a catalogue of the
// file's folder.
func executable(path string) (*host.Catalogue, plugins.ID, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, plugins.ID{}, fmt.Errorf("find the plugin: %w", err)
	}
	catalogue, err := host.NewCatalogue(nil, filepath.Dir(path))
	if err != nil {
		return nil, plugins.ID{}, err
	}
	entries, err := catalogue.List()
	if err != nil {
		return nil, plugins.ID{}, err
	}
	for _, e := range entries {
		if e.Path == path {
			return catalogue, e.ID, nil
		}
	}
	return nil, plugins.ID{}, plugins.Problemf("%s is not named as a plugin is; rename it bittern-KIND-NAME, where KIND is %s, %s or %s",
		path, plugins.Kinds[0], plugins.Kinds[1], plugins.Kinds[2])
}

// check runs the checks. If standard error is a terminal, it shows the progress.
func (p *program) check(ctx context.Context, groups []*conformance.Group) ([]conformance.Result, error) {
	total := 0
	for _, g := range groups {
		total += len(g.Checks)
	}
	var done, failed atomic.Int64
	stop := p.stderr.Show(func(columns int) []string {
		count := fmt.Sprintf("check %d of %d", done.Load(), total)
		return []string{terminal.Fit(columns, terminal.Part{Text: count}, terminal.Part{Text: fmt.Sprintf("%d failed", failed.Load()), Rank: 1})}
	})
	defer stop()
	var results []conformance.Result
	err := conformance.RunAll(ctx, groups, func(result conformance.Result) {
		results = append(results, result)
		done.Add(1)
		if result.Outcome == conformance.Failed {
			failed.Add(1)
		}
	})
	return results, err
}

func (p *program) writeResults(results []conformance.Result, settings listSettings) error {
	if settings.Format == formatJSON {
		return p.json(results)
	}
	write := table.Text
	if p.listFormat(settings) == formatTerminal {
		write = plugins.Line
	}
	counts := map[conformance.Outcome]int{}
	t := table.New("check", "outcome", "expected", "seen")
	t.Fold(0, 2, 3)
	for _, r := range results {
		counts[r.Outcome]++
		if err := t.Append(write(r.Check), string(r.Outcome), write(r.Expected), write(r.Seen)); err != nil {
			return err
		}
	}
	if err := p.writeTable(t, settings); err != nil {
		return err
	}
	var said []string
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		said = append(said, fmt.Sprintf("%d %s", counts[outcome], outcome))
	}
	_, err := fmt.Fprintf(p.stdout, "\n%d checks: %s\n", len(results), strings.Join(said, ", "))
	return err
}
