package reports

import (
	"bittern/harness/provenance"
	"bittern/harness/store"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Collect reads the selected part of a suite from the run store. If the selection leaves
// nothing, the error is a [*plugins.Problem].
func Collect(ctx context.Context, s *store.Store, suite string, selection Selection) (*Report, error) {
	experiments, err := s.Experiments(ctx, suite)
	if err != nil {
		return nil, err
	}
	if experiments, err = selection.choose(suite, experiments); err != nil {
		return nil, err
	}
	r := &Report{Suite: suite, Networks: []*Network{}, Experiments: []Experiment{}, Provenance: []Provenance{}}
	var groups []*group
	for _, c := range experiments {
		if c.Status != store.Done {
			r.Unfinished = append(r.Unfinished, Unfinished{c.Task, c.Model, c.Quantizer, c.Seed, "", c.Status, c.Reason})
			continue
		}
		if err := r.addProvenance(c); err != nil {
			return nil, err
		}
		e, err := r.finished(ctx, s, c)
		if err != nil {
			return nil, err
		}
		if groups, err = addTo(groups, e); err != nil {
			return nil, err
		}
	}
	distinguish(groups)
	for _, g := range groups {
		n, err := g.network()
		if err != nil {
			return nil, err
		}
		r.Networks = append(r.Networks, n)
		for _, e := range g.experiments {
			e.Setting = g.setting
			r.Experiments = append(r.Experiments, *e)
		}
	}
	compare(groups, r.Networks)
	compareArithmetics(groups, r.Networks)
	markFrontiers(r.Networks)
	return r, nil
}

// finished gathers what belongs to a finished experiment, and lists its missing deployments.
func (r *Report) finished(ctx context.Context, s *store.Store, c store.Experiment) (*Experiment, error) {
	e := &Experiment{Experiment: c, Deployments: []store.Deployment{}, Folder: s.ExperimentDir(c.ID)}
	var scores []float64
	for _, draw := range c.Draws {
		scores = append(scores, draw.Test)
	}
	e.Drawn = figure(scores, "not recorded")
	var err error
	if e.Validations, err = store.ReadValidations(e.Folder); err != nil {
		e.Unread = err.Error()
	}
	if e.Validations == nil {
		e.Validations = []store.Validation{}
	}
	deployments, err := s.Deployments(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, label := range c.Backends {
		if !slices.ContainsFunc(deployments, func(d store.Deployment) bool { return d.Backend == label }) {
			r.Unfinished = append(r.Unfinished, Unfinished{c.Task, c.Model, c.Quantizer, c.Seed, label, store.Pending, "it is not deployed yet; run the suite again to do it"})
		}
	}
	for _, d := range deployments {
		if !slices.Contains(c.Backends, d.Backend) {
			continue // another suite asked for it
		}
		r.addCalibration(&d)
		e.Deployments = append(e.Deployments, d)
		if d.Status != store.Done && d.Status != store.Unsupported {
			r.Unfinished = append(r.Unfinished, Unfinished{c.Task, c.Model, c.Quantizer, c.Seed, d.Backend, d.Status, d.Reason})
		}
		if err := r.addDeployment(d); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (r *Report) addDeployment(d store.Deployment) error {
	if len(d.Provenance) == 0 {
		return nil
	}
	var p provenance.Deployment
	if err := json.Unmarshal(d.Provenance, &p); err != nil {
		return fmt.Errorf("the provenance of experiment %s on %s: %w", d.Experiment, d.Backend, err)
	}
	p.Overhead = nil // of training steps
	at := slices.IndexFunc(r.Deployed, func(known DeployedMachines) bool { return known.Machine == p.Machine })
	if at < 0 {
		at = len(r.Deployed)
		r.Deployed = append(r.Deployed, DeployedMachines{Machine: p.Machine})
	}
	r.Deployed[at].Deployments++
	r.Deployed[at].Backends = insert(r.Deployed[at].Backends, p.Backend)
	return nil
}

func (r *Report) addProvenance(c store.Experiment) error {
	var p provenance.Experiment
	if err := json.Unmarshal(c.Provenance, &p); err != nil {
		return fmt.Errorf("the provenance of experiment %s: %w", c.ID, err)
	}
	settings, err := settingsOf(c)
	if err != nil {
		return err
	}
	counted := make(map[int]bool)
	for _, sitting := range p.Sittings {
		setup := Setup{Machine: sitting.Machine, Threads: sitting.Threads, Arithmetic: arithmetic(settings), Data: p.Data, SHA256: p.SHA256, Synthetic: p.Synthetic, Note: p.Note}
		overhead := setup.Overhead
		setup.Overhead = nil // differs from run to run
		at := slices.IndexFunc(r.Provenance, func(known Provenance) bool { return known.Setup == setup })
		if at < 0 {
			at = len(r.Provenance)
			r.Provenance = append(r.Provenance, Provenance{Setup: setup})
		}
		group := &r.Provenance[at]
		group.Sittings = append(group.Sittings, Sitting{c.ID, sitting.Started, sitting.Ended, sitting.From, sitting.To, sitting.Host})
		if overhead != nil && !slices.Contains(group.Overheads, *overhead) {
			group.Overheads = append(group.Overheads, *overhead)
		}
		if !counted[at] {
			counted[at] = true
			group.Experiments++
			group.Seeds, group.Steps = insert(group.Seeds, c.Seed), insert(group.Steps, c.Steps)
		}
	}
	return nil
}

// insert adds a number to an ascending list without duplicates.
func insert[T cmp.Ordered](set []T, number T) []T {
	at, found := slices.BinarySearch(set, number)
	if found {
		return set
	}
	return slices.Insert(set, at, number)
}
