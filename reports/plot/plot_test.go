package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	gonum "gonum.org/v1/plot"

	"bittern/plugins"
	"bittern/reports"
)

// element is a node of an SVG.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) attribute(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// titles are those of the groups of a class, in the order in which they are drawn.
func (e element) titles(class string) (titles []string) {
	if e.XMLName.Local == "g" && e.attribute("class") == class {
		titles = append(titles, e.Children[0].Text)
	}
	for _, child := range e.Children {
		titles = append(titles, child.titles(class)...)
	}
	return titles
}

// texts are all that the figure says in text elements.
func (e element) texts() (texts []string) {
	if e.XMLName.Local == "text" {
		texts = append(texts, e.Text)
	}
	for _, child := range e.Children {
		texts = append(texts, child.texts()...)
	}
	return texts
}

func parsed(t *testing.T, write func(io.Writer) error) element {
	t.Helper()
	var text bytes.Buffer
	if err := write(&text); err != nil {
		t.Fatal(err)
	}
	var root element
	if err := xml.Unmarshal(text.Bytes(), &root); err != nil {
		t.Fatalf("the SVG does not parse: %v\n%s", err, text.Bytes())
	}
	return root
}

func drawn(t *testing.T, r *reports.Report, kind string) []Figure {
	t.Helper()
	figures, err := Draw(r, kind)
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

// TestEveryNetworkHasAMark holds the memory figure to the report: a mark for each
// network, a rhombus for each published value, the front with its networks by cost.
func TestEveryNetworkHasAMark(t *testing.T) {
	t.Parallel()
	r := suite(10)
	figures := drawn(t, r, "memory")
	if len(figures) != 1 || figures[0].ID != "memory-warpeace-bpc" {
		t.Fatalf("figures %+v, want the one of warpeace", figures)
	}
	root := parsed(t, figures[0].Inline)
	marks := root.titles("mark")
	if len(marks) != len(r.Networks) {
		t.Errorf("%d marks of %d networks", len(marks), len(r.Networks))
	}
	for i, n := range r.Networks[:min(len(marks), len(r.Networks))] {
		if want := name(n) + ": BPC " + figure(n.Deployable, 1) + ", " + short(n.DeployedBytes/1000) + " KB deployed"; !strings.HasPrefix(marks[i], want) {
			t.Errorf("mark %d is %q, want %q", i, marks[i], want)
		}
	}
	if got := root.titles("published"); len(got) != 4 || !strings.Contains(got[1], "hou2019 (verified): BPC 1.72, 3794 KB of 1024 bytes; of stochastic-binary") {
		t.Errorf("published %q, want four, the second of Hou et al.", got)
	}
	front := slices.DeleteFunc(slices.Clone(r.Networks), func(n *reports.Network) bool {
		return slices.ContainsFunc(r.Networks, func(other *reports.Network) bool {
			return *other.Deployable.Mean <= *n.Deployable.Mean && other.DeployedBytes <= n.DeployedBytes && other != n
		})
	})
	slices.SortFunc(front, func(a, b *reports.Network) int { return int(a.DeployedBytes - b.DeployedBytes) })
	var names []string
	for _, n := range front {
		names = append(names, name(n))
	}
	if got, want := root.titles("front"), "Pareto front, by KB deployed: "+strings.Join(names, "; "); len(got) != 1 || got[0] != want {
		t.Errorf("front %q, want %q", got, want)
	}
}

// TestInlineTakesThePagesColours checks what an SVG within a page must not have: a
// declaration, a background, black; and that the file has white and black instead.
func TestInlineTakesThePagesColours(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		for _, f := range drawn(t, suite(4), k.Name) {
			var inline, file bytes.Buffer
			if err := errors.Join(f.Inline(&inline), f.SVG(&file)); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(inline.String(), "<svg ") || strings.Contains(inline.String(), "<rect") || strings.Contains(inline.String(), "#000000") || strings.Contains(inline.String(), "#ffffff") {
				t.Errorf("%s: inline has a declaration, a background, black or white", f.ID)
			}
			if !strings.Contains(inline.String(), `fill="currentColor"`) {
				t.Errorf("%s: inline has no text in the page's colour", f.ID)
			}
			if !strings.HasPrefix(file.String(), "<?xml") || !strings.Contains(file.String(), `fill="#ffffff"`) || strings.Contains(file.String(), "currentColor") {
				t.Errorf("%s: the file has no declaration, no white page, or a page's colour", f.ID)
			}
			root := parsed(t, f.SVG)
			if got := []string{root.Children[0].Text, root.Children[1].Text}; got[0] != f.Title || got[1] != f.Caption {
				t.Errorf("%s: title and description are %q, want the figure's", f.ID, got)
			}
		}
	}
}

// TestTheSameReportGivesTheSameBytes draws everything twice.
func TestTheSameReportGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	all := func() []byte {
		var out bytes.Buffer
		for _, k := range Kinds() {
			for _, f := range drawn(t, suite(6), k.Name) {
				out.WriteString(f.ID + f.Title + f.Caption)
				if err := errors.Join(f.SVG(&out), f.Inline(&out), f.PNG(&out, 40)); err != nil {
					t.Fatal(err)
				}
			}
		}
		return out.Bytes()
	}
	if first := all(); !bytes.Equal(first, all()) {
		t.Error("the same report was drawn otherwise the second time")
	}
}

func TestPNG(t *testing.T) {
	t.Parallel()
	f := drawn(t, suite(3), "memory")[0]
	width := func(dpi float64) int {
		var out bytes.Buffer
		if err := f.PNG(&out, dpi); err != nil {
			t.Fatal(err)
		}
		image, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		return image.Bounds().Dx()
	}
	if at72, at144 := width(72), width(144); at72 < plotWidth || at144 < 2*at72-2 || at144 > 2*at72+2 {
		t.Errorf("%d pixels wide at 72 dpi and %d at 144, want at least %d and twice as many", at72, at144, plotWidth)
	}
	for _, dpi := range []float64{0, -1, MaxDPI + 1} {
		if problem, ok := errors.AsType[*plugins.Problem](f.PNG(io.Discard, dpi)); !ok {
			t.Errorf("%v dpi: %v, want a problem", dpi, problem)
		}
	}
}

// TestHostileNamesAreText gives a report names that mean something to XML, HTML and
// terminals.
func TestHostileNamesAreText(t *testing.T) {
	t.Parallel()
	const hostile = "a<script>alert(1)</script>\n\"&'\x1b[31m\u202e"
	r := suite(3)
	for _, n := range r.Networks {
		n.Task, n.Model, n.Setting = n.Task+hostile, n.Model+hostile, hostile
		n.Quantizer += hostile
		for i := range n.Deployments {
			n.Deployments[i].Backend += hostile
			for j := range n.Deployments[i].MemoryParts {
				n.Deployments[i].MemoryParts[j].Name += hostile
			}
		}
		for i := range n.Published {
			n.Published[i].Source = hostile
		}
	}
	for i := range r.Experiments {
		e := &r.Experiments[i]
		e.Task, e.Model, e.Setting = e.Task+hostile, e.Model+hostile, hostile
		e.Quantizer += hostile
	}
	r.Networks[0].Deployable = reports.Figure{Missing: hostile}
	id := regexp.MustCompile(`^[a-z0-9-]+$`)
	for _, k := range Kinds() {
		for _, f := range drawn(t, r, k.Name) {
			if !id.MatchString(f.ID) {
				t.Errorf("ID %q", f.ID)
			}
			for name, write := range map[string]func(io.Writer) error{"SVG": f.SVG, "Inline": f.Inline} {
				root := parsed(t, write)
				var out bytes.Buffer
				if err := write(&out); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(out.String(), "<script") || strings.ContainsAny(out.String(), "\x1b\u202e") {
					t.Errorf("%s of %s has a name that is more than text", name, f.ID)
				}
				if marks := slices.Concat(root.titles("mark"), root.titles("line"), root.titles("part")); len(marks) == 0 || !strings.Contains(marks[0], `<script>alert(1)</script>\n"&'\x1b[31m\u202e`) {
					t.Errorf("%s of %s: the first title is %q, want the name in one line", name, f.ID, marks)
				}
			}
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	t.Parallel()
	unscored := suite(1)
	for _, n := range unscored.Networks {
		n.Deployable = reports.Figure{Missing: "it was never frozen"}
	}
	for _, c := range []struct {
		report *reports.Report
		kind   string
		want   string
	}{
		{suite(1), "memry", `there is no plot "memry", did you mean "memory"?; use one of `},
		{&reports.Report{Suite: "empty"}, "memory", "the suite empty has nothing to draw as memory: no experiment of it is finished"},
		{unscored, "memory", "the suite grid has nothing to draw as memory: it was never frozen"},
	} {
		_, err := Draw(c.report, c.kind)
		problem, ok := errors.AsType[*plugins.Problem](err)
		if !ok || !strings.HasPrefix(problem.Sentence, c.want) {
			t.Errorf("%s: %v, want the problem %q", c.kind, err, c.want)
		}
	}
}

// TestWhatHasNoValueIsNamed checks that a network without a score is not drawn and is
// in the caption.
func TestWhatHasNoValueIsNamed(t *testing.T) {
	t.Parallel()
	r := suite(3)
	r.Networks[1].Deployable = reports.Figure{Missing: "not measured"}
	f := drawn(t, r, "memory")[0]
	if got := len(parsed(t, f.Inline).titles("mark")); got != len(r.Networks)-1 {
		t.Errorf("%d marks, want one less than %d networks", got, len(r.Networks))
	}
	if want := "n/a: none, lstm-layer, layer normalization (not measured)."; !strings.HasSuffix(f.Caption, want) {
		t.Errorf("caption %q, want the end %q", f.Caption, want)
	}
}

// TestTasksAndMetricsHaveFiguresOfTheirOwn also checks that IDs differ where names
// differ in signs alone.
func TestTasksAndMetricsHaveFiguresOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := suite(3)
	r.Networks[3].Metric = "accuracy %"
	r.Networks[4].Task = "war/peace"
	r.Networks[5].Task = "war-peace"
	var ids []string
	for _, f := range drawn(t, r, "memory") {
		ids = append(ids, f.ID)
	}
	if want := []string{"memory-warpeace-bpc", "memory-warpeace-accuracy", "memory-war-peace-bpc", "memory-war-peace-bpc-2"}; !slices.Equal(ids, want) {
		t.Errorf("figures %q, want %q", ids, want)
	}
}

// TestEnergyHasAFigureForEachBackend also checks that the front is of the backend's own
// scores, that higher is better where it is, and that backends without energy are named.
func TestEnergyHasAFigureForEachBackend(t *testing.T) {
	t.Parallel()
	r := suite(4)
	for i, n := range r.Networks {
		n.Metric = "accuracy %"
		n.Deployments[0].Metric = of(90-float64(i), 0)
		n.Deployments[0].Energy = of(float64(12-i)*1e-9, 0)
	}
	// Dominated: dearer than the next and worse.
	r.Networks[5].Deployments[0].Metric = of(1, 0)
	figures := drawn(t, r, "energy")
	if len(figures) != 1 || figures[0].ID != "energy-warpeace-accuracy-asic-lowpower" || !strings.HasSuffix(figures[0].Caption, " n/a on cpu (no power meter is read).") {
		t.Fatalf("figures %+v, want that of asic-lowpower, which says that cpu has none", figures)
	}
	root := parsed(t, figures[0].Inline)
	if got := root.titles("mark"); len(got) != 12 || !strings.Contains(got[1], ": accuracy % 89 (n=1), 11 (n=1) nJ a time step; on the Pareto front") || strings.Contains(got[5], "front") {
		t.Errorf("marks %q, want twelve, the second on the front and the sixth not", got)
	}
	var names []string
	for i := len(r.Networks) - 1; i >= 0; i-- {
		if i != 5 {
			names = append(names, name(r.Networks[i]))
		}
	}
	if got, want := root.titles("front"), "Pareto front, by nJ a time step: "+strings.Join(names, "; "); len(got) != 1 || got[0] != want {
		t.Errorf("front %q, want %q", got, want)
	}
}

func TestCurvesHaveALineForEachNetwork(t *testing.T) {
	t.Parallel()
	r := suite(3)
	e := &r.Experiments[2] // the third seed of the first network stopped early
	e.Validations = e.Validations[:4]
	for i := range 3 {
		r.Experiments[3+i].Validations = nil
		r.Experiments[3+i].Unread = "line 3 is damaged"
	}
	r.Experiments[0].Training = []reports.TrainingLoss{{Step: 10, Loss: 2}, {Step: 20, Loss: 1.5}}
	figures := drawn(t, r, Curves)
	if len(figures) != 2 || figures[0].ID != "curves-warpeace-bpc" || figures[1].ID != "curves-warpeace-bpc-loss" {
		t.Fatalf("figures %+v, want validations and losses", figures)
	}
	if want := " n/a: none, lstm-layer, layer normalization (line 3 is damaged)."; !strings.HasSuffix(figures[0].Caption, want) {
		t.Errorf("caption %q, want the end %q", figures[0].Caption, want)
	}
	root := parsed(t, figures[0].Inline)
	lines := root.titles("line")
	if len(lines) != 8 || !strings.HasPrefix(lines[0], "none, lstm-weight, weight normalization: BPC ") || !strings.Contains(lines[0], "after 1200 steps (n=3), best") {
		t.Errorf("lines %q, want eight, the first as far as all seeds go", lines)
	}
	if seeds := root.titles("seed"); len(seeds) != 24 {
		t.Errorf("%d lines of seeds, want three of each of eight networks", len(seeds))
	}
	if points := root.titles("point"); len(points) != 4+7*10 || !strings.HasSuffix(points[0], " after 300 steps") {
		t.Errorf("%d points %q, want four and ten of each other network", len(points), points[0])
	}
	loss := parsed(t, figures[1].Inline)
	if got := loss.titles("line"); len(got) != 1 || got[0] != "none, lstm-weight, weight normalization: nats a target 1.5 after 20 steps (n=1), best 1.5 after 20" {
		t.Errorf("losses %q", got)
	}
}

func TestBarsHaveEveryPart(t *testing.T) {
	t.Parallel()
	r := suite(2)
	figures := drawn(t, r, "parts")
	var ids []string
	for _, f := range figures {
		ids = append(ids, f.ID)
	}
	if want := []string{"parts-energy-warpeace-bpc-asic-lowpower", "parts-memory-warpeace-bpc-asic-lowpower", "parts-memory-warpeace-bpc-cpu"}; !slices.Equal(ids, want) {
		t.Fatalf("figures %q, want %q", ids, want)
	}
	root := parsed(t, figures[0].Inline)
	if got := root.titles("part"); len(got) != 6*5 || got[0] != "none, lstm-weight, weight normalization: weight fetch 3200 nJ a time step of 8000 (40 %)" {
		t.Errorf("%d parts, the first %q; want five of each network", len(got), got[0])
	}
	for _, want := range []string{"none, batch-cell", "fixed-point, weight", "clock and control", "8000"} {
		if !slices.Contains(root.texts(), want) {
			t.Errorf("texts %q have no %q", root.texts(), want)
		}
	}
}

// TestEachQuantizerLooksItsOwn checks that no two share shape and colour, and that
// every colour stands out by 3:1 from a white page and from a dark one (WCAG 2.2,
// 1.4.11, with its relative luminance).
func TestEachQuantizerLooksItsOwn(t *testing.T) {
	t.Parallel()
	r := &reports.Report{}
	for i := range len(palette) * len(shapes) {
		r.Networks = append(r.Networks, &reports.Network{Quantizer: strings.Repeat("q", i+1)})
	}
	seen := make(map[string]string)
	for quantizer, look := range seriesOf(r) {
		key := fmt.Sprint(look.color, look.shape)
		if seen[key] != "" {
			t.Errorf("%s and %s look alike", quantizer, seen[key])
		}
		seen[key] = quantizer
	}
	luminance := func(c color.NRGBA) float64 {
		linear := func(v uint8) float64 {
			if s := float64(v) / 255; s > 0.04045 {
				return math.Pow((s+0.055)/1.055, 2.4)
			}
			return float64(v) / 255 / 12.92
		}
		return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	}
	for _, c := range palette {
		for _, page := range []color.NRGBA{{R: 255, G: 255, B: 255}, {R: 0x18, G: 0x1a, B: 0x1b}} {
			light, dark := max(luminance(c), luminance(page)), min(luminance(c), luminance(page))
			if ratio := (light + 0.05) / (dark + 0.05); ratio < 3 {
				t.Errorf("%v on %v has a contrast of %.2f, want 3", c, page, ratio)
			}
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	t.Parallel()
	labels := func(ticks []gonum.Tick) (labels []string) {
		for _, tick := range ticks {
			if !tick.IsMinor() {
				labels = append(labels, tick.Label)
			}
		}
		return labels
	}
	for _, c := range []struct {
		ticker      gonum.Ticker
		least, most float64
		want        []string
	}{
		{linearTicks{}, 1.677, 1.861, []string{"1.70", "1.75", "1.80", "1.85"}},
		{linearTicks{}, 0, 8500, []string{"0", "2000", "4000", "6000", "8000"}},
		{linearTicks{}, -0.2, 0.21, []string{"-0.2", "-0.1", "0.0", "0.1", "0.2"}},
		{linearTicks{}, -0.05, 0.21, []string{"-0.05", "0.00", "0.05", "0.10", "0.15", "0.20"}},
		{linearTicks{}, -0.01, 0.25, []string{"0.00", "0.05", "0.10", "0.15", "0.20", "0.25"}},
		{linearTicks{whole: true}, 0, 3, []string{"0", "1", "2", "3"}},
		{logTicks{}, 150, 900, []string{"200", "500"}},
		{logTicks{}, 0.3, 12, []string{"0.5", "1", "2", "5", "10"}},
		{logTicks{}, 3, 40000, []string{"10", "100", "1000", "10000"}},
	} {
		if got := labels(c.ticker.Ticks(c.least, c.most)); !slices.Equal(got, c.want) {
			t.Errorf("%T from %v to %v: %q, want %q", c.ticker, c.least, c.most, got, c.want)
		}
	}
}

// TestRangesThatAreNone draws what has one value, or none above 0.
func TestRangesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ bytes, score float64 }{{1000, 1.7}, {0, 0}, {-1, -3}} {
		r := suite(1)
		for _, n := range r.Networks {
			n.DeployedBytes, n.Deployable = c.bytes, of(c.score, 0)
		}
		if got := len(parsed(t, drawn(t, r, "memory")[0].SVG).titles("mark")); got != 3 {
			t.Errorf("%d marks at %v, want 3", got, c)
		}
	}
}

func TestNamesAreCutInTheMiddle(t *testing.T) {
	t.Parallel()
	if got, want := cut("lstm-512-batch-normalised-with-äöü-2", 12), "lstm-51…öü-2"; got != want {
		t.Errorf("cut %q, want %q", got, want)
	}
	if got := cut("short", 12); got != "short" {
		t.Errorf("cut %q, want short", got)
	}
}
