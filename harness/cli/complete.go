package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bittern/harness/dataset"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/format"
)

// offer completes the values of a flag that only some commands have, or that has special values
// in this command. Flags with the same values in every command are in complete.
func offer[T ~string](command *cobra.Command, flag string, values ...T) {
	var texts []string
	for _, v := range values {
		texts = append(texts, string(v))
	}
	if err := command.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(texts, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
}

// complete completes the values of flags, by their names, in a command and all below it; see
// also offer. Completion starts no plugin: it offers what is known without.
func (p *program) complete(command *cobra.Command) {
	values := map[string]cobra.CompletionFunc{
		"suite":    p.completeSuite,
		"backends": severally(p.backendLabels),
		"columns":  severally(fixedValues(reports.Columns())),
		"sort":     cobra.FixedCompletions(sortable(), cobra.ShellCompDirectiveNoFileComp),
		"group-by": cobra.FixedCompletions(reports.Groups, cobra.ShellCompDirectiveNoFileComp),
		"format":   cobra.FixedCompletions(formatsOf(command), cobra.ShellCompDirectiveNoFileComp),
		"options":  p.completeOption,
	}
	folders := []string{"data", "plugins", "runs"}
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		var err error
		_, offered := command.GetFlagCompletionFunc(flag.Name)
		switch number := strings.HasPrefix(flag.Value.Type(), "int"); {
		case number, offered: // of bench, --runs is a number
		case values[flag.Name] != nil:
			err = command.RegisterFlagCompletionFunc(flag.Name, values[flag.Name])
		case slices.Contains(folders, flag.Name):
			err = command.MarkFlagDirname(flag.Name)
		}
		if err != nil {
			panic(err) // VisitAll has named the flag, and it had no completion
		}
	})
	for _, below := range command.Commands() {
		p.complete(below)
	}
}

// formatsOf returns the formats that a command can print.
func formatsOf(command *cobra.Command) []string {
	if command.Flags().Lookup("columns") == nil {
		return listFormats
	}
	var names []string
	for _, f := range format.All() {
		names = append(names, cobra.CompletionWithDesc(f.Name, f.About))
	}
	return names
}

// sortable returns the values of --sort: each column, and with "-" in front to put the largest
// first.
func sortable() []string {
	var values []string
	for _, column := range reports.Columns() {
		values = append(values, column, "-"+column)
	}
	return values
}

// finder finds the values for one part of a flag's list.
type finder func(command *cobra.Command, args []string, part string) []string

func fixedValues(values []string) finder {
	return func(*cobra.Command, []string, string) []string { return values }
}

// severally completes the last part of a list with commas. It leaves out what the parts before
// it have.
func severally(values finder) cobra.CompletionFunc {
	return func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		at := strings.LastIndex(typed, ",") + 1
		before, part := typed[:at], typed[at:]
		var found []string
		for _, value := range values(command, args, part) {
			if strings.HasPrefix(value, part) && !slices.Contains(strings.Split(before, ","), value) {
				found = append(found, before+value)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeSuite offers the suites that come with the program. To commands that only read the run
// store, and so need no data, it offers the suites in it too. The shell adds files.
func (p *program) completeSuite(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	names := suite.Names()
	if command.Flags().Lookup("data") == nil {
		for _, name := range p.stored(command) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	names = beginning(names, typed)
	for i, name := range names {
		if s, err := suite.Load(name); err == nil && s.Summary != "" {
			names[i] = cobra.CompletionWithDesc(name, s.Summary)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}

// beginning returns the names that begin with what was typed.
func beginning(names []string, typed string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, typed) })
}

// stored lists the suites of the run store that a command's flags name. If the store cannot be
// read, there are none.
func (p *program) stored(command *cobra.Command) []string {
	settings := defaults()
	if err := settle(command, &settings); err != nil {
		return nil
	}
	runs, err := existing(command.Context(), settings.Runs)
	if err != nil || runs == nil {
		return nil
	}
	defer func() { _ = runs.Close() }() // nothing was written
	names, err := runs.Suites(command.Context())
	if err != nil {
		return nil
	}
	return names
}

// backendLabels returns the labels of the suite's backends and, if the command can replace
// these, the names of backend plugins.
func (p *program) backendLabels(command *cobra.Command, _ []string, _ string) []string {
	settings := defaults()
	if err := settle(command, &settings); err != nil {
		return nil
	}
	var labels []string
	if s, err := suite.Load(settings.Suite); err == nil {
		for _, backend := range s.Backends {
			labels = append(labels, backend.Label)
		}
	} else if runs, err := existing(command.Context(), settings.Runs); err == nil && runs != nil {
		labels = storedBackends(command.Context(), runs, settings.Suite)
		_ = runs.Close() // nothing was written
	}
	if command.Flags().Lookup("plugins") == nil {
		return labels
	}
	for _, id := range p.pluginsAtHand(command) {
		if id.Kind == plugins.KindBackend && !slices.Contains(labels, id.Name) {
			labels = append(labels, id.Name)
		}
	}
	return labels
}

// storedBackends returns the labels of the backends on which the run store has networks of a
// suite.
func storedBackends(ctx context.Context, runs *store.Store, name string) []string {
	experiments, err := runs.Experiments(ctx, name)
	if err != nil {
		return nil
	}
	var labels []string
	for _, e := range experiments {
		deployments, err := runs.Deployments(ctx, e.ID)
		if err != nil {
			return labels
		}
		for _, d := range deployments {
			if !slices.Contains(labels, d.Backend) {
				labels = append(labels, d.Backend)
			}
		}
	}
	return labels
}

// pluginsAtHand returns the plugins that can be started. If their folder cannot be read, there
// are none.
func (p *program) pluginsAtHand(command *cobra.Command) []plugins.ID {
	var settings pluginSettings
	if err := settle(command, &settings); err != nil {
		return nil
	}
	catalogue, err := p.catalogue(settings)
	if err != nil {
		return nil
	}
	entries, err := catalogue.List()
	if err != nil {
		return nil
	}
	var ids []plugins.ID
	for _, e := range entries {
		if e.HiddenBy == "" && e.Problem == "" {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// completePlugin offers the plugins that can be started, by kind and name. The shell adds files.
func (p *program) completePlugin(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, id := range p.pluginsAtHand(command) {
		name := id.String()
		if !strings.HasPrefix(name, typed) {
			continue
		}
		if d, err := p.describeBuiltin(command.Context(), id); err == nil {
			name = cobra.CompletionWithDesc(name, d.Summary)
		}
		names = append(names, name)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// completeOption offers an option of the plugin that the arguments name, or a value of it. After
// a name that ends in "=", the shell adds no space.
func (p *program) completeOption(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	found := beginning(p.pluginOptions(command, args, typed), typed)
	if slices.ContainsFunc(found, func(value string) bool { return strings.HasSuffix(value, "=") }) {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return found, directive
}

// pluginOptions returns the options of the plugin that the first argument names, or the values
// of the option that is being typed. It has none of an external plugin, which would have to be
// started.
func (p *program) pluginOptions(command *cobra.Command, args []string, part string) []string {
	if len(args) == 0 {
		return nil
	}
	catalogue, err := p.catalogue(pluginSettings{})
	if err != nil {
		return nil
	}
	ids, err := identify(catalogue, args[0])
	if err != nil {
		return nil
	}
	var values []string
	for _, id := range ids {
		d, err := p.describeBuiltin(command.Context(), id)
		if err != nil {
			continue
		}
		for _, o := range d.Options {
			name := o.Name + "="
			if !strings.HasPrefix(part, name) {
				values = append(values, name)
				continue
			}
			choices := o.Choices
			if o.Type == plugins.Bool {
				choices = []string{"true", "false"}
			}
			for _, choice := range choices {
				values = append(values, name+choice)
			}
		}
	}
	return values
}

// completeDataSet offers the names of data sets.
func completeDataSet(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginning(dataset.Names(), typed), cobra.ShellCompDirectiveNoFileComp
}
