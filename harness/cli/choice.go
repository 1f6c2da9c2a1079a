package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/artifact"
	"bittern/harness/store"
	"bittern/plugins"
)

// choice selects experiments of a run store: those whose IDs begin with id, or those of a suite
// that have the given labels. Empty fields select everything.
type choice struct {
	Runs      string  `mapstructure:"runs"`
	Suite     string  `mapstructure:"suite"`
	Task      string  `mapstructure:"task"`
	Model     string  `mapstructure:"model"`
	Quantizer string  `mapstructure:"quantizer"`
	Seed      *uint64 `mapstructure:"seed"`

	id string
}

func choiceFlags(command *cobra.Command) {
	runsFlag(command)
	suiteFlag(command)
	flags := command.Flags()
	for _, l := range labels {
		flags.String(l.name, "", "only the "+l.name+" with this label")
		err := command.RegisterFlagCompletionFunc(l.name, func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completions(command, l.of), cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			panic(err) // there is no such flag
		}
	}
	flags.Uint64("seed", 0, "only the experiment with this seed")
}

// labels are the labels that a choice can ask for, by the names of their flags.
var labels = []struct {
	name  string
	of    func(store.Experiment) string
	asked func(choice) string
}{
	{"task", func(e store.Experiment) string { return e.Task }, func(c choice) string { return c.Task }},
	{"model", func(e store.Experiment) string { return e.Model }, func(c choice) string { return c.Model }},
	{"quantizer", func(e store.Experiment) string { return e.Quantizer }, func(c choice) string { return c.Quantizer }},
}

// completions returns a label of each finished experiment that the run store and the suite of
// the flags have. If the store cannot be read, there are none.
func completions(command *cobra.Command, of func(store.Experiment) string) []string {
	c := choice{Runs: defaultRuns}
	if err := settle(command, &c); err != nil {
		return nil
	}
	c.Task, c.Model, c.Quantizer = "", "", ""
	found, err := c.experiments(command.Context())
	if err != nil {
		return nil
	}
	var offered []string
	for _, e := range found {
		if text := of(e); finished(e) == nil && !slices.Contains(offered, text) {
			offered = append(offered, text)
		}
	}
	return offered
}

// experiments returns the selected experiments, which may be none.
func (c choice) experiments(ctx context.Context) (_ []store.Experiment, err error) {
	runs, err := store.OpenExisting(ctx, c.Runs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	return c.of(ctx, runs)
}

func (c choice) of(ctx context.Context, runs *store.Store) ([]store.Experiment, error) {
	var found []store.Experiment
	var err error
	if c.Suite == "" {
		found, err = runs.Matching(ctx, c.id)
	} else {
		var name string
		if name, _, err = recorded(ctx, runs, runSettings{Suite: c.Suite, Runs: c.Runs}); err != nil {
			return nil, err
		}
		found, err = runs.Experiments(ctx, name)
		found = slices.DeleteFunc(found, func(e store.Experiment) bool { return !strings.HasPrefix(e.ID, c.id) })
	}
	if err != nil {
		return nil, err
	}
	for _, l := range labels {
		asked := l.asked(c)
		if asked == "" {
			continue
		}
		var known []string
		for _, e := range found {
			known = append(known, l.of(e))
		}
		found = slices.DeleteFunc(found, func(e store.Experiment) bool { return l.of(e) != asked })
		if len(found) == 0 {
			return nil, plugins.Problemf("no experiment that is meant has the %s %q%s; `bittern export list` shows what there is", l.name, asked, plugins.DidYouMean(asked, known))
		}
	}
	if c.Seed != nil {
		found = slices.DeleteFunc(found, func(e store.Experiment) bool { return e.Seed != *c.Seed })
	}
	return found, nil
}

// mostNamed is how many experiments an error names at most.
const mostNamed = 5

// network reads the deployed network of the only selected experiment. None or several are a
// *plugins.Problem.
func (c choice) network(ctx context.Context) (of store.Experiment, n artifact.Network, err error) {
	if c.id == "" && c.Suite == "" {
		return of, n, plugins.Problemf("name an experiment by its ID, which `bittern export list` shows, or by --suite and its labels")
	}
	runs, err := store.OpenExisting(ctx, c.Runs)
	if err != nil {
		return of, n, err
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	found, err := c.of(ctx, runs)
	if err != nil {
		return of, n, err
	}
	switch len(found) {
	case 0:
		return of, n, c.absent(ctx, runs)
	case 1:
		of = found[0]
	default:
		var names []string
		for _, e := range found[:min(len(found), mostNamed)] {
			names = append(names, e.ID+" ("+title(e)+")")
		}
		if len(found) > mostNamed {
			names = append(names, "…")
		}
		return of, n, plugins.Problemf("%d experiments are meant: %s; name one of them", len(found), strings.Join(names, ", "))
	}
	if err := finished(of); err != nil {
		return of, n, err
	}
	folder := runs.ExperimentDir(of.ID)
	err = store.ReadLocked(folder, func() (err error) {
		n, err = artifact.Read(artifact.Folder(folder), of.Artifact)
		return err
	})
	if _, held := errors.AsType[*store.Held](err); held {
		err = plugins.Problemf("%s is being run by another process (%v); wait until it is done", title(of), err)
	}
	return of, n, err
}

// absent returns the error for a choice that selects no experiment.
func (c choice) absent(ctx context.Context, runs *store.Store) error {
	if c.id == "" {
		return plugins.Problemf("no experiment of the suite %s is meant; `bittern export list --suite %s` shows what there is", c.Suite, c.Suite)
	}
	all, err := runs.Matching(ctx, "")
	if err != nil {
		return err
	}
	var ids []string
	for _, e := range all {
		ids = append(ids, e.ID[:min(len(e.ID), max(len(c.id), 4))])
	}
	return plugins.Problemf("the run store %s has no experiment whose ID begins with %q%s; `bittern export list` shows what there is", c.Runs, c.id, plugins.DidYouMean(c.id, ids))
}

// finished returns a *plugins.Problem if an experiment has no deployed network.
func finished(e store.Experiment) error {
	switch {
	case e.Status == store.Done && e.Artifact != "":
		return nil
	case e.Status == store.Done:
		return plugins.Problemf("%s has no deployed network; run its suite again with --again to train it", title(e))
	case e.Status == store.Failed:
		return plugins.Problemf("%s has failed (%s); mend that and run its suite again", title(e), e.Reason)
	case e.Status == store.Damaged:
		return plugins.Problemf("%s cannot be exported: %s", title(e), e.Reason)
	}
	return plugins.Problemf("%s is not finished (%s); run its suite again to go on", title(e), e.Status)
}

// title returns the name of an experiment for people, in one line whatever its labels are.
func title(e store.Experiment) string {
	return plugins.Line(fmt.Sprintf("%s, %s, %s, seed %d", e.Task, e.Model, e.Quantizer, e.Seed))
}
