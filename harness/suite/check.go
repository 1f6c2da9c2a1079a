package suite

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bittern/harness/task"
	"bittern/plugins"
)

// complete fills in the data set and the options that a task's entry leaves out. It returns
// a fault if they cannot go together.
func (s *Suite) complete() *fault {
	for i := range s.Tasks {
		entry := &s.Tasks[i]
		definition, err := task.Find(entry.Task)
		if err != nil {
			return faultOf(fmt.Sprintf("tasks[%d].task", i), "%s", err)
		}
		label := entry.Data
		if definition.Data != "" || label == "" {
			label = entry.Task
		}
		if entry.Data, entry.Options, err = definition.Resolve(entry.Data, entry.Options); err != nil {
			return faultOf(fmt.Sprintf("tasks[%d]", i), "tasks[%d]: %s", i, err)
		}
		fill(&entry.Label, label)
	}
	return nil
}

// label gives every entry without a label the name of what it uses.
func (s *Suite) label() {
	for i := range s.Models {
		fill(&s.Models[i].Label, s.Models[i].Plugin.Plugin)
	}
	for i := range s.Quantizers {
		fill(&s.Quantizers[i].Label, s.Quantizers[i].Plugin.Plugin)
	}
	for i := range s.Backends {
		fill(&s.Backends[i].Label, s.Backends[i].Plugin)
	}
}

func fill(label *string, name string) {
	if *label == "" {
		*label = name
	}
}

// maxExperiments bounds what one suite may ask for: at a minute each, this
// many take two months.
const maxExperiments = 100_000

// check finds what the tags of single keys cannot say. Its faults have the
// path of the key and no line.
func (s *Suite) check() *fault {
	if s.Name == "" || strings.ContainsAny(s.Name, "/\\ ") {
		return faultOf("name", "name must be one word, such as char-small, not %s", quote(s.Name))
	}
	if len(s.Suites) > 0 {
		return s.checkSize()
	}
	if f := checkSeeds(s.Seeds); f != nil {
		return f
	}
	for i, entry := range s.Tasks {
		if f := entry.Training.check(); f != nil {
			f.path = fmt.Sprintf("tasks[%d].training.%s", i, f.path)
			f.text = fmt.Sprintf("training of task %s: %s", quote(entry.Label), f.text)
			return f
		}
	}
	if f := s.checkEntries(); f != nil {
		return f
	}
	if n := s.size(); n == 0 {
		return faultOf("", "no combination is left: widen the tasks of its models or the models of its quantizers")
	}
	return s.checkSize()
}

func (s *Suite) checkSize() *fault {
	if n := s.size(); n > maxExperiments {
		return faultOf("", "it asks for %d experiments, and one suite may have %d; split it", n, maxExperiments)
	}
	return nil
}

func checkSeeds(seeds []uint64) *fault {
	known := make(map[uint64]bool, len(seeds))
	for i, seed := range seeds {
		if known[seed] {
			return faultOf(fmt.Sprintf("seeds[%d]", i), "seed %d is listed twice", seed)
		}
		known[seed] = true
	}
	return nil
}

// checkEntries looks at the labels of tasks, models, quantizers and backends,
// at where they are named, and at checksums.
func (s *Suite) checkEntries() *fault {
	tasks, f := unique("task", "tasks", s.Tasks, func(t Task) string { return t.Label })
	if f != nil {
		return f
	}
	models, f := unique("model", "models", s.Models, func(m Model) string { return m.Label })
	if f != nil {
		return f
	}
	for i, m := range s.Models {
		path := fmt.Sprintf("models[%d]", i)
		if f := m.check(path, plugins.KindModel); f != nil {
			return f
		}
		if f := known(path+".tasks", "model "+quote(m.Label), "task", m.Tasks, tasks); f != nil {
			return f
		}
	}
	if _, f := unique("quantizer", "quantizers", s.Quantizers, func(q Quantizer) string { return q.Label }); f != nil {
		return f
	}
	for i, q := range s.Quantizers {
		path := fmt.Sprintf("quantizers[%d]", i)
		if f := q.check(path, plugins.KindQuantizer); f != nil {
			return f
		}
		if f := known(path+".models", "quantizer "+quote(q.Label), "model", q.Models, models); f != nil {
			return f
		}
	}
	if _, f := unique("backend", "backends", s.Backends, func(b Plugin) string { return b.Label }); f != nil {
		return f
	}
	for i, b := range s.Backends {
		if f := b.check(fmt.Sprintf("backends[%d]", i), plugins.KindBackend); f != nil {
			return f
		}
	}
	return nil
}

func (p Plugin) check(path string, kind plugins.Kind) *fault {
	for i, name := range p.Environment {
		if name == "" || strings.ContainsAny(name, "= \t\n\x00") {
			return faultOf(fmt.Sprintf("%s.environment[%d]", path, i), "%s %s: environment must list names of variables, such as [CUDA_HOME], not %s", kind, quote(p.Label), quote(name))
		}
	}
	if digest, err := hex.DecodeString(p.SHA256); err != nil || len(digest) != 32 && p.SHA256 != "" {
		return faultOf(path+".sha256", "%s %s: sha256 must be 64 hexadecimal digits", kind, quote(p.Label))
	}
	return nil
}

func (t Training) check() *fault {
	switch {
	case t.DecayOnRise > 0 && t.DecayOnRise <= 1:
		return faultOf("decay_on_rise", "decay_on_rise must be above 1, or 0 to be off, not %v", t.DecayOnRise)
	case t.DecayOnRise > 0 && t.Decay != Constant:
		return faultOf("decay_on_rise", "decay_on_rise needs decay: constant")
	case t.DecayOnRise > 0 && t.FinalLearningRate > t.LearningRate:
		return faultOf("final_learning_rate", "final_learning_rate must not be above learning_rate where decay_on_rise divides it down")
	case t.Decay == Constant && t.FinalLearningRate != 0 && t.DecayOnRise == 0:
		return faultOf("final_learning_rate", "final_learning_rate needs decay: exponential or decay_on_rise")
	case t.Decay == Exponential && t.FinalLearningRate == 0:
		return faultOf("decay", "decay: exponential needs a final_learning_rate above 0")
	}
	return nil
}

// unique returns the labels of entries. Two that are the same are a fault.
func unique[T any](what, path string, list []T, label func(T) string) (map[string]bool, *fault) {
	labels := make(map[string]bool, len(list))
	for i, entry := range list {
		l := label(entry)
		if labels[l] {
			return nil, faultOf(fmt.Sprintf("%s[%d].label", path, i), "two %ss are called %s; give one of them another label", what, quote(l))
		}
		labels[l] = true
	}
	return labels, nil
}

func known(path, owner, what string, named []string, labels map[string]bool) *fault {
	for i, name := range named {
		if !labels[name] {
			return faultOf(fmt.Sprintf("%s[%d]", path, i), "%s is meant for the %s %s, which is not listed%s",
				owner, what, quote(name), plugins.DidYouMean(shorten(name), slices.Sorted(maps.Keys(labels))))
		}
	}
	return nil
}
