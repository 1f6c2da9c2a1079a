package suite

import (
	"errors"
	"fmt"

	"bittern/plugins"
)

// Place says where an entry of a suite file stands and where its options do, as in "suite
// file mine.yaml, line 4: models[0]". It is empty for what a suite that comes with the
// program says, which its users cannot mend, and for what a flag says.
type Place struct {
	// Folder holds the suite file; what the entry's options name as files is relative to it.
	Folder  string
	entry   string
	options map[string]string
}

// Problem adds to a problem where the entry stands in the file; it leaves other errors as they
// are.
func (p Place) Problem(err error) error { return placed(p.entry, err) }

// OptionProblem adds to a problem where an option of the entry stands in the file.
func (p Place) OptionProblem(option string, err error) error { return placed(p.options[option], err) }

func placed(where string, err error) error {
	if problem, ok := errors.AsType[*plugins.Problem](err); ok && where != "" {
		return plugins.Problemf("%s: %s", where, problem.Sentence)
	}
	return err
}

// place notes where the entries of the suite stand in the file.
func (s *Suite) place(file, folder string, line func(path string) int) {
	at := func(path string) string { return fmt.Sprintf("%s, line %d: %s", file, line(path), shorten(path)) }
	of := func(path, key, list string, options plugins.Values) Place {
		p := Place{
			Folder:  folder,
			entry:   fmt.Sprintf("%s, line %d: %s", file, line(join(path, key)), path),
			options: make(map[string]string, len(options)),
		}
		for name := range options {
			p.options[name] = at(join(join(path, list), name))
		}
		return p
	}
	for i := range s.Tasks {
		s.Tasks[i].Place = of(fmt.Sprintf("tasks[%d]", i), "data", "", nil)
	}
	for i := range s.Models {
		s.Models[i].Place = of(fmt.Sprintf("models[%d]", i), "plugin", "options", s.Models[i].Options)
	}
	for i := range s.Quantizers {
		q, path := &s.Quantizers[i], fmt.Sprintf("quantizers[%d]", i)
		q.Place = of(path, "plugin", "options", q.Options)
		q.modelOptions = of(path, "plugin", "model_options", q.ModelOptions)
	}
	for i := range s.Backends {
		s.Backends[i].Place = of(fmt.Sprintf("backends[%d]", i), "plugin", "options", s.Backends[i].Options)
	}
}

// unplaced are entries without their places, to be compared.
func unplaced(list []Plugin) []Plugin {
	var all []Plugin
	for _, p := range list {
		p.Place = Place{}
		all = append(all, p)
	}
	return all
}
