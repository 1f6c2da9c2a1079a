package reports

import (
	"cmp"
	"slices"

	"bittern/harness/store"
	"bittern/plugins/backend"
)

// machine gathers one backend's figures over the seeds of a group.
type machine struct {
	Deployment
	metric, energy, seconds, cycles, area        []float64
	recurrentEnergy, recurrentArea               []float64
	noMetric, noEnergy, noTime, noCycles, noArea string
	noRecurrentEnergy, noRecurrentArea           string
}

func (m *machine) add(seed uint64, d store.Deployment) {
	m.Seeds = append(m.Seeds, seed)
	if d.Metric != nil {
		m.metric = append(m.metric, *d.Metric)
	} else {
		m.noMetric = d.Reason
	}
	if d.Doubt != "" {
		m.Doubts = append(m.Doubts, Doubt{seed, d.Doubt})
	}
	if d.Cost == nil {
		m.noEnergy, m.noTime, m.noCycles, m.noArea, m.Unsupported = d.Reason, d.Reason, d.Reason, d.Reason, d.Reason
		return
	}
	if len(d.Cost.Memory) > 0 {
		m.Bytes = new(store.Sum(d.Cost.Memory))
		m.MemoryParts = d.Cost.Memory
		m.RecurrentBytes = recurrentBytes(d.Cost.Memory)
	}
	steps := d.Cost.TimeSteps()
	const unknown = "the time steps of the sequence are not recorded"
	// Every network has an output layer, so a machine that tells other layers apart has a part
	// outside of the recurrent ones.
	const together = "the backend does not tell recurrent layers from others"
	switch {
	case len(d.Cost.Energy) == 0:
		m.noEnergy = d.Cost.Missing["energy"]
	case steps == 0:
		m.noEnergy = unknown
	default:
		m.energy = append(m.energy, store.Sum(d.Cost.Energy)/steps)
		if recurrent := inside(d.Cost.Energy); len(recurrent) < len(d.Cost.Energy) {
			m.recurrentEnergy = append(m.recurrentEnergy, store.Sum(recurrent)/steps)
		} else {
			m.noRecurrentEnergy = together
		}
		m.addEnergy(d.Cost.Energy, steps)
	}
	switch {
	case d.Cost.Seconds == nil:
		m.noTime = d.Cost.Missing["seconds"]
	case steps == 0:
		m.noTime = unknown
	default:
		m.seconds = append(m.seconds, *d.Cost.Seconds/steps)
	}
	switch {
	case d.Cost.Cycles == nil:
		m.noCycles = d.Cost.Missing["cycles"]
	case steps == 0:
		m.noCycles = unknown
	default:
		m.cycles = append(m.cycles, *d.Cost.Cycles/steps)
	}
	m.Steps = steps
	if len(d.Cost.Area) > 0 {
		m.area = append(m.area, store.Sum(d.Cost.Area))
		if recurrent := inside(d.Cost.Area); len(recurrent) < len(d.Cost.Area) {
			m.recurrentArea = append(m.recurrentArea, store.Sum(recurrent))
		} else {
			m.noRecurrentArea = together
		}
		m.AreaParts = d.Cost.Area
	} else {
		m.noArea = d.Cost.Missing["area"]
	}
	m.Measured = d.Cost.Measured
	if d.Cost.Measured && d.Cost.Seconds != nil {
		m.Timed = m.Timed.worse(timedOf(*d.Cost))
	}
	m.Notes = once(m.Notes, d.Cost.Notes)
	m.Substitutions = once(m.Substitutions, d.Cost.Substitutions)
}

// addEnergy adds the parts of one more seed's energy to their means over the seeds.
func (m *machine) addEnergy(parts []store.Part, steps float64) {
	n := float64(len(m.energy))
	for i := range m.EnergyParts {
		m.EnergyParts[i].Value *= (n - 1) / n
	}
	for _, part := range parts {
		at := slices.IndexFunc(m.EnergyParts, func(p store.Part) bool { return p.Name == part.Name })
		if at < 0 {
			at = len(m.EnergyParts)
			m.EnergyParts = append(m.EnergyParts, store.Part{Name: part.Name, Outside: part.Outside, Static: part.Static, Assumed: part.Assumed})
		}
		m.EnergyParts[at].Value += part.Value / steps / n
	}
}

// recurrentBytes are the weights of recurrent layers, without the levels that their codes
// stand for; nil where a machine has no such part.
func recurrentBytes(parts []store.Part) *float64 {
	var bytes *float64
	for _, p := range parts {
		if p.Name != backend.PartCodes && p.Name != backend.PartFloats {
			continue
		}
		if bytes == nil {
			bytes = new(float64)
		}
		*bytes += p.Value
	}
	return bytes
}

// inside are the parts of recurrent layers.
func inside(parts []store.Part) []store.Part {
	return slices.DeleteFunc(slices.Clone(parts), func(p store.Part) bool { return p.Outside })
}

// deployment summarises what was gathered.
func (m *machine) deployment() Deployment {
	d := m.Deployment
	d.Metric, d.Energy, d.Seconds = figure(m.metric, m.noMetric), figure(m.energy, m.noEnergy), figure(m.seconds, m.noTime)
	d.Cycles, d.Area = figure(m.cycles, m.noCycles), figure(m.area, m.noArea)
	d.RecurrentEnergy, d.RecurrentArea = figure(m.recurrentEnergy, cmp.Or(m.noEnergy, m.noRecurrentEnergy)), figure(m.recurrentArea, cmp.Or(m.noArea, m.noRecurrentArea))
	return d
}

func timedOf(c store.Cost) *Timed {
	t := &Timed{Sequences: c.N}
	if c.SecondsLow != nil && c.SecondsHigh != nil && *c.Seconds > 0 {
		t.Spread = new((*c.SecondsHigh - *c.SecondsLow) / *c.Seconds)
	}
	return t
}

// worse combines two into the fewer sequences and the wider spread; a spread that is not known
// counts as the widest. t is nil if there is none yet.
func (t *Timed) worse(other *Timed) *Timed {
	if t == nil {
		return other
	}
	worst := &Timed{Sequences: min(t.Sequences, other.Sequences)}
	if t.Spread != nil && other.Spread != nil {
		worst.Spread = new(max(*t.Spread, *other.Spread))
	}
	return worst
}
