package experiment

import (
	"fmt"
	"slices"

	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// Plugin is a plugin as an experiment uses it: found, described, its options resolved.
type Plugin struct {
	Label       string
	Name        string
	SHA256      string // of an external plugin's executable; empty for a built-in one
	Environment []string
	Limits      host.Limits // they change no number, so they are no part of the identity
	Options     plugins.Values
	Description plugins.Description
}

func (p Plugin) String() string { return p.Name + " " + p.Description.Version }

// Has says whether the plugin claims a trait.
func (p Plugin) Has(trait string) bool { return slices.Contains(p.Description.Traits, trait) }

// Listing is the place of an experiment in the list of a suite, and its labels there.
type Listing struct {
	Suite                  string
	Position               int
	Task, Model, Quantizer string
}

// Spec is everything that is needed to run one experiment.
type Spec struct {
	Task      suite.Task
	Loaded    task.Loaded // what Task names
	Model     Plugin
	Quantizer Plugin
	Seed      uint64
	Threads   int
	Freeze    suite.Freeze
	Backends  []Plugin

	// Listings are the places of the experiment in its suite and, if that is made of parts,
	// in each part that lists it.
	Listings []Listing
}

// String names the experiment for people: what is trained on what.
func (s *Spec) String() string {
	return fmt.Sprintf("%s, %s, %s, seed %d", s.Task.Label, s.Model.Label, s.Quantizer.Label, s.Seed)
}

// Untimed is the experiment without those backends that time themselves on this machine, which
// are best left to a machine that does nothing else meanwhile.
func (s *Spec) Untimed() *Spec {
	untimed := *s
	untimed.Backends = slices.DeleteFunc(slices.Clone(s.Backends), func(p Plugin) bool { return p.Has(backend.TraitTimed) })
	return &untimed
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
