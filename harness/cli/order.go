package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"bittern/harness/experiment"
	"bittern/plugins"
)

// effort is what is known of experiments before they are run, by their names.
type effort struct {
	sizes map[string]experiment.Size
	long  map[string]float64 // compares how long workers take: times of a plan, or training by the suite
}

// work is that of experiments, whose budget is applied.
func (e effort) work(specs []*experiment.Spec) []experiment.Work {
	all := make([]experiment.Work, len(specs))
	for i, s := range specs {
		all[i] = s.Work(e.sizes[s.String()])
	}
	return all
}

// worker is how long an experiment takes on a worker, with one seed.
func (l planned) worker() float64 { return l.Training + l.Scoring + l.Deploying - l.Timed }

// plannedWork says how long experiments take, by their names, as a plan in a file says. It must
// have all of them.
func plannedWork(path string, specs []*experiment.Spec) (map[string]float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, plugins.Problemf("the plan of --plan cannot be read (%s); write one with bittern plan --format json", err)
	}
	var known plan
	if err := json.Unmarshal(text, &known); err != nil || len(known.Experiments) == 0 {
		return nil, plugins.Problemf("%s is no plan; write one with bittern plan --format json", path)
	}
	type name struct{ task, model, quantizer string }
	lines := make(map[name]planned)
	for _, line := range known.Experiments {
		lines[name{line.Task, line.Model, line.Quantizer}] = line
	}
	work := make(map[string]float64)
	for _, s := range specs {
		line, ok := lines[name{s.Task.Label, s.Model.Label, s.Quantizer.Label}]
		if !ok {
			return nil, plugins.Problemf("the plan %s, of the suite %s, does not have %s; make one of this suite with bittern plan --format json", path, fmt.Sprintf("%q", known.Suite), s)
		}
		work[s.String()] = line.worker()
	}
	return work, nil
}
