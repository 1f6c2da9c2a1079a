package suite

import "bittern/plugins"

// Override replaces settings of a suite from the command line or the
// environment; what is nil stays as the file says.
type Override struct {
	Seeds   []uint64
	Threads *int
	Epochs  *int
	Steps   *int
	Bytes   *int // of each corpus
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
