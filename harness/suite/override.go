package suite

import (
	"slices"

	"bittern/plugins"
)

// Override replaces settings of a suite from the command line or the
// environment; what is nil stays as the file says.
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
	if len(o.Seeds) > 0 {
		s.Seeds = o.Seeds
	}
	replace(&s.Threads, o.Threads)
	for i := range s.Tasks {
		replace(&s.Tasks[i].Bytes, o.Bytes)
		replace(&s.Tasks[i].Training.Epochs, o.Epochs)
		replace(&s.Tasks[i].Training.Steps, o.Steps)
	}
	replace(&s.Freeze.Draws, o.Draws)
	replace(&s.Freeze.CalibrationBatches, o.Calibration)
	if len(o.Backends) > 0 {
		s.Backends = s.backends(o.Backends)
	}
	if err := s.check(); err != nil {
		return plugins.Problemf("suite %s: %s", s.Name, err)
	}
	return nil
}

func replace(value *int, with *int) {
	if with != nil {
		*value = *with
	}
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
