package suite

import (
	"reflect"
	"slices"

	"bittern/plugins"
)

// Override replaces settings of a suite from the command line or the
// environment; what is nil stays as the file says. The keys it replaces are
// those of [Keys] that have a flag.
type Override struct {
	Seeds   []uint64
	Threads *int
	Epochs  *int
	Steps   *int
	Bytes   *int // of each corpus

	Draws       *int // of a freeze
	Calibration *int // batches of a freeze
	// Backends are labels of the suite's, or else names of plugins, which are
	// taken with their default options.
	Backends []string
}

// Apply puts the override in force for every task. A value out of bounds is a
// *plugins.Problem.
func (s *Suite) Apply(o Override) error {
	suiteKeys, taskKeys, trainingKeys := fieldsOf(reflect.TypeFor[Suite]()), fieldsOf(reflect.TypeFor[Task]()), fieldsOf(reflect.TypeFor[Training]())
	freezeKeys := fieldsOf(reflect.TypeFor[Freeze]())
	var bytes, epochs, steps []*int
	for i := range s.Tasks {
		task := &s.Tasks[i]
		bytes = append(bytes, &task.Bytes)
		epochs = append(epochs, &task.Training.Epochs)
		steps = append(steps, &task.Training.Steps)
	}
	for _, r := range []struct {
		keys   []field
		flag   string
		values []*int
		with   *int
	}{
		{suiteKeys, "threads", []*int{&s.Threads}, o.Threads},
		{taskKeys, "bytes", bytes, o.Bytes},
		{trainingKeys, "epochs", epochs, o.Epochs},
		{trainingKeys, "steps", steps, o.Steps},
		{freezeKeys, "draws", []*int{&s.Freeze.Draws}, o.Draws},
		{freezeKeys, "calibration", []*int{&s.Freeze.CalibrationBatches}, o.Calibration},
	} {
		if r.with == nil {
			continue
		}
		if f := withFlag(r.keys, r.flag); !f.admits(float64(*r.with)) {
			return plugins.Problemf("--%s must be a whole number%s, not %d", r.flag, f.bounds(), *r.with)
		}
		for _, value := range r.values {
			*value = *r.with
		}
	}
	if len(o.Seeds) > 0 {
		if f := withFlag(suiteKeys, "seeds"); !f.admits(float64(len(o.Seeds))) {
			return plugins.Problemf("--seeds must be a list%s, not %d", f.bounds(), len(o.Seeds))
		}
		s.Seeds = o.Seeds
	}
	if len(o.Backends) > 0 {
		s.Backends = s.backends(o.Backends)
	}
	if f := s.check(); f != nil {
		return plugins.Problemf("suite %s: %s", s.Name, f.text)
	}
	return nil
}

func (s *Suite) backends(names []string) []Plugin {
	chosen := make([]Plugin, len(names))
	for i, name := range names {
		chosen[i] = Plugin{Label: name, Plugin: name}
		if at := slices.IndexFunc(s.Backends, func(b Plugin) bool { return b.Label == name }); at >= 0 {
			chosen[i] = s.Backends[at]
		}
	}
	return chosen
}

func withFlag(fields []field, flag string) field {
	return fields[slices.IndexFunc(fields, func(f field) bool { return f.flag == flag })]
}
