// Package reports turns the run store into comparison tables. It reads what
// was stored and never starts a plugin.
//
// A column is a field of [Row]: group.go fills it in from the experiments and
// deployments of one experiment, markdown.go and csv.go write it out, and JSON has
// every field as it is.
package reports

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"bittern/baselines/published"
	"bittern/harness/provenance"
	"bittern/harness/store"
)

// Report is the state of a suite in the run store.
type Report struct {
	Suite string `json:"suite"`
	Rows  []Row  `json:"rows"`
	// Unfinished lists the experiments that have no result, with the reason.
	Unfinished []Unfinished `json:"unfinished,omitempty"`
	Provenance []Provenance `json:"provenance"`
}

// Row is one task × model × quantizer on one backend, over all finished seeds.
type Row struct {
	Task          string   `json:"task"`
	Model         string   `json:"model"`
	Quantizer     string   `json:"quantizer"`
	Normalization string   `json:"normalization"`
	Backend       string   `json:"backend"`
	Metric        string   `json:"metric"`
	Seeds         []uint64 `json:"seeds"`

	Deployable     Figure   `json:"deployable"`       // as the backend computes it from the packed artifact
	PaperStyle     Figure   `json:"paper_style"`      // batch statistics, freshly drawn weights
	RecurrentBytes float64  `json:"recurrent_bytes"`  // recurrent weights alone
	DeployedBytes  float64  `json:"deployment_bytes"` // everything, as this backend stores it
	Energy         Figure   `json:"energy_joules"`    // per time step at batch 1
	Seconds        Figure   `json:"seconds"`          // likewise
	Measured       bool     `json:"cost_measured"`    // timed, not simulated
	Notes          []string `json:"notes,omitempty"`  // what the backend says of its figures

	Published []published.Result `json:"published,omitempty"` // of the same experiment
}

// Figure is a number over seeds, or the reason why there is none.
type Figure struct {
	N       int      `json:"n"`
	Mean    *float64 `json:"mean"`
	Std     *float64 `json:"std,omitempty"` // sample standard deviation; absent for one seed
	Missing string   `json:"missing,omitempty"`
}

// Unfinished is an experiment or a deployment without a result.
type Unfinished struct {
	Task      string       `json:"task"`
	Model     string       `json:"model"`
	Quantizer string       `json:"quantizer"`
	Seed      uint64       `json:"seed"`
	Backend   string       `json:"backend,omitempty"`
	Status    store.Status `json:"status"`
	Reason    string       `json:"reason,omitempty"`
}

// Provenance is what one group of experiments was measured with. An experiment that
// several programs or machines contributed to is in several groups.
type Provenance struct {
	Setup
	Experiments int                   `json:"experiments"`
	Overheads   []provenance.Overhead `json:"overheads,omitempty"` // one a run
	Seeds       []uint64              `json:"seeds"`
	Steps       []uint64              `json:"steps"`    // that the experiments were trained for, ascending
	Sittings    []Sitting             `json:"sittings"` // of this group, experiment by experiment
}

// Setup is what the experiments of a group have in common.
type Setup struct {
	provenance.Machine
	Threads   int    `json:"threads"`
	Corpus    string `json:"corpus"`
	SHA256    string `json:"sha256"`
	Synthetic bool   `json:"synthetic,omitempty"`
	Note      string `json:"note,omitempty"`
}

// Sitting is one stretch of training of an experiment.
type Sitting struct {
	Experiment string    `json:"experiment"` // its ID
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended,omitzero"`
	From       uint64    `json:"from"` // training steps done before it and by its end
	To         uint64    `json:"to"`
}

// Collect reads the report of a suite.
func Collect(ctx context.Context, s *store.Store, suite string) (*Report, error) {
	experiments, err := s.Experiments(ctx, suite)
	if err != nil {
		return nil, err
	}
	r := &Report{Suite: suite, Rows: []Row{}, Provenance: []Provenance{}}
	var groups []*group
	for _, c := range experiments {
		if c.Status != store.Done {
			r.Unfinished = append(r.Unfinished, Unfinished{c.Task, c.Model, c.Quantizer, c.Seed, "", c.Status, c.Reason})
			continue
		}
		if err := r.addProvenance(c); err != nil {
			return nil, err
		}
		key, e, err := setting(c)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(groups, func(g *group) bool { return g.key == key })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &group{key: key, first: c, experiment: e})
		}
		deployments, err := s.Deployments(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		groups[at].add(r, c, deployments)
	}
	for _, g := range groups {
		rows, err := g.rows()
		if err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, rows...)
	}
	return r, nil
}

// setting is what an experiment can be held against, and a key that the experiments of
// one row share: the configuration without the seed.
func setting(c store.Experiment) (key string, e published.Setting, err error) {
	var config map[string]json.RawMessage
	if err := json.Unmarshal(c.Config, &config); err != nil {
		return "", e, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
	}
	delete(config, "seed")
	rest, err := json.Marshal(config)
	if err != nil {
		return "", e, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
	}
	type plugin struct {
		Name    string            `json:"name"`
		Options map[string]string `json:"options"`
	}
	var parts struct {
		Task      string `json:"task"`
		Data      string `json:"data"`
		Model     plugin `json:"model"`
		Quantizer plugin `json:"quantizer"`
	}
	if err := json.Unmarshal(c.Config, &parts); err != nil {
		return "", e, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
	}
	e = published.Setting{
		Task: parts.Task, Corpus: parts.Data, Model: parts.Model.Name, Quantizer: parts.Quantizer.Name,
		Normalization: parts.Model.Options["normalization"],
	}
	// A model without these options is like none that was published.
	for option, field := range map[string]*int{"units": &e.Units, "layers": &e.Layers} {
		if n, err := strconv.Atoi(parts.Model.Options[option]); err == nil {
			*field = n
		}
	}
	return string(rest), e, nil
}

func (r *Report) addProvenance(c store.Experiment) error {
	var p provenance.Experiment
	if err := json.Unmarshal(c.Provenance, &p); err != nil {
		return fmt.Errorf("the provenance of experiment %s: %w", c.ID, err)
	}
	counted := make(map[int]bool)
	for _, sitting := range p.Sittings {
		setup := Setup{Machine: sitting.Machine, Threads: sitting.Threads, Corpus: p.Corpus, SHA256: p.SHA256, Synthetic: p.Synthetic, Note: p.Note}
		overhead := setup.Overhead
		setup.Overhead = nil // differs from run to run
		at := slices.IndexFunc(r.Provenance, func(known Provenance) bool { return known.Setup == setup })
		if at < 0 {
			at = len(r.Provenance)
			r.Provenance = append(r.Provenance, Provenance{Setup: setup})
		}
		group := &r.Provenance[at]
		group.Sittings = append(group.Sittings, Sitting{c.ID, sitting.Started, sitting.Ended, sitting.From, sitting.To})
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

// insert adds a number to an ascending set.
func insert[T cmp.Ordered](set []T, number T) []T {
	at, found := slices.BinarySearch(set, number)
	if found {
		return set
	}
	return slices.Insert(set, at, number)
}
