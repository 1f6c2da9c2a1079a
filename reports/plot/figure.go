package plot

import (
	"bufio"
	"fmt"
	"io"
	"math"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"bittern/plugins"
)

// Figure is a drawing of a report. Its texts are in one line.
type Figure struct {
	Kind string // of [Kinds]
	// ID consists of a–z, 0–9 and -, begins with the kind, and is unique among all figures
	// of a report. Files are named by it, and all ids in the SVG begin with it.
	ID      string
	Title   string
	Caption string // what is shown, how to read it, and what is left out and why

	chart chart
}

// chart is a plot with its legend on the right, outside the data.
type chart struct {
	plot          *gonum.Plot
	legend        gonum.Legend
	entries       int
	width, height vg.Length // of the plot without its legend and title
}

// The sizes of a figure, in points: as wide as a page of a paper with its margins.
const (
	plotWidth   = 360
	plotHeight  = 270
	legendSpace = 14 // between the plot and its legend
	legendSize  = 9
	edge        = 4 // around everything
)

func newChart(p *gonum.Plot) chart {
	c := chart{plot: p, legend: gonum.NewLegend(), width: plotWidth, height: plotHeight}
	restyle(&c.legend.TextStyle, legendSize)
	c.legend.Top, c.legend.Left, c.legend.ThumbnailWidth, c.legend.Padding = true, true, 22, 3
	c.legend.YPosition = draw.PosCenter
	return c
}

// explain adds an entry to the legend.
func (c *chart) explain(name string, thumbs ...gonum.Thumbnailer) {
	c.legend.Add(cut(name, legendCharacters), thumbs...)
	c.entries++
}

// legendCharacters is how long a name in a legend is at most.
const legendCharacters = 30

// size of the whole, with or without the title.
func (f Figure) size(withTitle bool) (width, height vg.Length) {
	legend := f.chart.legend.Rectangle(draw.Canvas{}).Size()
	width, height = f.chart.width, max(f.chart.height, legend.Y+2*legendSize)
	if f.chart.entries > 0 {
		width += legendSpace + legend.X
	}
	if withTitle {
		height += 2 * titleSize
		width = max(width, sans(titleSize).Width(f.Title))
	}
	return width + 2*edge, height + 2*edge
}

// draw draws the figure on a canvas of its size.
func (f Figure) draw(c draw.Canvas, withTitle bool) {
	c = draw.Crop(c, edge, -edge, edge, -edge)
	if withTitle {
		style := sans(titleSize)
		style.YAlign = draw.YTop
		c.FillText(style, vg.Point{X: c.Min.X, Y: c.Max.Y}, f.Title)
		c = draw.Crop(c, 0, 0, 0, -2*titleSize)
	}
	plot := c
	plot.Max.X = c.Min.X + f.chart.width
	f.chart.plot.Draw(plot)
	legend := c
	legend.Min.X = plot.Max.X + legendSpace
	f.chart.legend.Draw(legend)
}

const fonts = "Liberation Sans, Arial, Helvetica, sans-serif" // of the same widths

// SVG writes the figure as a file of its own: on white, with its title.
func (f Figure) SVG(w io.Writer) error {
	width, height := f.size(true)
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%spt" height="%spt" viewBox="0 0 %[1]s %[2]s" font-family="%s" role="graphics-document document" aria-labelledby="%s-title %[4]s-caption">`+"\n",
		number(width), number(height), fonts, f.ID)
	fmt.Fprintf(out, "<title id=\"%s-title\">%s</title>\n<desc id=\"%[1]s-caption\">%[3]s</desc>\n", f.ID, escaped(f.Title), escaped(f.Caption))
	fmt.Fprintf(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n")
	c := newCanvas(height, "#000000")
	f.draw(draw.NewCanvas(c, width, height), true)
	out.WriteString(c.body.String())
	out.WriteString("</svg>\n")
	return out.Flush()
}

// Inline writes the figure as an svg element to stand within HTML, where Title and
// Caption are text of the page: without them, on the page's background, text and axes
// in the page's text colour. It has its size in points; a page lets it shrink by the
// style max-width: 100%; height: auto.
//
// Everything drawn is a group with a title that says what it is. The classes of groups are mark
// (a network), published, front; line (a network), point and seed (of a line); and part (of a
// bar).
func (f Figure) Inline(w io.Writer) error {
	width, height := f.size(false)
	c := newCanvas(height, "currentColor")
	f.draw(draw.NewCanvas(c, width, height), false)
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" id="%s" viewBox="0 0 %s %s" width="%[2]spt" height="%[3]spt" font-family="%s" role="graphics-document document" aria-label="%s">`+"\n%s</svg>\n",
		f.ID, number(width), number(height), fonts, escaped(f.Title), c.body.String())
	return err
}

// The resolutions that [Figure.PNG] draws in, in dots per inch.
const (
	MinDPI = 20
	MaxDPI = 1200
)

// PNG writes the figure as pixels, on white, with its title. A resolution outside
// MinDPI to MaxDPI is a [*plugins.Problem].
func (f Figure) PNG(w io.Writer, dpi float64) error {
	if !(dpi >= MinDPI && dpi <= MaxDPI) {
		return plugins.Problemf("a resolution is %d to %d dots per inch, not %v", MinDPI, MaxDPI, dpi)
	}
	width, height := f.size(true)
	c := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(int(math.Round(dpi))))
	f.draw(draw.New(c), true)
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}
