package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	figures, _, err := Draw(r, kind)
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
		_, _, err := Draw(c.report, c.kind)
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

// TestMissingFiguresAreNamed checks of every kind that a figure which cannot be drawn is named
// with its reason, though others of the kind are drawn.
func TestMissingFiguresAreNamed(t *testing.T) {
	t.Parallel()
	r := suite(2)
	bare := r.Networks[5] // a task of its own, with nothing to draw
	bare.Task, bare.Deployable = "ptb", reports.Figure{Missing: "never frozen"}
	for i := range bare.Deployments {
		d := &bare.Deployments[i]
		d.Energy, d.EnergyParts, d.MemoryParts = reports.Figure{Missing: "not metered"}, nil, nil
	}
	for i := range r.Experiments {
		e := &r.Experiments[i]
		e.Training = []reports.TrainingLoss{{Step: 10, Loss: 2}}
		if i >= len(r.Experiments)-3 {
			e.Task, e.Validations, e.Unread, e.Training, e.TrainingUnread = "ptb", nil, "line 3 is damaged", nil, fmt.Sprintf("seed %d is damaged", e.Seed)
		}
	}
	for kind, want := range map[string]string{
		Curves:   "n/a: ptb: validation BPC during training (line 3 is damaged). n/a: ptb: training loss (seed 1 is damaged; and 2 more reasons).",
		"memory": "n/a: ptb: deployable BPC against memory (never frozen).",
		"energy": "n/a: warpeace on cpu: BPC against energy (no power meter is read). n/a: ptb on asic-lowpower: BPC against energy; ptb on cpu: BPC against energy (not metered).",
		"parts":  "n/a: warpeace on cpu: energy by part (no power meter is read). n/a: ptb on asic-lowpower: energy by part; ptb on cpu: energy by part (not metered). n/a: ptb on asic-lowpower: memory by part; ptb on cpu: memory by part (the backend does not tell its memory).",
	} {
		figures, missing, err := Draw(r, kind)
		if len(figures) == 0 || missing != want || err != nil {
			t.Errorf("%s: %d figures, missing %q, error %v; want missing %q", kind, len(figures), missing, err, want)
		}
	}
	if _, missing, err := Draw(suite(2), "memory"); missing != "" || err != nil {
		t.Errorf("missing %q, error %v of a report that has everything", missing, err)
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
