// Package suite reads the files that list what to run: tasks × models ×
// quantizers × seeds, trained as one recipe says and deployed on backends.
//
// A suite is YAML. Names stand as values in lists, and a plugin's options are
// written "name=value", as they would be on a command line, or as a mapping:
//
//	name: demo
//	seeds: [1]
//	tasks:
//	  - {data: gostd, batch: 32, length: 50}
//	  - {task: smnist}
//	models:
//	  - {label: lstm-128, plugin: lstm, options: [units=128, normalization=batch]}
//	quantizers:
//	  - {plugin: none}
//	  - {plugin: binaryconnect, model_options: {normalization: none}}
//	backends:
//	  - {plugin: cpu}
//	training: {learning_rate: 0.002, epochs: 5}
//
// Every combination is run, unless a model names the tasks that it is meant for, or a
// quantizer the models. A quantizer's model_options replace the model's own in its
// experiments, and a task's training keys replace the suite's.
//
// A suite may also be made of others, whose experiments it runs:
//
//	name: paper
//	parts: [paper-characters, paper-mnist]
//
// The tags of the structs below are the specification of the keys: they are
// what a file is checked against and what [Keys] lists. See [field].
package suite

import (
	"maps"
	"slices"

	"bittern/plugins"
)

// Suite is everything one suite file says, defaults filled in.
type Suite struct {
	Name    string `key:"name" required:"true" doc:"one word that names the suite in the run store and its table"`
	Summary string `key:"summary" doc:"what the suite is for, in a few words"`

	// Parts are the names of the suites that a suite is made of, and Suites are these
	// suites. Such a suite has Threads, Freeze and Backends, which its parts share; the
	// other fields below are empty.
	Parts  []string `key:"parts" min:"1" max:"64" doc:"suites whose experiments this one runs, by name or the path of their files; it has no other key then but name and summary"`
	Suites []*Suite

	Seeds   []uint64 `key:"seeds" required:"true" min:"1" max:"4096" flag:"seeds" doc:"every combination is trained once with each of these numbers"`
	Threads int      `key:"threads" min:"1" max:"1024" flag:"threads" doc:"workers inside a model's process; the last bits of results depend on it"`

	// Training stands before Tasks because a task's keys start from it.
	Training   Training    `key:"training" doc:"the recipe"`
	Tasks      []Task      `key:"tasks" required:"true" min:"1" max:"256" doc:"what is learnt"`
	Models     []Model     `key:"models" required:"true" min:"1" max:"256" doc:"what learns it"`
	Quantizers []Quantizer `key:"quantizers" required:"true" min:"1" max:"256" doc:"how weights become few bits"`
	Freeze     Freeze      `key:"freeze" doc:"how a trained network becomes a deployed one"`
	Backends   []Plugin    `key:"backends" max:"256" doc:"what each trained network is deployed on; none where the list is empty"`
}

// Task is one of [task.Definitions] with a data set. Besides the keys below, an entry has the
// options of its task as keys.
type Task struct {
	Label string `key:"label" doc:"the entry's name in tables; where it is left out the data set's, or the task's if that has one of its own"`
	Task  string `key:"task" doc:"what is learnt of the data"`
	Data  string `key:"data" doc:"a name that bittern data list shows; where it is left out the task's own, or the files that its options name"`

	// Options are the task's, defaults filled in.
	Options plugins.Values

	Place Place

	// Training is the suite's recipe with the task's own keys applied.
	Training Training `key:"training" doc:"keys that replace those of the suite's training for this task"`
}

// Plugin names a plugin and its settings. Label is how tables call it: the
// plugin's name where the file gives none.
type Plugin struct {
	Label   string         `key:"label" doc:"the entry's name in tables; the plugin's where it is left out"`
	Plugin  string         `key:"plugin" required:"true" doc:"a name that bittern plugins list shows"`
	Options plugins.Values `key:"options" doc:"as bittern plugins describe NAME lists them: [units=64] or {units: 64}"`
	SHA256  string         `key:"sha256" doc:"of an external plugin's executable, in 64 hexadecimal digits; another executable is refused"`

	Environment []string `key:"environment" max:"256" doc:"variables that an external plugin is given beside the few that every one has"`
	MemoryMiB   int      `key:"memory_mib" min:"0" max:"16777216" doc:"most memory that its process may use, in MiB; 0 is no limit"`
	Processors  int      `key:"processors" min:"0" max:"1024" doc:"how many processors it runs on; 0 is all"`

	Place Place
}

// Model is a model plugin.
type Model struct {
	Plugin
	Tasks []string `key:"tasks" max:"256" doc:"labels of the only tasks it is meant for; all where the list is empty"`
}

// Quantizer is a quantizer plugin.
type Quantizer struct {
	Plugin
	Models       []string       `key:"models" max:"256" doc:"labels of the only models it is meant for; all where the list is empty"`
	ModelOptions plugins.Values `key:"model_options" doc:"options that replace the model's own in this quantizer's experiments"`

	modelOptions Place // where those stand
}

// Combination is one experiment of a suite: a task, a model, a quantizer and a seed.
type Combination struct {
	Suite     string // that lists it: one of the parts, or the suite itself
	Task      Task
	Model     Plugin
	Quantizer Plugin
	Seed      uint64
}

// Combinations lists every experiment in the order it is run: part after part, seeds
// innermost, so that the rows of a table are finished one after another. Two parts may
// list the same experiment.
func (s *Suite) Combinations() []Combination {
	var all []Combination
	for _, part := range s.Suites {
		all = append(all, part.Combinations()...)
	}
	s.each(func(task Task, model Model, quantizer Quantizer) {
		for _, seed := range s.Seeds {
			all = append(all, Combination{
				Suite:     s.Name,
				Task:      task,
				Model:     model.with(quantizer),
				Quantizer: quantizer.Plugin,
				Seed:      seed,
			})
		}
	})
	return all
}

// size counts the experiments.
func (s *Suite) size() int {
	n := 0
	for _, part := range s.Suites {
		n += part.size()
	}
	s.each(func(Task, Model, Quantizer) { n += len(s.Seeds) })
	return n
}

// each calls visit for every combination that is meant to be.
func (s *Suite) each(visit func(Task, Model, Quantizer)) {
	for _, task := range s.Tasks {
		for _, model := range s.Models {
			if !meant(model.Tasks, task.Label) {
				continue
			}
			for _, quantizer := range s.Quantizers {
				if meant(quantizer.Models, model.Label) {
					visit(task, model, quantizer)
				}
			}
		}
	}
}

// meant says whether a list of labels admits label; an empty list admits all.
func meant(labels []string, label string) bool {
	return len(labels) == 0 || slices.Contains(labels, label)
}

// with is the model with the options that a quantizer replaces.
func (m Model) with(q Quantizer) Plugin {
	plugin := m.Plugin
	plugin.Options = make(plugins.Values, len(m.Options)+len(q.ModelOptions))
	maps.Copy(plugin.Options, m.Options)
	maps.Copy(plugin.Options, q.ModelOptions)
	plugin.Place.options = make(map[string]string, len(plugin.Options))
	maps.Copy(plugin.Place.options, m.Place.options)
	maps.Copy(plugin.Place.options, q.modelOptions.options)
	return plugin
}
