package experiment

import (
	"encoding/json"
	"fmt"
	"slices"

	"bittern/harness/dataset"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins"
)

// Plugin is a plugin as an experiment uses it: found, described, its options resolved.
type Plugin struct {
	Label       string
	Name        string
	SHA256      string // of an external plugin's executable; empty where the suite gives none
	Options     plugins.Values
	Description plugins.Description
}

func (p Plugin) String() string { return p.Name + " " + p.Description.Version }

// has says whether the plugin claims a trait.
func (p Plugin) has(trait string) bool { return slices.Contains(p.Description.Traits, trait) }

// Spec is everything that is needed to run one experiment.
type Spec struct {
	Task      suite.Task
	Corpus    *dataset.Text
	Model     Plugin
	Quantizer Plugin
	Seed      uint64
	Threads   int
	Backends  []Plugin
}

// String names the experiment for people: what is trained on what.
func (s *Spec) String() string {
	return fmt.Sprintf("%s, %s, %s, seed %d", s.Task.Label, s.Model.Label, s.Quantizer.Label, s.Seed)
}

// Row is the experiment as the run store first knows it.
func (s *Spec) Row() (store.Experiment, error) {
	config, err := s.config()
	if err != nil {
		return store.Experiment{}, err
	}
	id, canonical, err := store.ID(config)
	return store.Experiment{
		ID: id, Config: canonical, Status: store.Pending,
		Task: s.Task.Label, Model: s.Model.Label, Quantizer: s.Quantizer.Label, Seed: s.Seed,
	}, err
}

// task makes the task that the experiment is trained on.
func (s *Spec) task() (task.Task, error) {
	return task.NewLanguageModel(s.Corpus, s.Task.Batch, s.Task.Length)
}

// config is what determines an experiment's numbers, and so its identity in the run
// store: not its labels, nor how often it saves, nor where it is deployed.
type config struct {
	Format    int            `json:"format"` // of this struct
	Corpus    string         `json:"corpus"`
	SHA256    string         `json:"sha256"`
	Bytes     int            `json:"bytes"` // cap; 0 = all
	Batch     int            `json:"batch"`
	Length    int            `json:"length"`
	Model     configPlugin   `json:"model"`
	Quantizer configPlugin   `json:"quantizer"`
	Training  suite.Training `json:"training"`
	Seed      uint64         `json:"seed"`
	Threads   int            `json:"threads"`
}

type configPlugin struct {
	Name    string         `json:"name"`
	Version string         `json:"version"`
	SHA256  string         `json:"sha256,omitempty"`
	Options plugins.Values `json:"options"`
}

func (s *Spec) config() (json.RawMessage, error) {
	return json.Marshal(config{
		Format:    1,
		Corpus:    s.Task.Corpus,
		SHA256:    s.Corpus.SHA256,
		Bytes:     s.Task.Bytes,
		Batch:     s.Task.Batch,
		Length:    s.Task.Length,
		Model:     s.Model.config(),
		Quantizer: s.Quantizer.config(),
		Training:  s.Task.Training,
		Seed:      s.Seed,
		Threads:   s.Threads,
	})
}

func (p Plugin) config() configPlugin {
	return configPlugin{Name: p.Name, Version: p.Description.Version, SHA256: p.SHA256, Options: p.Options}
}
