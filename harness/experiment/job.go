package experiment

import (
	"context"
	"encoding/json"
	"errors"

	"bittern/accel/kernels/isa"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
)

// Job is an experiment as it is sent to another machine: everything but data and executables,
// which that machine has itself.
type Job struct {
	ID     string          `json:"id"`
	Config json.RawMessage `json:"config"` // that ID is made from

	Task suite.Task `json:"task"`

	// What the JSON of Task leaves out.
	CheckpointSteps      int  `json:"checkpoint_every_steps"`
	CheckpointSeconds    int  `json:"checkpoint_every_seconds"`
	PaperStyleValidation bool `json:"paper_style_validation,omitempty"`

	Model     JobPlugin    `json:"model"`
	Quantizer JobPlugin    `json:"quantizer"`
	Backends  []JobPlugin  `json:"backends"`
	Seed      uint64       `json:"seed"`
	Threads   int          `json:"threads"`
	Freeze    suite.Freeze `json:"freeze"`
}

// JobPlugin is a plugin of a job, with its options resolved.
type JobPlugin struct {
	Label       string         `json:"label"`
	Name        string         `json:"name"`
	Version     string         `json:"version"`
	SHA256      string         `json:"sha256,omitempty"` // of an external plugin's executable
	Environment []string       `json:"environment,omitempty"`
	Limits      host.Limits    `json:"limits"`
	Options     plugins.Values `json:"options"`
}

// Job is the experiment, to be sent.
func (s *Spec) Job() (Job, error) {
	row, err := s.Row()
	if err != nil {
		return Job{}, err
	}
	task := s.Task
	task.Place = suite.Place{} // of a file that the other machine does not have
	j := Job{
		ID: row.ID, Config: row.Config,
		Task: task, CheckpointSteps: task.Training.CheckpointSteps, CheckpointSeconds: task.Training.CheckpointSeconds,
		PaperStyleValidation: task.Training.PaperStyleValidation, Model: s.Model.job(), Quantizer: s.Quantizer.job(), Seed: s.Seed, Threads: s.Threads, Freeze: s.Freeze,
	}
	for _, b := range s.Backends {
		j.Backends = append(j.Backends, b.job())
	}
	return j, nil
}

func (p Plugin) job() JobPlugin {
	return JobPlugin{
		Label: p.Label, Name: p.Name, Version: p.Description.Version, SHA256: p.SHA256,
		Environment: p.Environment, Limits: p.Limits, Options: p.Options,
	}
}

// Plugins lists the plugins that a machine needs for the job.
func (j Job) Plugins() map[plugins.ID]JobPlugin {
	all := map[plugins.ID]JobPlugin{
		{Kind: plugins.KindModel, Name: j.Model.Name}:         j.Model,
		{Kind: plugins.KindQuantizer, Name: j.Quantizer.Name}: j.Quantizer,
	}
	for _, b := range j.Backends {
		all[plugins.ID{Kind: plugins.KindBackend, Name: b.Name}] = b
	}
	return all
}

// Fits makes sure that an experiment which this machine has made of the job is the same one.
// If not, the [*plugins.Problem] says what differs.
func (j Job) Fits(s *Spec) error {
	row, err := s.Row()
	if err != nil || row.ID == j.ID {
		return err
	}
	why, err := differences(j.Config, row.Config)
	if err != nil {
		return err
	}
	return plugins.Problemf("this machine would train another experiment than %s: %s", s, why)
}

// Complete says whether everything of an experiment is in a journal: its network trained and
// frozen as the suite says, and a deployment that did not fail on every backend.
func Complete(ctx context.Context, journal storage.Journal, s *Spec) (bool, error) {
	fresh, err := s.Row()
	if err != nil {
		return false, err
	}
	row, err := journal.Experiment(ctx, fresh.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || row.Status != store.Done {
		return false, err
	}
	freeze, err := json.Marshal(s.Freeze)
	if err != nil || string(freeze) != string(row.Freeze) {
		return false, err
	}
	known, err := journal.Deployments(ctx, row.ID)
	if err != nil {
		return false, err
	}
	for _, b := range s.Backends {
		config, err := b.deploymentConfig()
		if err != nil || !deployed(known, b.Label, config) {
			return false, err
		}
	}
	return true, nil
}

func (p Plugin) deploymentConfig() (json.RawMessage, error) {
	return json.Marshal(deploymentConfig{configPlugin: p.config(), ISA: isa.Numbers()})
}

// deployed says whether a deployment on a backend with these settings is known and did not fail.
func deployed(known []store.Deployment, label string, config json.RawMessage) bool {
	for _, d := range known {
		if d.Backend == label && string(d.Config) == string(config) && d.Status != store.Failed && d.Status != store.Damaged {
			return true
		}
	}
	return false
}
