// Package reports turns the run store into comparison tables. It reads what
// was stored and never starts a plugin.
//
// [Collect] makes a [Report] of it: one [Network] for each setting that was trained,
// over its seeds, with its deployments. group.go gathers their figures, compare.go
// holds them against full precision and against each other. JSON is the report as it
// is. CSV has one row for each network on each backend (csv.go). The tables that people
// read are made of columns, which are data (columns.go): document.go lays them out
// as a [View] asks, and markdown.go and terminal.go write them.
//
// Names, reasons and notes come from suite files and plugins. In every format they
// come out as text, whatever is in them.
package reports

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"bittern/baselines/published"
	"bittern/harness/provenance"
	"bittern/harness/store"
)

// Report is the state of a suite in the run store.
type Report struct {
	Suite    string     `json:"suite"`
	Networks []*Network `json:"networks"`
	// Unfinished lists the experiments and deployments that have no result, with the
	// reason.
	Unfinished []Unfinished `json:"unfinished,omitempty"`
	// Experiments has everything of each finished experiment, seed by seed.
	Experiments []Experiment       `json:"experiments"`
	Provenance  []Provenance       `json:"provenance"`
	Deployed    []DeployedMachines `json:"deployed,omitempty"`
}

// Network is one task × model × quantizer of one setting, over all finished seeds.
type Network struct {
	Task          string `json:"task"`
	Model         string `json:"model"`
	Quantizer     string `json:"quantizer"`
	Normalization string `json:"normalization"`
	// Setting tells the network from others of the same names, such as "10 steps" or
	// "threads 1"; empty where there are none.
	Setting string   `json:"setting,omitempty"`
	Metric  string   `json:"metric"`
	Seeds   []uint64 `json:"seeds"`
	Steps   []uint64 `json:"steps"` // that the seeds were trained for, ascending

	Epochs       Figure `json:"epochs"`                  // that the seeds were trained for
	RecipeEpochs int    `json:"recipe_epochs,omitempty"` // that the suite's recipe has

	// Deployable is the test score of what was packed: the weights decoded from their
	// packed bits, of several draws the one that validated best, and the frozen
	// statistics, computed by the model in float32. Backends compute the same artifact
	// in their own arithmetic; see Deployments.
	Deployable Figure `json:"deployable"`
	// Doubts are of seeds whose artifact no backend computes as the model does, though
	// one or more compute it.
	Doubts     []Doubt `json:"doubts,omitempty"`
	PaperStyle Figure  `json:"paper_style"` // batch statistics, freshly drawn weights

	BitsPerWeight Figure  `json:"bits_per_weight"`  // of the frozen recurrent weights
	WeightBytes   float64 `json:"recurrent_bytes"`  // of the recurrent weights alone
	DeployedBytes float64 `json:"deployment_bytes"` // everything, as it is packed

	FullPrecision FullPrecision `json:"full_precision"`
	// Frontier says that no other network of the same task and metric is at least as good
	// in both Deployable and DeployedBytes, and better in one.
	Frontier bool `json:"frontier"`

	Published   []published.Result `json:"published,omitempty"` // of the same experiment
	Deployments []Deployment       `json:"deployments"`
}

// FullPrecision compares a network with the one of the same task, model settings and
// normalization whose recurrent weights have 32 bits.
type FullPrecision struct {
	Missing string `json:"missing,omitempty"` // why there is none
	Itself  bool   `json:"itself,omitempty"`  // the network is that one
	// Delta is the difference of the deployable means; P is the probability of one as
	// large by chance (Welch's test), where both have two seeds or more.
	Delta *float64 `json:"delta,omitempty"`
	P     *float64 `json:"p,omitempty"`
	// WeightRatio and DeployedRatio are its bytes over the network's.
	WeightRatio   *float64 `json:"recurrent_ratio,omitempty"`
	DeployedRatio *float64 `json:"deployment_ratio,omitempty"`
}

// Deployment is a network on one backend, over all seeds that it computed or costed.
type Deployment struct {
	Backend  string   `json:"backend"`
	Seeds    []uint64 `json:"seeds"`
	Metric   Figure   `json:"metric"`           // as the machine computes it from the packed artifact
	Doubts   []Doubt  `json:"doubts,omitempty"` // of Metric
	Bytes    *float64 `json:"bytes"`            // everything, as the machine stores it; nil where it does not tell
	Energy   Figure   `json:"energy_joules"`    // per time step: of a whole sequence, over its steps of all streams
	Seconds  Figure   `json:"seconds"`          // likewise
	Area     Figure   `json:"area_mm2"`
	Measured bool     `json:"cost_measured"`   // timed, not simulated
	Timed    *Timed   `json:"timed,omitempty"` // where it was timed
	Notes    []string `json:"notes,omitempty"` // what the backend says of its figures

	// Substitutions are what the backend has in place of deployed weights, each once.
	Substitutions []store.Substitution `json:"substitutions,omitempty"`

	// EnergyRatio and SecondsRatio are the full-precision network's on the same
	// backend over these.
	EnergyRatio  *float64 `json:"energy_ratio,omitempty"`
	SecondsRatio *float64 `json:"seconds_ratio,omitempty"`

	EnergyParts []store.Part `json:"energy_parts,omitempty"` // joules per time step, the mean over the seeds
	MemoryParts []store.Part `json:"memory_parts,omitempty"` // bytes
}

// Figure is a number over seeds (or draws), or the reason why there is none.
type Figure struct {
	N       int      `json:"n"`
	Mean    *float64 `json:"mean"`
	Std     *float64 `json:"std,omitempty"` // sample standard deviation; absent for n = 1
	Missing string   `json:"missing,omitempty"`
}

// Doubt says why one seed's score is not to be trusted.
type Doubt struct {
	Seed   uint64 `json:"seed"`
	Reason string `json:"reason"`
}

// Timed says how sure a time is. Over several seeds it is that of the worst.
type Timed struct {
	Sequences int `json:"sequences"` // of which the time is the median
	// Spread is (upper − lower quartile) / median of the sequences' times; nil where
	// the quartiles are not known.
	Spread *float64 `json:"spread"`
}

// wideSpread is the spread above which a table marks a time.
const wideSpread = 0.1

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

// Experiment is a finished experiment as it is stored: its configuration, draws and
// provenance with every sitting, and beside that what belongs to it.
type Experiment struct {
	store.Experiment
	Setting string `json:"setting,omitempty"` // see [Network]
	// Drawn is the test score, by the model itself, over the draws of the weights.
	Drawn       Figure             `json:"drawn"`
	Validations []store.Validation `json:"validations"` // in the order of their steps
	// Unread says why there are no validations though there should be.
	Unread      string             `json:"validations_unread,omitempty"`
	Deployments []store.Deployment `json:"deployments"`
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

// DeployedMachines is what one group of deployments was computed with.
type DeployedMachines struct {
	provenance.Machine
	Deployments int      `json:"deployments"`
	Backends    []string `json:"backends"` // plugins and versions, ascending
}

// Setup is what the experiments of a group have in common.
type Setup struct {
	provenance.Machine
	Threads   int    `json:"threads"`
	Data      string `json:"data"` // name of the data set
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

// Collect reads the report of what is selected of a suite. A selection that leaves
// nothing of it is a [*plugins.Problem].
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
	markFrontiers(r.Networks)
	return r, nil
}

// finished gathers what belongs to a finished experiment, and lists what is missing of
// its deployments.
func (r *Report) finished(ctx context.Context, s *store.Store, c store.Experiment) (*Experiment, error) {
	e := &Experiment{Experiment: c, Deployments: []store.Deployment{}}
	var scores []float64
	for _, draw := range c.Draws {
		scores = append(scores, draw.Test)
	}
	e.Drawn = figure(scores, "not recorded")
	var err error
	if e.Validations, err = store.ReadValidations(s.ExperimentDir(c.ID)); err != nil {
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
	counted := make(map[int]bool)
	for _, sitting := range p.Sittings {
		setup := Setup{Machine: sitting.Machine, Threads: sitting.Threads, Data: p.Data, SHA256: p.SHA256, Synthetic: p.Synthetic, Note: p.Note}
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
