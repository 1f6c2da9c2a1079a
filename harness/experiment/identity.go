package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bittern/accel/kernels/isa"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins"
)

// config is everything that determines an experiment's numbers. It identifies the
// experiment in the run store. Labels, the time between checkpoints and the backends are
// not part of it.
type config struct {
	Format    int            `json:"format"` // of this struct
	Task      string         `json:"task"`
	Data      string         `json:"data"` // name of the data set
	SHA256    string         `json:"sha256"`
	Options   plugins.Values `json:"options"` // of the task
	Model     configPlugin   `json:"model"`
	Quantizer configPlugin   `json:"quantizer"`
	Training  suite.Training `json:"training"`
	Seed      uint64         `json:"seed"`
	Threads   int            `json:"threads"`
	ISA       string         `json:"instruction_set"` // sums are rounded in another order on another
}

// deploymentConfig is everything beside the network that determines the figures of a
// deployment.
type deploymentConfig struct {
	configPlugin
	ISA string `json:"instruction_set"`
}

type configPlugin struct {
	Name    string         `json:"name"`
	Version string         `json:"version"`
	SHA256  string         `json:"sha256,omitempty"` // of an external plugin's executable
	Options plugins.Values `json:"options"`
}

func (s *Spec) config() (json.RawMessage, error) {
	return json.Marshal(config{
		Format:    4,
		Task:      s.Task.Task,
		Data:      s.Loaded.Data.Name,
		SHA256:    s.Loaded.Data.SHA256,
		Options:   s.Loaded.Options,
		Model:     s.Model.config(),
		Quantizer: s.Quantizer.config(),
		Training:  s.Task.Training,
		Seed:      s.Seed,
		Threads:   s.Threads,
		ISA:       isa.Numbers(),
	})
}

func (p Plugin) config() configPlugin {
	return configPlugin{Name: p.Name, Version: p.Description.Version, SHA256: p.SHA256, Options: p.Options}
}

// LoadTask loads the task that an experiment of the run store was trained on. Data that have
// changed since, or that are files of the user's own, are a *plugins.Problem.
func LoadTask(ctx context.Context, of store.Experiment, loader *task.Loader) (task.Task, error) {
	var c config
	if err := json.Unmarshal(of.Config, &c); err != nil {
		return nil, fmt.Errorf("reading what %s was trained on: %w", of.ID, err)
	}
	loaded, err := loader.Load(ctx, task.Request{Task: c.Task, Data: c.Data, Options: c.Options})
	if err != nil {
		return nil, err
	}
	if loaded.Data.SHA256 != c.SHA256 {
		return nil, plugins.Problemf("the data of %s have changed since it was trained; run its suite again", c.Data)
	}
	return loaded.Task, nil
}

// differences says in words what two configs do not share, such as
// "quantizer.version 1.0.0, now 1.1.0". Keys come in order.
func differences(stored, now json.RawMessage) (string, error) {
	var before, after any
	if err := json.Unmarshal(stored, &before); err != nil {
		return "", err
	}
	if err := json.Unmarshal(now, &after); err != nil {
		return "", err
	}
	var list []string
	compare("", before, after, &list)
	return strings.Join(list, "; "), nil
}

func compare(path string, before, after any, list *[]string) {
	b, bok := before.(map[string]any)
	a, aok := after.(map[string]any)
	if !bok || !aok {
		if fmt.Sprint(before) != fmt.Sprint(after) {
			*list = append(*list, fmt.Sprintf("%s %s, now %s", path, show(before), show(after)))
		}
		return
	}
	keys := maps.Clone(b)
	maps.Copy(keys, a)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		name := key
		if path != "" {
			name = path + "." + key
		}
		compare(name, b[key], a[key], list)
	}
}

// show is a value of a config as it is written in a sentence.
func show(value any) string {
	const digest = 64
	text := fmt.Sprint(value)
	switch {
	case value == nil:
		return "not given"
	case len(text) == digest:
		return text[:12] + "…"
	case strings.Contains(text, "\n"): // the content of a file
		return fmt.Sprintf("a file of %d bytes", len(text))
	}
	return text
}
