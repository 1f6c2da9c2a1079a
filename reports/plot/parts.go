package plot

import (
	"cmp"
	"fmt"
	"slices"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
)

// quantity is something that a backend has of a network by part.
type quantity struct {
	name, unit string
	scale      float64 // from what the report has to the unit
	parts      func(*reports.Deployment) []store.Part
	missing    func(*reports.Deployment) string
	about      string
}

// quantities are what the figures by part are of.
func quantities() []quantity {
	return []quantity{
		{"energy", "nJ a time step", 1e9, func(d *reports.Deployment) []store.Part { return d.EnergyParts },
			func(d *reports.Deployment) string {
				return cmp.Or(d.Energy.Missing, "the backend does not tell its energy by part")
			},
			"Energy of a time step, the mean over the seeds"},
		{"memory", "KB", 1e-3, func(d *reports.Deployment) []store.Part { return d.MemoryParts },
			func(d *reports.Deployment) string {
				return cmp.Or(d.Metric.Missing, "the backend does not tell its memory")
			},
			"Memory as the backend stores the network, in KB of 1000 bytes"},
	}
}

// byPart draws energy and memory of each backend as bars of their parts.
func byPart(r *reports.Report) (figures []Figure, undrawn leftOut) {
	for _, s := range subjects(r) {
		for _, q := range quantities() {
			for _, backend := range s.backends() {
				title := fmt.Sprintf("%s on %s: %s by part", plugins.Line(s.task), plugins.Line(backend), q.name)
				f, why := s.stacked(q, backend)
				if f == nil {
					undrawn.add(title, why)
					continue
				}
				f.Title = title
				figures = append(figures, *f)
			}
		}
	}
	return figures, undrawn
}

// stacked returns the figure of one backend, without its title; or nil and the reason if none
// of its networks has parts.
func (s subject) stacked(q quantity, backend string) (f *Figure, why string) {
	var out leftOut
	var shown []*reports.Network
	var deployed []*reports.Deployment
	var names []string // of the parts, in the order of the backend
	s.on(backend, func(n *reports.Network, d *reports.Deployment) {
		if len(q.parts(d)) == 0 {
			out.add(name(n), q.missing(d))
			return
		}
		shown, deployed = append(shown, n), append(deployed, d)
		for _, part := range q.parts(d) {
			if !slices.Contains(names, part.Name) {
				names = append(names, part.Name)
			}
		}
	})
	if len(shown) == 0 {
		return nil, out.reason()
	}
	labels := variants(shown)
	var b bars
	for i, n := range shown {
		b.rows = append(b.rows, q.row(cut(labelled(n, labels[n]), rowCharacters), name(n), q.parts(deployed[i]), names))
	}
	c := b.chart(q.name + ", " + q.unit)
	for i, part := range names {
		c.explain(part, filling{i})
	}
	return &Figure{
		ID:      q.name + "-" + s.task + "-" + s.metric + "-" + backend,
		Caption: fmt.Sprintf("%s, by part, on %s, %s. The number behind a bar is its sum.%s", q.about, plugins.Line(backend), networks(len(shown)), out.sentence()),
		chart:   c,
	}, ""
}

// rowCharacters is how long the name beside a bar is at most.
const rowCharacters = 36

// row stacks the parts in the order of names, so that they stand alike in all bars.
func (q quantity) row(label, network string, parts []store.Part, names []string) row {
	total := 0.0
	for _, part := range parts {
		total += part.Value
	}
	r := row{label: label, total: short(total * q.scale)}
	for i, wanted := range names {
		for _, part := range parts {
			if part.Name != wanted {
				continue
			}
			title := fmt.Sprintf("%s: %s %s %s of %s", network, plugins.Line(part.Name), short(part.Value*q.scale), q.unit, short(total*q.scale))
			if total > 0 {
				title += fmt.Sprintf(" (%.0f %%)", 100*part.Value/total)
			}
			r.parts = append(r.parts, segment{value: part.Value * q.scale, look: filling{i}, title: title})
		}
	}
	return r
}
