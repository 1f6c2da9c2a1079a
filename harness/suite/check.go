package suite

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"bittern/plugins"
	"bittern/plugins/model"
)

// label gives every entry without a label the name of what it uses.
func (s *Suite) label() {
	for i := range s.Tasks {
		fill(&s.Tasks[i].Label, s.Tasks[i].Corpus)
	}
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

// Limits that keep a slip of the keyboard from asking for the machine's whole
// memory or for a run without end.
const (
	maxThreads   = 1024
	maxMemoryMiB = 1 << 24
	maxBatch     = 1 << 16
	maxLength    = 1 << 20
	maxEpochs    = 1 << 20
	maxSteps     = 1 << 40
)

func (s *Suite) check() error {
	if s.Name == "" || strings.ContainsAny(s.Name, "/\\ \t\n") {
		return fmt.Errorf("name must be one word, such as char-small")
	}
	if err := within("threads", s.Threads, 1, maxThreads); err != nil {
		return err
	}
	if len(s.Seeds) == 0 {
		return fmt.Errorf("seeds must list at least one number, such as [1, 2, 3]")
	}
	for i, seed := range s.Seeds {
		if slices.Contains(s.Seeds[:i], seed) {
			return fmt.Errorf("seed %d is listed twice", seed)
		}
	}
	for _, list := range []struct {
		name string
		n    int
	}{{"tasks", len(s.Tasks)}, {"models", len(s.Models)}, {"quantizers", len(s.Quantizers)}} {
		if list.n == 0 {
			return fmt.Errorf("%s must list at least one entry", list.name)
		}
	}
	if err := s.checkTasks(); err != nil {
		return err
	}
	if err := s.checkPlugins(); err != nil {
		return err
	}
	if len(s.Combinations()) == 0 {
		return fmt.Errorf("no combination is left: widen the tasks of its models or the models of its quantizers")
	}
	return nil
}

func (s *Suite) checkTasks() error {
	for _, task := range s.Tasks {
		if task.Corpus == "" {
			return fmt.Errorf("every task must name a corpus")
		}
		if task.Bytes < 0 {
			return fmt.Errorf("task %s: bytes must not be negative", task.Label)
		}
		for _, bound := range []struct {
			name  string
			value int
			max   int
		}{{"batch", task.Batch, maxBatch}, {"length", task.Length, maxLength}} {
			if err := within(bound.name, bound.value, 1, bound.max); err != nil {
				return fmt.Errorf("task %s: %w", task.Label, err)
			}
		}
		if err := task.Training.check(); err != nil {
			return fmt.Errorf("training of task %s: %w", task.Label, err)
		}
	}
	return unique("task", s.Tasks, func(t Task) string { return t.Label })
}

func (s *Suite) checkPlugins() error {
	tasks := labels(s.Tasks, func(t Task) string { return t.Label })
	models := labels(s.Models, func(m Model) string { return m.Label })
	for _, m := range s.Models {
		if err := m.check(plugins.KindModel); err != nil {
			return err
		}
		if err := known("model "+m.Label, "task", m.Tasks, tasks); err != nil {
			return err
		}
	}
	for _, q := range s.Quantizers {
		if err := q.check(plugins.KindQuantizer); err != nil {
			return err
		}
		if err := known("quantizer "+q.Label, "model", q.Models, models); err != nil {
			return err
		}
	}
	for _, b := range s.Backends {
		if err := b.check(plugins.KindBackend); err != nil {
			return err
		}
	}
	if err := unique("model", s.Models, func(m Model) string { return m.Label }); err != nil {
		return err
	}
	if err := unique("quantizer", s.Quantizers, func(q Quantizer) string { return q.Label }); err != nil {
		return err
	}
	return unique("backend", s.Backends, func(b Plugin) string { return b.Label })
}

func (p Plugin) check(kind plugins.Kind) error {
	if p.Plugin == "" {
		return fmt.Errorf("every %s must name its plugin", kind)
	}
	for _, name := range p.Environment {
		if name == "" || strings.ContainsAny(name, "= \t\n\x00") {
			return fmt.Errorf("%s %s: environment must list names of variables, such as [CUDA_HOME], not %q", kind, p.Label, name)
		}
	}
	if err := within("memory_mib", p.MemoryMiB, 0, maxMemoryMiB); err != nil {
		return fmt.Errorf("%s %s: %w", kind, p.Label, err)
	}
	if err := within("processors", p.Processors, 0, maxThreads); err != nil {
		return fmt.Errorf("%s %s: %w", kind, p.Label, err)
	}
	if p.SHA256 == "" {
		return nil
	}
	if digest, err := hex.DecodeString(p.SHA256); err != nil || len(digest) != 32 {
		return fmt.Errorf("%s %s: sha256 must be 64 hexadecimal digits", kind, p.Label)
	}
	return nil
}

func (t Training) check() error {
	if t.Optimiser != model.Adam && t.Optimiser != model.SGD {
		return fmt.Errorf("optimiser %q must be %s or %s", t.Optimiser, model.Adam, model.SGD)
	}
	if !positive(t.LearningRate) {
		return fmt.Errorf("learning_rate must be a number above 0, not %v", t.LearningRate)
	}
	switch t.Decay {
	case Constant:
		if t.FinalLearningRate != 0 {
			return fmt.Errorf("final_learning_rate needs decay: exponential")
		}
	case Exponential:
		if !positive(t.FinalLearningRate) {
			return fmt.Errorf("final_learning_rate must be a number above 0 with exponential decay, not %v", t.FinalLearningRate)
		}
	default:
		return fmt.Errorf("decay %q must be %s or %s", t.Decay, Constant, Exponential)
	}
	if t.ClipNorm < 0 || math.IsNaN(t.ClipNorm) || math.IsInf(t.ClipNorm, 0) {
		return fmt.Errorf("clip_norm must be a number that is not negative, not %v", t.ClipNorm)
	}
	for _, bound := range []struct {
		name     string
		value    int
		min, max int
	}{
		{"epochs", t.Epochs, 1, maxEpochs},
		{"steps", t.Steps, 0, maxSteps},
		{"validate_every", t.ValidateEvery, 0, maxSteps},
		{"patience", t.Patience, 0, maxSteps},
		{"reset_moments_every", t.ResetMomentsEvery, 0, maxSteps},
		{"calibration_batches", t.Calibration, 1, maxSteps},
		{"checkpoint_every_steps", t.CheckpointSteps, 0, maxSteps},
		{"checkpoint_every_seconds", t.CheckpointSeconds, 0, maxSteps},
	} {
		if err := within(bound.name, bound.value, bound.min, bound.max); err != nil {
			return err
		}
	}
	return nil
}

func positive(f float64) bool { return f > 0 && !math.IsInf(f, 0) }

func within(name string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%s must be between %d and %d, not %d", name, low, high, value)
	}
	return nil
}

func labels[T any](list []T, label func(T) string) []string {
	all := make([]string, len(list))
	for i, item := range list {
		all[i] = label(item)
	}
	return all
}

func unique[T any](what string, list []T, label func(T) string) error {
	all := labels(list, label)
	for i, l := range all {
		if slices.Contains(all[:i], l) {
			return fmt.Errorf("two %ss are called %q; give one of them another label", what, l)
		}
	}
	return nil
}

func known(owner, what string, named, all []string) error {
	for _, name := range named {
		if !slices.Contains(all, name) {
			return fmt.Errorf("%s is meant for the %s %q, which is not listed%s", owner, what, name, plugins.DidYouMean(name, all))
		}
	}
	return nil
}
