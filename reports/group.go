package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"

	"bittern/baselines/published"
	"bittern/harness/store"
	"bittern/plugins/model"
)

// group is the experiments of one setting, one for each seed.
type group struct {
	settings    map[string]string // see settingsOf
	setting     string            // see Row
	first       store.Experiment
	published   published.Setting
	experiments []*Experiment
	machines    []*machine
}

// machine gathers one backend's figures over the seeds of a group.
type machine struct {
	backend                    string
	seeds, steps               []uint64
	metric, energy, seconds    []float64
	noMetric, noEnergy, noTime string
	deployedBytes              float64
	measured                   bool
	timed                      *Timed
	notes                      []string
	substitutions              []store.Substitution
	doubts                     []Doubt
}

// addTo adds an experiment to the group of its setting, or else to a new one behind
// those with the same labels.
func addTo(groups []*group, e *Experiment) ([]*group, error) {
	settings, err := settingsOf(e.Experiment)
	if err != nil {
		return nil, err
	}
	alike := func(g *group) bool { return entryOf(g.first) == entryOf(e.Experiment) }
	at := slices.IndexFunc(groups, func(g *group) bool { return alike(g) && maps.Equal(g.settings, settings) })
	if at < 0 {
		g := &group{settings: settings, first: e.Experiment}
		if g.published, err = publishedSetting(e.Experiment); err != nil {
			return nil, err
		}
		at = len(groups)
		for i := range groups {
			if alike(groups[i]) {
				at = i + 1
			}
		}
		groups = slices.Insert(groups, at, g)
	}
	groups[at].add(e)
	return groups, nil
}

// settingsOf is all that determines an experiment's figures but its seed: the values
// of its configuration and of its freeze by their paths, as in "training.epochs".
func settingsOf(c store.Experiment) (map[string]string, error) {
	settings := make(map[string]string)
	for prefix, text := range map[string]json.RawMessage{"": c.Config, "freeze": c.Freeze} {
		if len(text) == 0 {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
		}
		flatten(prefix, value, settings)
	}
	delete(settings, "seed")
	return settings, nil
}

func flatten(path string, value any, into map[string]string) {
	object, ok := value.(map[string]any)
	if !ok {
		into[path] = fmt.Sprint(value)
		return
	}
	for key, value := range object {
		inner := key
		if path != "" {
			inner = path + "." + key
		}
		flatten(inner, value, into)
	}
}

// publishedSetting is what an experiment can be held against.
func publishedSetting(c store.Experiment) (published.Setting, error) {
	var parts struct {
		Task      string `json:"task"`
		Data      string `json:"data"`
		Quantizer struct {
			Name string `json:"name"`
		} `json:"quantizer"`
	}
	if err := json.Unmarshal(c.Config, &parts); err != nil {
		return published.Setting{}, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
	}
	if c.Setting(model.SettingHiddenBits) != "" {
		return published.Setting{}, nil // no result with rounded hidden states is recorded
	}
	e := published.Setting{
		Task: parts.Task, Corpus: parts.Data, Quantizer: parts.Quantizer.Name,
		Cell: c.Setting(model.SettingCell), Normalization: c.Setting(model.SettingNormalization),
		Bidirectional: c.Setting(model.SettingBidirectional) == "true",
	}
	// A model without these settings is like none that was published.
	for setting, field := range map[string]*int{model.SettingUnits: &e.Units, model.SettingLayers: &e.Layers} {
		if n, err := strconv.Atoi(c.Setting(setting)); err == nil {
			*field = n
		}
	}
	return e, nil
}

// distinguish says of groups with the same labels, which follow each other, what tells
// one from the other.
func distinguish(groups []*group) {
	for len(groups) > 0 {
		n := 1
		for n < len(groups) && entryOf(groups[n].first) == entryOf(groups[0].first) {
			n++
		}
		if n > 1 {
			distinguishAlike(groups[:n])
		}
		groups = groups[n:]
	}
}

func distinguishAlike(groups []*group) {
	var keys []string
	for _, g := range groups {
		for key := range g.settings {
			value := g.settings[key]
			if slices.ContainsFunc(groups, func(other *group) bool { v, ok := other.settings[key]; return !ok || v != value }) {
				keys = insert(keys, key)
			}
		}
	}
	// Where groups differ in the length of their training alone, the steps say it best.
	length := []string{"training.epochs", "training.steps"}
	byLength := !slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(length, key) })
	var trained []string
	for _, g := range groups {
		trained = insert(trained, g.steps())
	}
	for _, g := range groups {
		if byLength && len(trained) == len(groups) {
			g.setting = g.steps()
			continue
		}
		var parts []string
		for _, key := range keys {
			value, ok := g.settings[key]
			if !ok {
				value = "not given"
			}
			if len(value) == 64 {
				value = value[:12] + "…" // a digest
			}
			parts = append(parts, key+" "+value)
		}
		g.setting = strings.Join(parts, ", ")
	}
}

// steps is how long a group was trained: "10 steps", or "9–10 steps" where some of its
// experiments stopped early.
func (g *group) steps() string {
	var steps []uint64
	for _, e := range g.experiments {
		steps = insert(steps, e.Steps)
	}
	if least, most := steps[0], steps[len(steps)-1]; least != most {
		return fmt.Sprintf("%d–%d steps", least, most)
	}
	return fmt.Sprintf("%d steps", steps[0])
}

func (g *group) add(e *Experiment) {
	g.experiments = append(g.experiments, e)
	if len(e.Backends) == 0 {
		const none = "the suite asks for no backend"
		g.machine("").add(e.Experiment, store.Deployment{Metric: e.FrozenModel, Reason: none})
	}
	for _, d := range e.Deployments {
		if d.Status == store.Done || d.Status == store.Unsupported {
			g.machine(d.Backend).add(e.Experiment, d)
		}
	}
}

// machine is that of a backend's label.
func (g *group) machine(backend string) *machine {
	for _, m := range g.machines {
		if m.backend == backend {
			return m
		}
	}
	m := &machine{backend: backend}
	g.machines = append(g.machines, m)
	return m
}

func (m *machine) add(c store.Experiment, d store.Deployment) {
	m.seeds, m.steps = append(m.seeds, c.Seed), insert(m.steps, c.Steps)
	if d.Metric != nil {
		m.metric = append(m.metric, *d.Metric)
	} else {
		m.noMetric = d.Reason
	}
	if d.Doubt != "" {
		m.doubts = append(m.doubts, Doubt{c.Seed, d.Doubt})
	}
	m.deployedBytes = float64(c.DeployedBytes)
	if d.Cost == nil {
		m.noEnergy, m.noTime = d.Reason, d.Reason
		return
	}
	if len(d.Cost.Memory) > 0 {
		m.deployedBytes = sum(d.Cost.Memory)
	}
	steps := timeSteps(*d.Cost)
	const unknown = "the time steps of the sequence are not recorded"
	switch {
	case len(d.Cost.Energy) == 0:
		m.noEnergy = d.Cost.Missing["energy"]
	case steps == 0:
		m.noEnergy = unknown
	default:
		m.energy = append(m.energy, sum(d.Cost.Energy)/steps)
	}
	switch {
	case d.Cost.Seconds == nil:
		m.noTime = d.Cost.Missing["seconds"]
	case steps == 0:
		m.noTime = unknown
	default:
		m.seconds = append(m.seconds, *d.Cost.Seconds/steps)
	}
	m.measured = d.Cost.Measured
	if d.Cost.Measured && d.Cost.Seconds != nil {
		m.timed = m.timed.worse(timedOf(*d.Cost))
	}
	m.notes = once(m.notes, d.Cost.Notes)
	m.substitutions = once(m.substitutions, d.Cost.Substitutions)
}

// timeSteps are those of the sequence that a cost is of, over all its streams.
func timeSteps(c store.Cost) float64 {
	steps := 0
	for _, n := range c.Steps {
		steps += n
	}
	return float64(steps)
}

func timedOf(c store.Cost) *Timed {
	t := &Timed{Sequences: c.N}
	if c.SecondsLow != nil && c.SecondsHigh != nil && *c.Seconds > 0 {
		t.Spread = new((*c.SecondsHigh - *c.SecondsLow) / *c.Seconds)
	}
	return t
}

// worse has the fewer sequences of two and the wider spread, one that is not known the
// widest. A nil t is none yet.
func (t *Timed) worse(other *Timed) *Timed {
	if t == nil {
		return other
	}
	worst := &Timed{Sequences: min(t.Sequences, other.Sequences)}
	if t.Spread != nil && other.Spread != nil {
		worst.Spread = new(max(*t.Spread, *other.Spread))
	}
	return worst
}

// once adds what a list does not have yet.
func once[T comparable](list, more []T) []T {
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

func sum(parts []store.Part) float64 {
	total := 0.0
	for _, p := range parts {
		total += p.Value
	}
	return total
}

func (g *group) rows() ([]Row, error) {
	printed, err := published.For(g.published)
	if err != nil {
		return nil, err
	}
	var paperStyle []float64
	for _, e := range g.experiments {
		if e.PaperStyle != nil {
			paperStyle = append(paperStyle, *e.PaperStyle)
		}
	}
	var rows []Row
	for _, m := range g.machines {
		rows = append(rows, Row{
			Task: g.first.Task, Model: g.first.Model, Quantizer: g.first.Quantizer, Setting: g.setting,
			Normalization: g.published.Normalization, Backend: m.backend, Metric: g.first.Metric, Seeds: m.seeds, Steps: m.steps,
			Deployable: figure(m.metric, m.noMetric), Doubts: m.doubts,
			PaperStyle:     figure(paperStyle, "not measured"),
			RecurrentBytes: g.first.RecurrentBytes, DeployedBytes: m.deployedBytes,
			Energy: figure(m.energy, m.noEnergy), Seconds: figure(m.seconds, m.noTime),
			Measured: m.measured, Timed: m.timed, Notes: m.notes, Substitutions: m.substitutions, Published: printed,
		})
	}
	return rows, nil
}

// figure summarises values over seeds or draws.
func figure(values []float64, missing string) Figure {
	switch len(values) {
	case 0:
		if missing == "" {
			missing = "the backend gave no reason"
		}
		return Figure{Missing: missing}
	case 1:
		return Figure{N: 1, Mean: &values[0]}
	}
	mean, std := stat.MeanStdDev(values, nil)
	return Figure{N: len(values), Mean: &mean, Std: &std}
}
