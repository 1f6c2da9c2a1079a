// Package suite reads the files that list what to run: tasks × models ×
// quantizers × seeds, trained as one recipe says and deployed on backends.
//
// A suite is YAML. Names stand as values in lists, and a plugin's options are
// written "name=value", as they would be on a command line:
//
//	name: demo
//	seeds: [1]
//	tasks:
//	  - {corpus: gostd, batch: 32, length: 50}
//	models:
//	  - {label: lstm-128, plugin: lstm, options: [units=128, normalization=batch]}
//	quantizers:
//	  - {plugin: none}
//	  - {plugin: binaryconnect, model_options: [normalization=none]}
//	backends:
//	  - {plugin: cpu}
//	training: {learning_rate: 0.002, epochs: 5}
//
// Every combination is run, but where a model names the tasks it is meant for,
// or a quantizer the models. A quantizer's model_options replace the model's
// own for its experiments, and a task's training keys replace the suite's.
package suite

import (
	"slices"

	"bittern/plugins"
)

// Suite is everything one suite file says, defaults filled in.
type Suite struct {
	Name       string      `mapstructure:"name"`
	Summary    string      `mapstructure:"summary"`
	Seeds      []uint64    `mapstructure:"seeds"`
	Threads    int         `mapstructure:"threads"` // workers inside a model process; numbers depend on it
	Tasks      []Task      `mapstructure:"tasks"`
	Models     []Model     `mapstructure:"models"`
	Quantizers []Quantizer `mapstructure:"quantizers"`
	Backends   []Plugin    `mapstructure:"backends"`
	Training   Training    `mapstructure:"training"`
}

// Task is a corpus cut into batches of Batch windows of Length symbols.
type Task struct {
	Label  string `mapstructure:"label"` // the corpus where empty
	Corpus string `mapstructure:"corpus"`
	Bytes  int    `mapstructure:"bytes"` // use only the corpus's first bytes; 0 = all
	Batch  int    `mapstructure:"batch"`
	Length int    `mapstructure:"length"`

	// Override holds the training keys this task sets for itself; Training
	// is the suite's recipe with them applied.
	Override map[string]any `mapstructure:"training"`
	Training Training       `mapstructure:"-"`
}

// Plugin names a plugin and its settings. Label is how tables call it: the
// plugin's name where empty.
type Plugin struct {
	Label   string         `mapstructure:"label"`
	Plugin  string         `mapstructure:"plugin"`
	Options plugins.Values `mapstructure:"options"`
	SHA256  string         `mapstructure:"sha256"` // of an external plugin's executable, hex

	// Environment names the variables that an external plugin is given beside
	// the few that every one has.
	Environment []string `mapstructure:"environment"`
	MemoryMiB   int      `mapstructure:"memory_mib"` // most that its process may use; 0 = no limit
	Processors  int      `mapstructure:"processors"` // it runs on; 0 = all
}

// Model is a model plugin. Tasks limits it to the tasks with these labels.
type Model struct {
	Plugin `mapstructure:",squash"`
	Tasks  []string `mapstructure:"tasks"`
}

// Quantizer is a quantizer plugin. Models limits it to the models with these
// labels; ModelOptions replace the model's options in its experiments, as for
// BinaryConnect without normalization.
type Quantizer struct {
	Plugin       `mapstructure:",squash"`
	Models       []string       `mapstructure:"models"`
	ModelOptions plugins.Values `mapstructure:"model_options"`
}

// Combination is one experiment of a suite: a task, a model, a quantizer and a seed.
type Combination struct {
	Task      Task
	Model     Plugin
	Quantizer Plugin
	Seed      uint64
}

// Combinations lists every experiment in the order it is run: seeds innermost, so
// that the rows of a table are finished one after another.
func (s *Suite) Combinations() []Combination {
	var all []Combination
	for _, task := range s.Tasks {
		for _, model := range s.Models {
			if !meant(model.Tasks, task.Label) {
				continue
			}
			for _, quantizer := range s.Quantizers {
				if !meant(quantizer.Models, model.Label) {
					continue
				}
				for _, seed := range s.Seeds {
					all = append(all, Combination{
						Task:      task,
						Model:     model.with(quantizer.ModelOptions),
						Quantizer: quantizer.Plugin,
						Seed:      seed,
					})
				}
			}
		}
	}
	return all
}

// meant says whether a list of labels admits label; an empty list admits all.
func meant(labels []string, label string) bool {
	return len(labels) == 0 || slices.Contains(labels, label)
}

func (m Model) with(replacements plugins.Values) Plugin {
	plugin := m.Plugin
	plugin.Options = make(plugins.Values, len(m.Options)+len(replacements))
	for name, value := range m.Options {
		plugin.Options[name] = value
	}
	for name, value := range replacements {
		plugin.Options[name] = value
	}
	return plugin
}
