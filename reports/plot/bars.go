package plot

import (
	"math"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bars is a plotter of stacked bars, one below the other in the order of the rows.
type bars struct{ rows []row }

// row is one bar, of parts that are stacked from the left.
type row struct {
	label string
	parts []segment
	total string // what stands behind the bar
}

// segment is one part of a bar.
type segment struct {
	value float64
	look  filling
	title string
}

// filling is how a part looks. A texture beside the colour tells it: whole, or pale with
// an outline and lines in one of four directions.
type filling struct{ number int }

const textures = 5

func (f filling) draw(c draw.Canvas, box vg.Rectangle) {
	shade := palette[f.number%len(palette)]
	texture := f.number % textures
	if texture == 0 {
		c.SetColor(shade)
		c.Fill(box.Path())
		return
	}
	pale := shade
	pale.A = 0x50
	c.SetColor(pale)
	c.Fill(box.Path())
	line := draw.LineStyle{Color: shade, Width: 0.75}
	c.SetLineStyle(line)
	c.Stroke(box.Path())
	const spacing = 4
	inside := draw.Canvas{Canvas: c.Canvas, Rectangle: box}
	size := box.Size()
	stroke := func(from, to vg.Point) {
		c.StrokeLines(line, inside.ClipLinesXY([]vg.Point{box.Min.Add(from), box.Min.Add(to)})...)
	}
	switch texture {
	case 1:
		for x := vg.Length(spacing) - size.Y; x < size.X; x += spacing {
			stroke(vg.Point{X: x}, vg.Point{X: x + size.Y, Y: size.Y})
		}
	case 2:
		for x := vg.Length(spacing); x < size.X; x += spacing {
			stroke(vg.Point{X: x}, vg.Point{X: x, Y: size.Y})
		}
	case 3:
		for y := vg.Length(spacing) / 2; y < size.Y; y += spacing {
			stroke(vg.Point{Y: y}, vg.Point{X: size.X, Y: y})
		}
	}
}

func (f filling) Thumbnail(c *draw.Canvas) {
	box := c.Rectangle
	box.Max.X -= 4
	f.draw(*c, box)
}

// barHeight is the share of a row's height that its bar has, and rowHeight that of a
// row in points.
const (
	barHeight = 0.7
	rowHeight = 15
)

// chart is the bars over their axis, which begins at 0.
func (b bars) chart(x string) chart {
	p := axes(x, "")
	p.Add(&plotter.Grid{Vertical: grid}, b)
	p.Y.Min, p.Y.Max = -0.6, float64(len(b.rows))-0.4
	p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width, p.Y.Padding = 0, 0, 0
	var labels gonum.ConstantTicks
	wide := vg.Length(0)
	for i, r := range b.rows {
		labels = append(labels, gonum.Tick{Value: b.level(i), Label: r.label})
		wide = max(wide, p.Y.Tick.Label.Width(r.label))
	}
	p.Y.Tick.Marker = labels
	p.X.Min = 0
	p.X.Max *= 1.15 // room for the totals
	if p.X.Max == 0 {
		p.X.Max = 1
	}
	p.X.Tick.Marker = linearTicks{}
	c := newChart(p)
	c.width, c.height = plotWidth*0.8+wide, vg.Length(len(b.rows))*rowHeight+50
	return c
}

// level is the middle of a row on the vertical axis.
func (b bars) level(row int) float64 { return float64(len(b.rows) - 1 - row) }

func (b bars) DataRange() (xmin, xmax, ymin, ymax float64) {
	for _, r := range b.rows {
		total := 0.0
		for _, s := range r.parts {
			total += s.value
		}
		xmax = math.Max(xmax, total)
	}
	return 0, xmax, 0, float64(len(b.rows))
}

func (b bars) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	style := sans(noteSize)
	for i, r := range b.rows {
		low, high := y(b.level(i)-barHeight/2), y(b.level(i)+barHeight/2)
		sum := 0.0
		for _, s := range r.parts {
			if s.value == 0 {
				continue
			}
			box := vg.Rectangle{Min: vg.Point{X: x(sum), Y: low}, Max: vg.Point{X: x(sum + s.value), Y: high}}
			titled(c, "part", s.title, func() { s.look.draw(c, box) })
			sum += s.value
		}
		c.FillText(style, vg.Point{X: x(sum) + 3, Y: (low+high)/2 - noteSize*0.3}, r.total)
	}
}

var _ gonum.Thumbnailer = filling{}
