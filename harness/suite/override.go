package suite

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/model"
)

// Override replaces settings of a suite by those of the command line or the environment. A
// nil field changes nothing. It has a field for each key of [Keys] that has a flag.
type Override struct {
	Seeds   []uint64
	Threads *int
	Epochs  *int
	Steps   *int
	Bytes   *int // of each task that has the option

	Arithmetic string // of training; empty changes nothing

	Draws       *int // of a freeze
	Calibration *int // batches of a freeze
	// Backends are labels of the suite's backends. Any other text is the name of a plugin,
	// which is used with its default options.
	Backends []string
}

// Apply replaces the settings for every task. A value out of bounds is a *plugins.Problem.
func (s *Suite) Apply(o Override) error {
	if len(s.Suites) > 0 {
		return s.applyToParts(o)
	}
	suiteKeys, trainingKeys := fieldsOf(reflect.TypeFor[Suite]()), fieldsOf(reflect.TypeFor[Training]())
	freezeKeys := fieldsOf(reflect.TypeFor[Freeze]())
	var epochs, steps []*int
	for i := range s.Tasks {
		entry := &s.Tasks[i]
		epochs = append(epochs, &entry.Training.Epochs)
		steps = append(steps, &entry.Training.Steps)
	}
	for _, r := range []struct {
		keys   []field
		flag   string
		values []*int
		with   *int
	}{
		{suiteKeys, "threads", []*int{&s.Threads}, o.Threads},
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
	if o.Bytes != nil {
		switch applied, err := s.applyBytes(*o.Bytes); {
		case err != nil:
			return err
		case !applied:
			return s.noBytes()
		}
	}
	if len(o.Seeds) > 0 {
		if f := withFlag(suiteKeys, "seeds"); !f.admits(float64(len(o.Seeds))) {
			return plugins.Problemf("--seeds must be a list%s, not %d", f.bounds(), len(o.Seeds))
		}
		s.Seeds = o.Seeds
	}
	if o.Arithmetic != "" {
		if f := withFlag(trainingKeys, "arithmetic"); !slices.Contains(f.choices, o.Arithmetic) {
			return plugins.Problemf("--%s must be one of %s, not %q%s", f.flag, strings.Join(f.choices, ", "), o.Arithmetic, plugins.DidYouMean(o.Arithmetic, f.choices))
		}
		for i := range s.Tasks {
			s.Tasks[i].Training.Arithmetic = model.Arithmetic(o.Arithmetic)
		}
	}
	if len(o.Backends) > 0 {
		s.Backends = s.backends(o.Backends)
	}
	if f := s.check(); f != nil {
		return plugins.Problemf("suite %s: %s", s.Name, f.text)
	}
	return nil
}

// applyBytes caps the data of the tasks that can be capped, and says whether any can.
func (s *Suite) applyBytes(cap int) (applied bool, err error) {
	for i := range s.Tasks {
		entry := &s.Tasks[i]
		definition, err := task.Find(entry.Task)
		if err != nil {
			return false, err
		}
		if !slices.Contains(definition.OptionNames(), bytesOption) {
			continue
		}
		applied = true
		if f := withFlag(optionFields(definition), bytesOption); !f.admits(float64(cap)) {
			return false, plugins.Problemf("--%s must be a whole number%s, not %d", bytesOption, f.bounds(), cap)
		}
		entry.Options = maps.Clone(entry.Options)
		entry.Options[bytesOption] = strconv.Itoa(cap)
	}
	return applied, nil
}

func (s *Suite) noBytes() error {
	return plugins.Problemf("--%s: no task of the suite %s has the option %s; leave the flag out", bytesOption, s.Name, bytesOption)
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
