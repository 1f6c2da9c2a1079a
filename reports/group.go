package reports

import (
	"slices"

	"gonum.org/v1/gonum/stat"

	"bittern/baselines/published"
	"bittern/harness/store"
)

// group is the experiments of one setting, one for each seed.
type group struct {
	key        string
	first      store.Experiment
	experiment published.Setting
	paperStyle []float64
	machines   []*machine
}

// machine gathers one backend's figures over the seeds of a group.
type machine struct {
	backend                    string
	seeds                      []uint64
	metric, energy, seconds    []float64
	noMetric, noEnergy, noTime string
	deployedBytes              float64
	measured                   bool
	notes                      []string
}

func (g *group) add(r *Report, c store.Experiment, deployments []store.Deployment) {
	if c.PaperStyle != nil {
		g.paperStyle = append(g.paperStyle, *c.PaperStyle)
	}
	for _, d := range deployments {
		if d.Status != store.Done && d.Status != store.Unsupported {
			r.Unfinished = append(r.Unfinished, Unfinished{c.Task, c.Model, c.Quantizer, c.Seed, d.Backend, d.Status, d.Reason})
			continue
		}
		at := slices.IndexFunc(g.machines, func(m *machine) bool { return m.backend == d.Backend })
		if at < 0 {
			at = len(g.machines)
			g.machines = append(g.machines, &machine{backend: d.Backend})
		}
		g.machines[at].add(c, d)
	}
}

func (m *machine) add(c store.Experiment, d store.Deployment) {
	m.seeds = append(m.seeds, c.Seed)
	if d.Metric != nil {
		m.metric = append(m.metric, *d.Metric)
	} else {
		m.noMetric = d.Reason
	}
	m.deployedBytes = float64(c.DeployedBytes)
	if d.Cost == nil {
		m.noEnergy, m.noTime = d.Reason, d.Reason
		return
	}
	if len(d.Cost.Memory) > 0 {
		m.deployedBytes = sum(d.Cost.Memory)
	}
	if len(d.Cost.Energy) > 0 {
		m.energy = append(m.energy, sum(d.Cost.Energy))
	} else {
		m.noEnergy = d.Cost.Missing["energy"]
	}
	if d.Cost.Seconds != nil {
		m.seconds = append(m.seconds, *d.Cost.Seconds)
	} else {
		m.noTime = d.Cost.Missing["seconds"]
	}
	m.measured = d.Cost.Measured
	for _, note := range d.Cost.Notes {
		if !slices.Contains(m.notes, note) {
			m.notes = append(m.notes, note)
		}
	}
}

func sum(parts []store.Part) float64 {
	total := 0.0
	for _, p := range parts {
		total += p.Value
	}
	return total
}

func (g *group) rows() ([]Row, error) {
	printed, err := published.For(g.experiment)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, m := range g.machines {
		rows = append(rows, Row{
			Task: g.first.Task, Model: g.first.Model, Quantizer: g.first.Quantizer,
			Normalization: g.experiment.Normalization, Backend: m.backend, Metric: g.first.Metric, Seeds: m.seeds,
			Deployable:     figure(m.metric, m.noMetric),
			PaperStyle:     figure(g.paperStyle, "not measured"),
			RecurrentBytes: g.first.RecurrentBytes, DeployedBytes: m.deployedBytes,
			Energy: figure(m.energy, m.noEnergy), Seconds: figure(m.seconds, m.noTime),
			Measured: m.measured, Notes: m.notes, Published: printed,
		})
	}
	return rows, nil
}

// figure summarises values over seeds.
func figure(values []float64, missing string) Figure {
	switch len(values) {
	case 0:
		if missing == "" {
			missing = "the backend gave no reason"
		}
		return Figure{Missing: missing}
	case 1:
		return Figure{N: 1, Mean: &values[0]}
	}
	mean, std := stat.MeanStdDev(values, nil)
	return Figure{N: len(values), Mean: &mean, Std: &std}
}
