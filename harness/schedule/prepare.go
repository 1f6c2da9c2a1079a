// Package schedule turns a suite into experiments and budgets into training steps, and
// runs the experiments, with progress.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
)

// Prepare turns a suite into its experiments, of the tasks with the given labels or,
// without labels, of all: it loads their data from the folder, asks every plugin what it
// is and resolves the options. What the user has to mend is a *plugins.Problem. It writes
// nothing.
func Prepare(ctx context.Context, s *suite.Suite, catalogue *host.Catalogue, dataDir string, tasks ...string) ([]*experiment.Spec, error) {
	p := newPreparation(catalogue, dataDir)
	// Load the data first: that fails fast if they are missing, and each plugin takes a
	// process.
	combinations, err := ofTasks(s.Combinations(), tasks)
	if err != nil {
		return nil, err
	}
	for _, c := range combinations {
		if _, err := p.load(ctx, c.Task); err != nil {
			return nil, err
		}
	}
	var backends []experiment.Plugin
	for _, b := range s.Backends {
		plugin, err := p.backend(ctx, b)
		if err != nil {
			return nil, err
		}
		backends = append(backends, plugin)
	}
	var specs []*experiment.Spec
	known, labelled := make(map[string]*experiment.Spec), make(map[string]string)
	for position, c := range combinations {
		spec, err := p.spec(ctx, c)
		if err != nil {
			return nil, err
		}
		spec.Threads, spec.Freeze, spec.Backends = s.Threads, s.Freeze, backends
		row, err := spec.Row()
		if err != nil {
			return nil, err
		}
		listing := experiment.Listing{Suite: c.Suite, Position: position, Task: c.Task.Label, Model: c.Model.Label, Quantizer: c.Quantizer.Label}
		twin, again := known[row.ID]
		switch other, ok := labelled[spec.String()]; {
		case again && twin.Listings[len(twin.Listings)-1].Suite == c.Suite:
			return nil, plugins.Problemf("suite %s lists the same experiment twice under two labels, as %q and %q; remove one of them", c.Suite, twin, spec)
		case again: // trained once; the whole suite calls it as the first part does
			twin.Listings = append(twin.Listings, listing)
			continue
		case ok:
			return nil, plugins.Problemf("the suites %s and %s call two experiments %q; give a task, model or quantizer of one of them another label", other, c.Suite, spec)
		}
		spec.Listings = []experiment.Listing{listing}
		if c.Suite != s.Name {
			whole := listing
			whole.Suite = s.Name
			spec.Listings = []experiment.Listing{whole, listing}
		}
		known[row.ID], labelled[spec.String()] = spec, c.Suite
		specs = append(specs, spec)
	}
	return specs, nil
}

// ofTasks are the combinations of tasks with the given labels; without labels all.
func ofTasks(all []suite.Combination, tasks []string) ([]suite.Combination, error) {
	var labels []string
	for _, c := range all {
		if !slices.Contains(labels, c.Task.Label) {
			labels = append(labels, c.Task.Label)
		}
	}
	for _, label := range tasks {
		if !slices.Contains(labels, label) {
			return nil, plugins.Problemf("the suite has no task %q%s; it has %s", label, plugins.DidYouMean(label, labels), strings.Join(labels, ", "))
		}
	}
	if len(tasks) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(c suite.Combination) bool { return !slices.Contains(tasks, c.Task.Label) }), nil
}

// preparation remembers what was loaded and asked, since experiments share it.
type preparation struct {
	catalogue    *host.Catalogue
	loader       task.Loader
	tasks        map[string]task.Loaded // by what the entry names, without its label
	descriptions map[described]plugins.Description
}

type described struct {
	plugins.ID
	sha256      string
	environment string // its names, with spaces between
	limits      host.Limits
}

func newPreparation(catalogue *host.Catalogue, dataDir string) *preparation {
	return &preparation{
		catalogue: catalogue, loader: task.Loader{DataDir: dataDir},
		tasks:        make(map[string]task.Loaded),
		descriptions: make(map[described]plugins.Description),
	}
}

func (p *preparation) spec(ctx context.Context, c suite.Combination) (*experiment.Spec, error) {
	loaded, err := p.load(ctx, c.Task)
	if err != nil {
		return nil, err
	}
	network, err := p.plugin(ctx, plugins.KindModel, c.Model)
	if err != nil {
		return nil, err
	}
	quantizer, err := p.plugin(ctx, plugins.KindQuantizer, c.Quantizer)
	if err != nil {
		return nil, err
	}
	c.Task.Training.Arithmetic = arithmeticFor(c.Task.Training.Arithmetic, network, isa.BFloat16())
	return &experiment.Spec{Task: c.Task, Loaded: loaded, Model: network, Quantizer: quantizer, Seed: c.Seed}, nil
}

// arithmeticFor returns what a model trains with, given the arithmetic of the suite and the machine's
// level.
func arithmeticFor(arithmetic model.Arithmetic, of experiment.Plugin, level isa.Level) model.Arithmetic {
	switch {
	case arithmetic != suite.Auto:
		return arithmetic
	case level == isa.AVX512BF16 && of.Has(model.TraitBFloat16):
		return model.BFloat16
	}
	return model.Float32
}

// load makes the task of an entry.
func (p *preparation) load(ctx context.Context, entry suite.Task) (task.Loaded, error) {
	key := fmt.Sprintf("%q %q %q", entry.Task, entry.Data, entry.Options)
	if loaded, ok := p.tasks[key]; ok {
		return loaded, nil
	}
	loaded, err := p.loader.Load(ctx, task.Request{Task: entry.Task, Data: entry.Data, Options: entry.Options})
	if err != nil {
		return task.Loaded{}, entry.Place.Problem(err)
	}
	p.tasks[key] = loaded
	return loaded, nil
}

func (p *preparation) plugin(ctx context.Context, kind plugins.Kind, entry suite.Plugin) (experiment.Plugin, error) {
	id := plugins.ID{Kind: kind, Name: entry.Plugin}
	if entry.SHA256 == "" {
		// An external plugin is what its executable is, whatever version it gives
		// itself: the checksum becomes part of what is stored, and every process
		// of the run is started from these very bytes. Built-in ones are known by
		// their version, which changes when their numbers do.
		var err error
		if entry.SHA256, err = p.catalogue.Checksum(ctx, id); err != nil {
			return experiment.Plugin{}, entry.Place.Problem(err)
		}
	}
	settings := host.Settings{
		SHA256: entry.SHA256, Environment: entry.Environment,
		Limits: host.Limits{Memory: int64(entry.MemoryMiB) << 20, Processors: entry.Processors},
	}
	description, err := p.describe(ctx, id, settings)
	if err != nil {
		return experiment.Plugin{}, entry.Place.Problem(err)
	}
	options, err := resolve(id, description.Options, entry)
	if err != nil {
		return experiment.Plugin{}, err
	}
	return experiment.Plugin{
		Label: entry.Label, Name: entry.Plugin, SHA256: entry.SHA256, Environment: entry.Environment, Limits: settings.Limits,
		Options: options, Description: description,
	}, nil
}

// describe asks a plugin what it is.
func (p *preparation) describe(ctx context.Context, id plugins.ID, settings host.Settings) (plugins.Description, error) {
	key := described{ID: id, sha256: settings.SHA256, environment: strings.Join(settings.Environment, " "), limits: settings.Limits}
	if description, ok := p.descriptions[key]; ok {
		return description, nil
	}
	description, err := p.catalogue.Describe(ctx, id, settings)
	if err == nil {
		p.descriptions[key] = description
	}
	return description, err
}

// backend is the plugin of an entry. What its options name as files is looked at by the
// backend itself, before anything is trained: no bounds of an option can say what a file may
// hold.
func (p *preparation) backend(ctx context.Context, entry suite.Plugin) (experiment.Plugin, error) {
	plugin, err := p.plugin(ctx, plugins.KindBackend, entry)
	if err != nil {
		return plugin, err
	}
	_, paths, err := host.ReadFiles(plugin.Description.Options, entry.Options, entry.Place.Folder)
	if err != nil || len(paths) == 0 {
		return plugin, err
	}
	process, err := p.catalogue.Backend(ctx, entry.Plugin, host.Settings{SHA256: plugin.SHA256, Environment: entry.Environment, Limits: plugin.Limits})
	if err != nil {
		return plugin, entry.Place.Problem(err)
	}
	_, err = process.Explain(ctx, plugin.Options)
	if err := errors.Join(err, process.Close()); err != nil {
		return plugin, entry.Place.OptionProblem(slices.Min(slices.Collect(maps.Keys(paths))), host.InFile(paths, err))
	}
	return plugin, nil
}

// resolve is [plugins.Resolve] of the options of an entry, with the content of those that
// are files. A problem names the place of the option.
func resolve(id plugins.ID, options []plugins.Option, entry suite.Plugin) (plugins.Values, error) {
	for _, name := range slices.Sorted(maps.Keys(entry.Options)) {
		one, _, err := host.ReadFiles(options, plugins.Values{name: entry.Options[name]}, entry.Place.Folder)
		if err == nil {
			_, err = plugins.Resolve(id.String(), options, one)
		}
		if err != nil {
			return nil, entry.Place.OptionProblem(name, err)
		}
	}
	values, _, err := host.ReadFiles(options, entry.Options, entry.Place.Folder)
	if err != nil {
		return nil, err
	}
	return plugins.Resolve(id.String(), options, values)
}
