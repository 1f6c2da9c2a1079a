package plot

import (
	"cmp"
	"fmt"

	"bittern/plugins"
	"bittern/reports"
)

// energy draws, for each backend, the scores that it computes itself against the energy
// of a time step, in nJ.
func energy(r *reports.Report) (figures []Figure, undrawn leftOut) {
	looks := seriesOf(r)
	for _, s := range subjects(r) {
		unit := plugins.Line(s.metric)
		for _, backend := range s.backends() {
			var marks []mark
			var out leftOut
			s.on(backend, func(n *reports.Network, d *reports.Deployment) {
				if d.Metric.Mean == nil || d.Energy.Mean == nil {
					out.add(name(n), cmp.Or(d.Energy.Missing, d.Metric.Missing))
					return
				}
				marks = append(marks, newMark(n, *d.Energy.Mean*1e9, d.Metric,
					fmt.Sprintf("%s on %s: %s %s, %s nJ a time step%s", name(n), plugins.Line(backend), unit, figure(d.Metric, 1), figure(d.Energy, 1e9), doubted(d.Doubts))))
			})
			title := fmt.Sprintf("%s on %s: %s against energy", plugins.Line(s.task), plugins.Line(backend), unit)
			if len(marks) == 0 {
				undrawn.add(title, out.reason())
				continue
			}
			plotted := newScatter(marks, s.metric, "nJ a time step", looks)
			figures = append(figures, Figure{
				ID:    s.task + "-" + s.metric + "-" + backend,
				Title: title,
				Caption: fmt.Sprintf("%s as %s computes it from the packed network, against the energy of a time step there, %s.%s%s",
					direction(s.metric), plugins.Line(backend), networks(len(marks)), plotted.caption(), out.sentence()),
				chart: plotted.chart("energy, nJ a time step", direction(s.metric), ratios(s.metric)),
			})
		}
	}
	return figures, undrawn
}
