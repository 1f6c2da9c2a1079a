package reports

import (
	"encoding/json"
	"fmt"
	"slices"

	"bittern/harness/store"
	"bittern/plugins"
)

// Selection says which of the experiments and deployments that a suite has asked for
// are shown. The zero value selects all, and so does every field that is left out.
type Selection struct {
	Entries  []Entry  // what the suite lists by now
	Tasks    []string // labels
	Seeds    []uint64
	Steps    *int     // that an experiment was trained for, or was to be trained for at most
	Backends []string // labels
}

// Entry is a combination that a suite lists, by the labels of its parts.
type Entry struct{ Task, Model, Quantizer string }

func entryOf(c store.Experiment) Entry { return Entry{c.Task, c.Model, c.Quantizer} }

// choose returns the selected experiments, each with only its selected backends. A damaged row
// is always selected, as it is not known what it holds. If nothing is left, the error is a
// [*plugins.Problem].
func (s Selection) choose(suite string, all []store.Experiment) ([]store.Experiment, error) {
	var labels, tasks []string
	for _, c := range all {
		for _, label := range c.Backends {
			labels = insert(labels, label)
		}
		if c.Status != store.Damaged {
			tasks = insert(tasks, c.Task)
		}
	}
	for _, label := range s.Tasks {
		if !slices.Contains(tasks, label) {
			return nil, plugins.Problemf("the suite %s was never run with a task %q%s; it was run with %s", suite, label, plugins.DidYouMean(label, tasks), list(tasks))
		}
	}
	for _, label := range s.Backends {
		if !slices.Contains(labels, label) {
			return nil, plugins.Problemf("the suite %s was never run with a backend %q%s; it was run with %s", suite, label, plugins.DidYouMean(label, labels), list(labels))
		}
	}
	var chosen []store.Experiment
	var seeds, steps []uint64
	for _, c := range all {
		if c.Status == store.Damaged {
			chosen = append(chosen, c)
			continue
		}
		if s.Entries != nil && !slices.Contains(s.Entries, entryOf(c)) {
			continue
		}
		if len(s.Tasks) > 0 && !slices.Contains(s.Tasks, c.Task) {
			continue
		}
		limit, err := stepLimit(c)
		if err != nil {
			return nil, err
		}
		seeds, steps = insert(seeds, c.Seed), insert(steps, c.Steps)
		if len(s.Seeds) > 0 && !slices.Contains(s.Seeds, c.Seed) {
			continue
		}
		if s.Steps != nil && c.Steps != uint64(*s.Steps) && limit != uint64(*s.Steps) {
			continue
		}
		if len(s.Backends) > 0 {
			c.Backends = slices.DeleteFunc(slices.Clone(c.Backends), func(label string) bool { return !slices.Contains(s.Backends, label) })
			if len(c.Backends) == 0 {
				continue
			}
		}
		chosen = append(chosen, c)
	}
	switch {
	case len(chosen) > 0 || len(all) == 0:
		return chosen, nil
	case len(seeds) == 0:
		return nil, plugins.Problemf("nothing that the suite %s lists by now was ever run; run it first, or give the file that was run", suite)
	}
	return nil, plugins.Problemf("the run store has no experiment of the suite %s with these settings; it has seeds %s, trained for %s steps", suite, list(seeds), list(steps))
}

// stepLimit is the cap on an experiment's training steps; 0 where it has none.
func stepLimit(c store.Experiment) (uint64, error) {
	var config struct {
		Training struct {
			Steps uint64 `json:"steps"`
		} `json:"training"`
	}
	if err := json.Unmarshal(c.Config, &config); err != nil {
		return 0, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
	}
	return config.Training.Steps, nil
}
