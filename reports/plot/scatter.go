package plot

import (
	"cmp"
	"slices"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"bittern/harness/metric"
	"bittern/reports"
)

// mark is a network in a scatter of scores against a cost.
type mark struct {
	network     *reports.Network
	cost, score float64
	deviation   float64 // of the score over the seeds; 0 where it is not known
	title       string
	front       bool
	published   []publishedValue
}

// publishedValue is what was published of a network.
type publishedValue struct {
	cost, score float64
	title       string
}

// scatter is a plotter of marks, of the Pareto front among them and of published values.
type scatter struct {
	marks    []mark
	looks    map[string]series
	cost     string // in words, for titles
	variants map[*reports.Network]string
}

// newMark marks a network at its score, a figure that has a mean.
func newMark(n *reports.Network, cost float64, score reports.Figure, title string) mark {
	m := mark{network: n, cost: cost, score: *score.Mean, title: title}
	if score.Std != nil {
		m.deviation = *score.Std
	}
	return m
}

// newScatter finds the front among marks of this metric.
func newScatter(marks []mark, metricName, cost string, looks map[string]series) *scatter {
	s := &scatter{marks: marks, looks: looks, cost: cost}
	points := make([]reports.Point, len(marks))
	all := make([]*reports.Network, len(marks))
	for i, m := range marks {
		points[i], all[i] = reports.Point{Score: m.score, Cost: m.cost}, m.network
	}
	s.variants = variants(all)
	if !ranked(metricName) || len(marks) < 2 {
		return s
	}
	for i, on := range reports.Front(metric.Metric(metricName), points) {
		s.marks[i].front = on
		if on {
			s.marks[i].title += "; on the Pareto front"
		}
	}
	return s
}

// chart is the scatter between its axes.
func (s *scatter) chart(x, y string, mayBeLogarithmic bool) chart {
	p := axes(x, y)
	p.Add(&plotter.Grid{Vertical: grid, Horizontal: grid}, s)
	spread(&p.X, true)
	spread(&p.Y, mayBeLogarithmic)
	c := newChart(p)
	var explained []string
	published := false
	for _, m := range s.marks {
		published = published || len(m.published) > 0
		if !slices.Contains(explained, m.network.Quantizer) {
			explained = append(explained, m.network.Quantizer)
			c.explain(m.network.Quantizer, icon{glyph: s.looks[m.network.Quantizer].glyph()})
		}
	}
	if len(s.front()) > 1 {
		c.explain("Pareto front", icon{line: frontLine})
	}
	if published {
		c.explain("published", icon{glyph: draw.GlyphStyle{Color: ink, Radius: markRadius, Shape: rhombus}})
	}
	return c
}

// frontLine is how the Pareto front is drawn.
var frontLine = draw.LineStyle{Color: faded(0x90), Width: 1, Dashes: []vg.Length{3, 2}}

// caption says how to read the marks, their labels and the front.
func (s *scatter) caption() string {
	text := ""
	if slices.ContainsFunc(s.marks, func(m mark) bool { return m.deviation > 0 }) {
		text = " Bars are the standard deviation over the seeds."
	}
	if slices.ContainsFunc(s.marks, func(m mark) bool { return s.variants[m.network] != "" }) {
		text += " Beside a mark stands, where there is room, what tells it from others of its quantizer."
	}
	switch front := s.front(); len(front) {
	case 0:
	case 1:
		text += " " + name(front[0].network) + " is better than every other in one and as good or better in the other."
	default:
		text += " The dashed line is the Pareto front: no other network is as good in both and better in one."
	}
	return text
}

// front are the marks on the front, the cheapest first.
func (s *scatter) front() []mark {
	front := slices.DeleteFunc(slices.Clone(s.marks), func(m mark) bool { return !m.front })
	slices.SortStableFunc(front, func(a, b mark) int { return cmp.Compare(a.cost, b.cost) })
	return front
}

func (s *scatter) DataRange() (xmin, xmax, ymin, ymax float64) {
	var costs, scores []float64
	for _, m := range s.marks {
		costs, scores = append(costs, m.cost), append(scores, m.score-m.deviation, m.score+m.deviation)
		for _, p := range m.published {
			costs, scores = append(costs, p.cost), append(scores, p.score)
		}
	}
	return slices.Min(costs), slices.Max(costs), slices.Min(scores), slices.Max(scores)
}

func (s *scatter) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	at := func(cost, score float64) vg.Point { return vg.Point{X: x(cost), Y: y(score)} }
	s.plotFront(c, at)
	for _, m := range s.marks {
		look := s.looks[m.network.Quantizer]
		for _, printed := range m.published {
			titled(c, "published", printed.title, func() {
				c.StrokeLines(draw.LineStyle{Color: look.color, Width: 0.5, Dashes: []vg.Length{1, 1.5}},
					[]vg.Point{at(m.cost, m.score), at(printed.cost, printed.score)})
				c.DrawGlyph(draw.GlyphStyle{Color: look.color, Radius: markRadius + 1, Shape: rhombus}, at(printed.cost, printed.score))
			})
		}
	}
	for _, m := range s.marks {
		look := s.looks[m.network.Quantizer]
		titled(c, "mark", m.title, func() {
			if m.deviation > 0 {
				c.StrokeLines(draw.LineStyle{Color: look.color, Width: 0.75},
					[]vg.Point{at(m.cost, m.score-m.deviation), at(m.cost, m.score+m.deviation)})
			}
			c.DrawGlyph(look.glyph(), at(m.cost, m.score))
		})
	}
	s.plotLabels(c, at)
}

// plotFront draws the best score that each cost can buy: level from a mark to the cost
// of the next, and there to its score.
func (s *scatter) plotFront(c draw.Canvas, at func(cost, score float64) vg.Point) {
	var names []string
	for _, m := range s.front() {
		names = append(names, name(m.network))
	}
	if len(names) > 1 {
		title := "Pareto front, by " + s.cost + ": " + strings.Join(names, "; ")
		titled(c, "front", title, func() { c.StrokeLines(frontLine, s.steps(at)) })
	}
}

// steps are the corners of the front's line.
func (s *scatter) steps(at func(cost, score float64) vg.Point) (corners []vg.Point) {
	front := s.front()
	for i, m := range front {
		if i > 0 {
			corners = append(corners, at(m.cost, front[i-1].score))
		}
		corners = append(corners, at(m.cost, m.score))
	}
	return corners
}

// plotLabels writes beside each mark what tells its network from others of its quantizer, if
// there is room. Marks on the front come first, the others in the order of the report. The
// titles of marks have all labels.
func (s *scatter) plotLabels(c draw.Canvas, at func(cost, score float64) vg.Point) {
	const gap = markRadius + 1.5
	var taken []vg.Rectangle
	line := func(from, to vg.Point) {
		taken = append(taken, vg.Rectangle{Min: vg.Point{X: min(from.X, to.X), Y: min(from.Y, to.Y)}, Max: vg.Point{X: max(from.X, to.X), Y: max(from.Y, to.Y)}})
	}
	shape := func(mid vg.Point) {
		line(mid.Add(vg.Point{X: -markRadius, Y: -markRadius}), mid.Add(vg.Point{X: markRadius, Y: markRadius}))
	}
	for _, m := range s.marks {
		shape(at(m.cost, m.score))
		line(at(m.cost, m.score-m.deviation), at(m.cost, m.score+m.deviation))
		for _, p := range m.published {
			shape(at(p.cost, p.score))
		}
	}
	steps := s.steps(at)
	for i := range steps[:max(0, len(steps)-1)] {
		line(steps[i], steps[i+1])
	}
	style := sans(noteSize)
	for _, m := range slices.Concat(s.front(), slices.DeleteFunc(slices.Clone(s.marks), func(m mark) bool { return m.front })) {
		label := cut(s.variants[m.network], labelCharacters)
		if label == "" {
			continue
		}
		width, height := style.Width(label), vg.Length(noteSize)
		mid := at(m.cost, m.score)
		for _, corner := range []vg.Point{
			{X: gap, Y: -height / 2}, {X: -gap - width, Y: -height / 2},
			{X: -width / 2, Y: gap}, {X: -width / 2, Y: -gap - height},
			{X: gap, Y: gap / 2}, {X: gap, Y: -gap/2 - height}, {X: -gap - width, Y: gap / 2}, {X: -gap - width, Y: -gap/2 - height},
		} {
			low := mid.Add(corner)
			box := vg.Rectangle{Min: low, Max: low.Add(vg.Point{X: width, Y: height})}
			if !within(box, c.Rectangle) || slices.ContainsFunc(taken, func(other vg.Rectangle) bool { return overlap(box, other) }) {
				continue
			}
			taken = append(taken, box)
			c.FillText(style, low.Add(vg.Point{Y: height * 0.2}), label)
			break
		}
	}
}

// labelCharacters is how long a label within a plot is at most.
const labelCharacters = 24

func within(inner, outer vg.Rectangle) bool {
	return inner.Min.X >= outer.Min.X && inner.Max.X <= outer.Max.X && inner.Min.Y >= outer.Min.Y && inner.Max.Y <= outer.Max.Y
}

func overlap(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}

// icon is what stands before a name in a legend: a line, a mark or both.
type icon struct {
	line  draw.LineStyle
	glyph draw.GlyphStyle
}

func (i icon) Thumbnail(c *draw.Canvas) {
	mid := c.Center()
	if i.line.Width > 0 {
		c.StrokeLine2(i.line, c.Min.X, mid.Y, c.Max.X-3, mid.Y)
		mid.X -= 1.5
	}
	c.DrawGlyphNoClip(i.glyph, mid)
}
