package plot

import (
	"image/color"
	"math"
	"strconv"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"bittern/plugins"
	"bittern/reports"
)

// palette are the four colours of Okabe & Ito, Color Universal Design (2008,
// jfly.uni-koeln.de/color), that stand out by 3:1 or more from white and from a dark
// page alike: blue, vermilion, bluish green, reddish purple.
var palette = []color.NRGBA{
	{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
	{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
}

// ink is the colour of text and axes, and of networks in full precision.
var ink = faded(0xff)

// faded is ink that lets the page shine through.
func faded(alpha uint8) color.NRGBA { return color.NRGBA{A: alpha} }

// shapes are the marks of quantizers. Their number and that of the colours have no
// divisor in common, so that 28 quantizers have looks of their own. A rhombus is kept
// for published values.
var shapes = []draw.GlyphDrawer{
	polygon{corners: 4, turn: math.Pi / 4}, polygon{corners: 3, turn: math.Pi / 2}, star{rays: 4, turn: math.Pi / 4}, polygon{corners: 3, turn: -math.Pi / 2},
	star{rays: 4}, star{rays: 3, turn: math.Pi / 2}, polygon{corners: 6},
}

// rhombus is the mark of a published value.
var rhombus = polygon{corners: 4, hollow: true}

// dashes are the patterns of lines, in points.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 2, 2, 2}, {4, 2, 1, 2, 1, 2}}

const (
	markRadius = 3.5 // points
	lineWidth  = 1.25
	titleSize  = 11
	labelSize  = 10
	tickSize   = 9
	noteSize   = 7.5
)

// series is how one quantizer looks in all figures of a report.
type series struct {
	color color.NRGBA
	shape draw.GlyphDrawer
	dash  []vg.Length
}

func (s series) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.color, Radius: markRadius, Shape: s.shape}
}

func (s series) line() draw.LineStyle {
	return draw.LineStyle{Color: s.color, Width: lineWidth, Dashes: s.dash}
}

// seriesOf gives each quantizer of a report its look, in the order of its networks.
// What is in full precision is drawn in ink.
func seriesOf(r *reports.Report) map[string]series {
	looks := make(map[string]series)
	next := 0
	for _, n := range r.Networks {
		if _, ok := looks[n.Quantizer]; ok {
			continue
		}
		if n.FullPrecision.Itself {
			looks[n.Quantizer] = series{color: ink, shape: draw.CircleGlyph{}}
			continue
		}
		looks[n.Quantizer] = series{palette[next%len(palette)], shapes[next%len(shapes)], dashes[next%len(dashes)]}
		next++
	}
	return looks
}

// polygon is a regular one whose first corner is at this angle, in radians.
type polygon struct {
	corners int
	turn    float64
	hollow  bool
}

func (p polygon) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, at vg.Point) {
	var path vg.Path
	path.Move(around(at, sty.Radius, p.turn))
	for i := range p.corners - 1 {
		path.Line(around(at, sty.Radius, p.turn+2*math.Pi*float64(i+1)/float64(p.corners)))
	}
	path.Close()
	if p.hollow {
		c.SetLineStyle(draw.LineStyle{Color: sty.Color, Width: lineWidth})
		c.Stroke(path)
		return
	}
	c.Fill(path)
}

// star is rays from a centre, the first of them at this angle, in radians.
type star struct {
	rays int
	turn float64
}

func (s star) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, at vg.Point) {
	c.SetLineStyle(draw.LineStyle{Color: sty.Color, Width: 2})
	for i := range s.rays {
		var path vg.Path
		path.Move(at)
		path.Line(around(at, sty.Radius, s.turn+2*math.Pi*float64(i)/float64(s.rays)))
		c.Stroke(path)
	}
}

func around(at vg.Point, radius vg.Length, angle float64) vg.Point {
	sin, cos := math.Sincos(angle)
	return at.Add(vg.Point{X: radius * vg.Length(cos), Y: radius * vg.Length(sin)})
}

// sans is text of this size in points.
func sans(size vg.Length) text.Style {
	return text.Style{Color: ink, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: gonum.DefaultTextHandler}
}

// grid is how the lines of a grid are drawn.
var grid = draw.LineStyle{Color: faded(0x28), Width: 0.5}

// axes is a plot without data. It has no background.
func axes(x, y string) *gonum.Plot {
	p := gonum.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, axis := range []*gonum.Axis{&p.X, &p.Y} {
		axis.Label.Padding = 3
		restyle(&axis.Label.TextStyle, labelSize)
		restyle(&axis.Tick.Label, tickSize)
		axis.Tick.Length = 4
	}
	return p
}

func restyle(s *text.Style, size vg.Length) { s.Font, s.Color = sans(size).Font, ink }

// logarithmic is the least ratio of the largest to the smallest value for which an axis
// is logarithmic.
const logarithmic = 10

// spread widens the range of an axis beyond its data, so that no mark lies on its end,
// and makes it logarithmic where it may be and the range asks for it.
func spread(a *gonum.Axis, mayBeLogarithmic bool) {
	const margin = 0.05
	if mayBeLogarithmic && a.Min > 0 && a.Max/a.Min >= logarithmic {
		factor := math.Pow(a.Max/a.Min, margin)
		a.Min, a.Max = a.Min/factor, a.Max*factor
		a.Scale, a.Tick.Marker = gonum.LogScale{}, logTicks{}
		return
	}
	by := margin * (a.Max - a.Min)
	if by == 0 {
		by = margin * math.Abs(a.Max)
	}
	if by == 0 {
		by = 1
	}
	a.Min, a.Max = a.Min-by, a.Max+by
	a.Tick.Marker = linearTicks{}
}

// linearTicks labels multiples of 1, 2 or 5 times a power of ten, so that there are at most
// seven labels. gonum's own ticks may lie at 1.68, 1.77 and 1.86 and read 1.7, 1.8 and 1.9.
type linearTicks struct{ whole bool } // numbers alone

func (t linearTicks) Ticks(least, most float64) []gonum.Tick {
	const labels = 7
	power := math.Floor(math.Log10((most - least) / labels))
	step := math.Pow(10, power+1)
	for _, digit := range []float64{1, 2, 5} {
		if s := digit * math.Pow(10, power); (most-least)/s <= labels {
			step = s
			break
		}
	}
	if t.whole {
		step = max(1, step)
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var ticks []gonum.Tick
	for k := math.Ceil(least / step); k*step <= most; k++ {
		value := k*step + 0 // which makes 0 of −0
		ticks = append(ticks, gonum.Tick{Value: value, Label: strconv.FormatFloat(value, 'f', decimals, 64)})
	}
	return ticks
}

// logTicks labels 1, 2 and 5 of each power of ten, or only the powers if an axis has more than
// three of them. gonum's own ticks only label the powers, and the range from 150 to 900 has
// none.
type logTicks struct{}

func (logTicks) Ticks(least, most float64) []gonum.Tick {
	labelled := map[int]bool{1: true, 2: true, 5: true}
	if most/least > 1e3 {
		labelled = map[int]bool{1: true}
	}
	var ticks []gonum.Tick
	for power := math.Floor(math.Log10(least)); power <= math.Ceil(math.Log10(most)); power++ {
		for digit := 1; digit < 10; digit++ {
			tick := gonum.Tick{Value: float64(digit) * math.Pow(10, power)}
			if tick.Value < least || tick.Value > most {
				continue
			}
			if labelled[digit] {
				tick.Label = strconv.FormatFloat(tick.Value, 'g', 4, 64)
				if tick.Value >= 1 && tick.Value < 1e7 {
					tick.Label = strconv.FormatFloat(tick.Value, 'f', 0, 64)
				}
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// cut returns a name in one line of at most the given characters. It leaves out the middle,
// because names of networks often begin alike.
func cut(name string, characters int) string {
	letters := []rune(plugins.Line(name))
	if len(letters) <= characters {
		return string(letters)
	}
	head := (characters - 1) * 2 / 3
	return string(letters[:head]) + "…" + string(letters[len(letters)-(characters-1-head):])
}
