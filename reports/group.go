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
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins/model"
)

// group is the experiments of one setting, one for each seed.
type group struct {
	settings    map[string]string // see settingsOf
	setting     string            // see Network
	first       store.Experiment
	published   published.Setting
	experiments []*Experiment
	machines    []*machine
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

// settingsOf returns everything that determines an experiment's figures except its seed: the
// values of its configuration and of its freeze by their paths, as in "training.epochs".
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
	settings[arithmeticKey] = arithmetic(settings)
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

// publishedSetting returns the setting by which published results of an experiment are found.
func publishedSetting(c store.Experiment) (published.Setting, error) {
	var parts struct {
		Task      string `json:"task"`
		Data      string `json:"data"`
		Quantizer struct {
			Name    string            `json:"name"`
			Options map[string]string `json:"options"`
		} `json:"quantizer"`
	}
	if err := json.Unmarshal(c.Config, &parts); err != nil {
		return published.Setting{}, fmt.Errorf("the configuration of experiment %s: %w", c.ID, err)
	}
	if c.Setting(model.SettingHiddenBits) != "" {
		return published.Setting{}, nil // no result with rounded hidden states is recorded
	}
	e := published.Setting{
		Task: parts.Task, Data: parts.Data, Quantizer: parts.Quantizer.Name, Options: parts.Quantizer.Options,
		Cell: c.Setting(model.SettingCell), Normalization: c.Setting(model.SettingNormalization),
		Bidirectional: c.Setting(model.SettingBidirectional) == "true",
	}
	// A model without these settings matches no published result.
	for setting, field := range map[string]*int{model.SettingUnits: &e.Units, model.SettingLayers: &e.Layers} {
		if n, err := strconv.Atoi(c.Setting(setting)); err == nil {
			*field = n
		}
	}
	return e, nil
}

// distinguish notes what tells groups with the same labels, which follow each other, apart.
func distinguish(groups []*group) {
	for len(groups) > 0 {
		n := 1
		for n < len(groups) && entryOf(groups[n].first) == entryOf(groups[0].first) {
			n++
		}
		if n > 1 {
			distinguishAlike(groups[:n])
		}
		for _, g := range groups[:n] {
			g.nameArithmetic()
		}
		groups = groups[n:]
	}
}

// nameArithmetic has the setting of a group name its arithmetic, if that is not float32.
func (g *group) nameArithmetic() {
	if a := arithmetic(g.settings); a != string(model.Float32) && !strings.Contains(g.setting, a) {
		g.setting = strings.TrimSuffix(a+", "+g.setting, ", ")
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
	// Groups that differ only in the length of their training are best told apart by steps.
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
	for _, d := range e.Deployments {
		if d.Status == store.Done || d.Status == store.Unsupported {
			g.machine(d.Backend).add(e.Seed, d)
		}
	}
}

// machine returns the figures of the backend with this label.
func (g *group) machine(backend string) *machine {
	for _, m := range g.machines {
		if m.Backend == backend {
			return m
		}
	}
	m := &machine{Deployment: Deployment{Backend: backend}}
	g.machines = append(g.machines, m)
	return m
}

// once appends to a list what it does not have yet.
func once[T comparable](list, more []T) []T {
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

func (g *group) network() (*Network, error) {
	printed, err := published.For(g.published)
	if err != nil {
		return nil, err
	}
	recipe, _ := strconv.Atoi(g.settings["training.epochs"]) // 0 where the configuration has none
	n := &Network{
		Task: g.first.Task, Model: g.first.Model, Quantizer: g.first.Quantizer, Setting: g.setting,
		Normalization: g.published.Normalization, Metric: g.first.Metric, RecipeEpochs: recipe,
		Arithmetic:  arithmetic(g.settings),
		WeightBytes: g.first.RecurrentBytes, DeployedBytes: float64(g.first.DeployedBytes),
		Published: printed, Deployments: []Deployment{},
	}
	var deployable, paperStyle, bits, epochs []float64
	for _, e := range g.experiments {
		n.Seeds, n.Steps = append(n.Seeds, e.Seed), insert(n.Steps, e.Steps)
		if e.FrozenModel != nil {
			deployable = append(deployable, *e.FrozenModel)
		}
		if e.PaperStyle != nil {
			paperStyle = append(paperStyle, *e.PaperStyle)
		}
		if b := e.BitsPerWeight(); b > 0 {
			bits = append(bits, b)
		}
		passes, err := e.epochs()
		if err != nil {
			return nil, err
		}
		if passes > 0 {
			epochs = append(epochs, passes)
		}
		if doubt := e.doubt(); doubt != "" {
			n.Doubts = append(n.Doubts, Doubt{e.Seed, doubt})
		}
	}
	n.Deployable, n.PaperStyle = figure(deployable, "not measured"), figure(paperStyle, "not measured")
	n.BitsPerWeight = figure(bits, "an older bittern froze the network and did not store it")
	n.Epochs = figure(epochs, "the steps of an epoch are not stored")
	for _, m := range g.machines {
		n.Deployments = append(n.Deployments, m.deployment())
	}
	return n, nil
}

// epochs are the passes over the data that an experiment was trained for; 0 where they
// are not known. Where the steps of a pass are not stored, the first validation tells
// them if there is one after each pass.
func (e *Experiment) epochs() (float64, error) {
	var made provenance.Experiment
	if err := json.Unmarshal(e.Provenance, &made); err != nil {
		return 0, fmt.Errorf("the provenance of experiment %s: %w", e.ID, err)
	}
	if made.StepsPerEpoch > 0 {
		return float64(e.Steps) / float64(made.StepsPerEpoch), nil
	}
	var config struct {
		Training struct {
			ValidateEvery *int `json:"validate_every"`
		} `json:"training"`
	}
	if err := json.Unmarshal(e.Config, &config); err != nil {
		return 0, fmt.Errorf("the configuration of experiment %s: %w", e.ID, err)
	}
	every := config.Training.ValidateEvery
	if every == nil || *every != 0 || e.Epochs == 0 || len(e.Validations) == 0 {
		return 0, nil
	}
	return float64(e.Steps) / float64(e.Validations[0].Step), nil
}

// doubt says why an experiment's deployable score is not to be trusted: backends compute its
// artifact, and none of them agrees with the model.
func (e *Experiment) doubt() string {
	var doubts []string
	for _, d := range e.Deployments {
		if d.Metric == nil {
			continue
		}
		if d.Doubt == "" {
			return ""
		}
		doubts = append(doubts, d.Doubt)
	}
	return strings.Join(doubts, "; ")
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
