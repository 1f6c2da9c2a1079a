package plot

import (
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// canvas is a [vg.Canvas] that writes SVG. Unlike the one of gonum's vgsvg its groups
// have titles and roles, and black can be the colour of the text that the drawing
// stands in. It takes rotations and translations, which are all that plots use.
// Lengths are in points. The origin of vg is the bottom left corner, that of SVG the
// top left one.
type canvas struct {
	height vg.Length
	ink    string // what black is written as
	body   strings.Builder
	states []state // the last is in force
}

// state is what Push saves.
type state struct {
	color  color.Color
	width  vg.Length
	dashes []vg.Length
	offset vg.Length
	angle  float64  // radians, counterclockwise
	origin vg.Point // of the rotated coordinates, in those of the page
}

func newCanvas(height vg.Length, ink string) *canvas {
	c := &canvas{height: height, ink: ink, states: make([]state, 1)}
	vg.Initialize(c)
	return c
}

func (c *canvas) now() *state { return &c.states[len(c.states)-1] }

func (c *canvas) SetLineWidth(w vg.Length) { c.now().width = w }
func (c *canvas) SetLineDash(dashes []vg.Length, off vg.Length) {
	c.now().dashes, c.now().offset = dashes, off
}
func (c *canvas) SetColor(to color.Color) { c.now().color = to }
func (c *canvas) Rotate(radians float64)  { c.now().angle += radians }
func (c *canvas) Translate(by vg.Point)   { c.now().origin = c.now().turned(by) }
func (c *canvas) Push()                   { c.states = append(c.states, *c.now()) }
func (c *canvas) Pop()                    { c.states = c.states[:len(c.states)-1] }

// Scale and DrawImage are part of [vg.Canvas]; no plot here uses them.
func (c *canvas) Scale(x, y float64) { panic("plot: this canvas does not scale") }

func (c *canvas) DrawImage(vg.Rectangle, image.Image) { panic("plot: this canvas has no images") }

// turned is a point of the rotated coordinates in those of the page.
func (s *state) turned(pt vg.Point) vg.Point {
	sin, cos := math.Sincos(s.angle)
	x, y := float64(pt.X), float64(pt.Y)
	return s.origin.Add(vg.Point{X: vg.Length(x*cos - y*sin), Y: vg.Length(x*sin + y*cos)})
}

func (c *canvas) Stroke(path vg.Path) {
	s := c.now()
	if s.width <= 0 {
		return
	}
	stroke, opacity := c.paint()
	fmt.Fprintf(&c.body, `<path d="%s" fill="none" stroke="%s" stroke-width="%s"`, c.data(path), stroke, number(s.width))
	if opacity != "" {
		fmt.Fprintf(&c.body, ` stroke-opacity="%s"`, opacity)
	}
	if len(s.dashes) > 0 {
		lengths := make([]string, len(s.dashes))
		for i, d := range s.dashes {
			lengths[i] = number(d)
		}
		fmt.Fprintf(&c.body, ` stroke-dasharray="%s"`, strings.Join(lengths, ","))
		if s.offset != 0 {
			fmt.Fprintf(&c.body, ` stroke-dashoffset="%s"`, number(s.offset))
		}
	}
	c.body.WriteString("/>\n")
}

func (c *canvas) Fill(path vg.Path) {
	fill, opacity := c.paint()
	fmt.Fprintf(&c.body, `<path d="%s" fill="%s"`, c.data(path), fill)
	if opacity != "" {
		fmt.Fprintf(&c.body, ` fill-opacity="%s"`, opacity)
	}
	c.body.WriteString("/>\n")
}

func (c *canvas) FillString(face font.Face, at vg.Point, text string) {
	if face.Font.Size <= 0 {
		return
	}
	s := c.now()
	fill, opacity := c.paint()
	page := s.turned(at)
	x, y := number(page.X), number(c.height-page.Y)
	fmt.Fprintf(&c.body, `<text x="%s" y="%s" font-size="%s" fill="%s"`, x, y, number(face.Font.Size), fill)
	if opacity != "" {
		fmt.Fprintf(&c.body, ` fill-opacity="%s"`, opacity)
	}
	if s.angle != 0 {
		fmt.Fprintf(&c.body, ` transform="rotate(%s %s %s)"`, number(vg.Length(-s.angle*180/math.Pi)), x, y)
	}
	fmt.Fprintf(&c.body, ">%s</text>\n", escaped(text))
}

// paint is the colour as SVG writes it, and its opacity, empty where it is whole.
func (c *canvas) paint() (name, opacity string) {
	shade := color.NRGBA{A: math.MaxUint8}
	if to := c.now().color; to != nil {
		shade = color.NRGBAModel.Convert(to).(color.NRGBA)
	}
	name = fmt.Sprintf("#%02x%02x%02x", shade.R, shade.G, shade.B)
	if shade.R == 0 && shade.G == 0 && shade.B == 0 {
		name = c.ink
	}
	if shade.A < math.MaxUint8 {
		opacity = number(vg.Length(shade.A) / math.MaxUint8)
	}
	return name, opacity
}

func (c *canvas) data(path vg.Path) string {
	var d strings.Builder
	s := c.now()
	place := func(pt vg.Point) string {
		pt = s.turned(pt)
		return number(pt.X) + "," + number(c.height-pt.Y)
	}
	for _, part := range path {
		switch part.Type {
		case vg.MoveComp:
			d.WriteString("M" + place(part.Pos))
		case vg.LineComp:
			d.WriteString("L" + place(part.Pos))
		case vg.ArcComp:
			// In halves, for SVG has no arc that ends where it begins.
			on := func(angle float64) string {
				sin, cos := math.Sincos(angle)
				return place(part.Pos.Add(vg.Point{X: part.Radius * vg.Length(cos), Y: part.Radius * vg.Length(sin)}))
			}
			clockwise := "0"
			if part.Angle < 0 {
				clockwise = "1"
			}
			radius := number(part.Radius)
			d.WriteString("L" + on(part.Start))
			for _, end := range []float64{part.Angle / 2, part.Angle} {
				fmt.Fprintf(&d, "A%s,%s 0 0 %s %s", radius, radius, clockwise, on(part.Start+end))
			}
		case vg.CurveComp:
			d.WriteString(map[int]string{1: "Q", 2: "C"}[len(part.Control)])
			for _, control := range part.Control {
				d.WriteString(place(control) + " ")
			}
			d.WriteString(place(part.Pos))
		case vg.CloseComp:
			d.WriteString("Z")
		}
	}
	return d.String()
}

// begin opens a group, which end closes. Its title is what a pointer shows and a
// screen reader says.
func (c *canvas) begin(class, title string) {
	fmt.Fprintf(&c.body, "<g class=\"%s\" role=\"graphics-symbol img\"><title>%s</title>\n", class, escaped(title))
}

func (c *canvas) end() { c.body.WriteString("</g>\n") }

// titled draws something that has a title where the canvas knows titles.
func titled(c draw.Canvas, class, title string, drawing func()) {
	var at vg.Canvas = c
	for {
		inner, ok := at.(draw.Canvas) // a plot hands on canvases within canvases
		if !ok {
			break
		}
		at = inner.Canvas
	}
	if svg, ok := at.(*canvas); ok {
		svg.begin(class, title)
		defer svg.end()
	}
	drawing()
}

// number writes a length with hundredths of a point at most.
func number(l vg.Length) string {
	text := strconv.FormatFloat(float64(l), 'f', 2, 64)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		return "0"
	}
	return text
}

// escaped is text as XML writes it, within elements and attributes.
func escaped(text string) string {
	var out strings.Builder
	if err := xml.EscapeText(&out, []byte(text)); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return out.String()
}

var _ vg.Canvas = (*canvas)(nil)
