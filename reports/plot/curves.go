package plot

import (
	"cmp"
	"fmt"
	"slices"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"bittern/harness/metric"
	"bittern/plugins"
	"bittern/reports"
)

// sample is a value after so many training steps.
type sample struct{ step, value float64 }

// curve is the training of one network.
type curve struct {
	network *reports.Network
	label   string // in the legend
	seeds   [][]sample
	mean    []sample // over the seeds, at the steps that all of them have
	look    series
}

// lines is a plotter of curves.
type lines struct {
	curves []curve
	unit   string
	better func(a, b float64) bool // nil where nobody knows
}

// curves draws the validation scores of each task over the training steps, and the
// training losses where they were read ([reports.Report.ReadTraining]).
func curves(r *reports.Report) (figures []Figure, out leftOut) {
	looks := seriesOf(r)
	trainingRead := slices.ContainsFunc(r.Experiments, func(e reports.Experiment) bool { return len(e.Training) > 0 || e.TrainingUnread != "" })
	lower := func(a, b float64) bool { return a < b }
	for _, s := range subjects(r) {
		unit := plugins.Line(s.metric)
		scores := lines{unit: unit}
		if ranked(s.metric) {
			scores.better = metric.Metric(s.metric).Better
		}
		title := fmt.Sprintf("%s: validation %s during training", plugins.Line(s.task), unit)
		f, why := s.curves(r, looks, scores, func(e *reports.Experiment) ([]sample, string) {
			var samples []sample
			for _, v := range e.Validations {
				samples = append(samples, sample{float64(v.Step), v.Deployable})
			}
			return samples, cmp.Or(e.Unread, "no validation is recorded")
		})
		if f == nil {
			out.add(title, why)
		} else {
			f.ID, f.Title = s.task+"-"+s.metric, title
			f.Caption = fmt.Sprintf("Validation %s of the deployable form, which selects the network, over the training steps%s", direction(s.metric), f.Caption)
			f.chart.plot.Y.Label.Text = "validation " + direction(s.metric)
			figures = append(figures, *f)
		}
		if !trainingRead {
			continue
		}
		title = fmt.Sprintf("%s: training loss", plugins.Line(s.task))
		f, why = s.curves(r, looks, lines{unit: "nats a target", better: lower}, func(e *reports.Experiment) ([]sample, string) {
			var samples []sample
			for _, t := range e.Training {
				samples = append(samples, sample{float64(t.Step), t.Loss})
			}
			return samples, e.TrainingUnread
		})
		if f == nil {
			out.add(title, why)
		} else {
			f.ID, f.Title = s.task+"-"+s.metric+"-loss", title
			f.Caption = fmt.Sprintf("Training loss (lower is better), the mean of each stretch of training steps%s", f.Caption)
			f.chart.plot.Y.Label.Text = "training loss, nats a target"
			figures = append(figures, *f)
		}
	}
	return figures, out
}

// curves returns the figure with the curves of a subject's networks, or nil and the reason if no
// experiment has samples.
func (s subject) curves(r *reports.Report, looks map[string]series, l lines, samples func(*reports.Experiment) ([]sample, string)) (*Figure, string) {
	var out leftOut
	several := false
	for _, n := range s.networks {
		c := curve{network: n, look: looks[n.Quantizer]}
		var unread leftOut // of the seeds
		for i := range r.Experiments {
			e := &r.Experiments[i]
			if e.Task != n.Task || e.Model != n.Model || e.Quantizer != n.Quantizer || e.Setting != n.Setting {
				continue
			}
			seed, reason := samples(e)
			if len(seed) == 0 {
				unread.add(fmt.Sprintf("%s, seed %d", name(n), e.Seed), reason)
				continue
			}
			c.seeds = append(c.seeds, seed)
		}
		if len(c.seeds) == 0 {
			out.add(name(n), unread.reason())
			continue
		}
		out.join(unread)
		several = several || len(c.seeds) > 1
		c.mean = mean(c.seeds)
		l.curves = append(l.curves, c)
	}
	if len(l.curves) == 0 {
		return nil, out.reason()
	}
	l.distinguish()
	caption := ", " + networks(len(l.curves)) + "."
	if several {
		caption += " Thin lines are single seeds, the thick one is their mean as far as all of them go."
	}
	return &Figure{Caption: caption + out.sentence(), chart: l.chart()}, ""
}

// distinguish labels the curves. Where a quantizer has several, dashes tell them apart.
func (l *lines) distinguish() {
	var all []*reports.Network
	for _, c := range l.curves {
		all = append(all, c.network)
	}
	labels := variants(all)
	var known []string
	for i := range l.curves {
		c := &l.curves[i]
		variant := labels[c.network]
		c.label = labelled(c.network, variant)
		if variant == "" {
			continue
		}
		if !slices.Contains(known, variant) {
			known = append(known, variant)
		}
		c.look.dash = dashes[slices.Index(known, variant)%len(dashes)]
	}
}

// mean is over the seeds at the steps that all of them have.
func mean(seeds [][]sample) (means []sample) {
	sums, counts := make(map[float64]float64), make(map[float64]int)
	for _, seed := range seeds {
		for _, s := range seed {
			sums[s.step] += s.value
			counts[s.step]++
		}
	}
	for _, s := range seeds[0] {
		if counts[s.step] == len(seeds) {
			means = append(means, sample{s.step, sums[s.step] / float64(len(seeds))})
		}
	}
	return means
}

func (l lines) chart() chart {
	p := axes("training steps", "value")
	p.Add(&plotter.Grid{Vertical: grid, Horizontal: grid}, l)
	spread(&p.X, false)
	spread(&p.Y, ratios(l.unit))
	p.X.Min, p.X.Tick.Marker = 0, linearTicks{whole: true}
	c := newChart(p)
	for _, curve := range l.curves {
		c.explain(curve.label, icon{line: curve.look.line(), glyph: curve.look.glyph()})
	}
	return c
}

func (l lines) DataRange() (xmin, xmax, ymin, ymax float64) {
	var steps, values []float64
	for _, c := range l.curves {
		for _, seed := range c.seeds {
			for _, s := range seed {
				steps, values = append(steps, s.step), append(values, s.value)
			}
		}
	}
	return slices.Min(steps), slices.Max(steps), slices.Min(values), slices.Max(values)
}

// pointsOfCurve is how many points of a curve are marked, at most and about.
const pointsOfCurve = 12

func (l lines) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	path := func(samples []sample) (points []vg.Point) {
		for _, s := range samples {
			points = append(points, vg.Point{X: x(s.step), Y: y(s.value)})
		}
		return points
	}
	for _, curve := range l.curves {
		pale := curve.look.color
		pale.A = 0x70
		thin := draw.LineStyle{Color: pale, Width: lineWidth / 2, Dashes: curve.look.dash}
		if len(curve.seeds) > 1 {
			for _, seed := range curve.seeds {
				titled(c, "seed", "a seed of "+name(curve.network), func() { c.StrokeLines(thin, path(seed)) })
			}
		}
	}
	for _, curve := range l.curves {
		if len(curve.mean) == 0 {
			continue
		}
		titled(c, "line", l.title(curve), func() {
			c.StrokeLines(curve.look.line(), path(curve.mean))
			every := max(1, len(curve.mean)/pointsOfCurve)
			for i, s := range curve.mean {
				if i%every != 0 && i != len(curve.mean)-1 {
					continue
				}
				titled(c, "point", fmt.Sprintf("%s: %s %s after %s steps", name(curve.network), l.unit, short(s.value), short(s.step)), func() {
					glyph := curve.look.glyph()
					glyph.Radius *= 0.8
					c.DrawGlyph(glyph, vg.Point{X: x(s.step), Y: y(s.value)})
				})
			}
		})
	}
}

// title says where a curve ends, and its best where that is known.
func (l lines) title(c curve) string {
	last := c.mean[len(c.mean)-1]
	title := fmt.Sprintf("%s: %s %s after %s steps (n=%d)", name(c.network), l.unit, short(last.value), short(last.step), len(c.seeds))
	if l.better == nil {
		return title
	}
	best := last
	for _, s := range c.mean {
		if l.better(s.value, best.value) {
			best = s
		}
	}
	return title + fmt.Sprintf(", best %s after %s", short(best.value), short(best.step))
}
