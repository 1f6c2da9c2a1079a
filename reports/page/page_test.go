package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/internal/sample"
	"bittern/reports/live"
	"bittern/reports/page"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written is the page of a suite.
func written(t *testing.T, s *store.Store, suite string, view reports.View) string {
	t.Helper()
	r, err := reports.Collect(t.Context(), s, suite, reports.Selection{})
	must(t, err)
	p, err := page.New(r, view)
	must(t, err)
	var out strings.Builder
	must(t, p.Write(&out))
	return out.String()
}

// elements are those of a page, in order, that a test of them chooses.
func elements(t *testing.T, text string, chosen func(*html.Node) bool) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	must(t, err)
	var list []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && chosen(n) {
			list = append(list, n)
		}
	}
	return list
}

func named(names ...string) func(*html.Node) bool {
	return func(n *html.Node) bool { return slices.Contains(names, n.Data) }
}

// attribute is empty where the element does not have it.
func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words are the text within a node.
func words(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return out.String()
}

// The page has the tables of the report's document, cell by cell, with what they sort by.
func TestPageHasTheTables(t *testing.T) {
	t.Parallel()
	s := sample.Golden(t)
	r, err := reports.Collect(t.Context(), s, "golden", reports.Selection{})
	must(t, err)
	text := written(t, s, "golden", reports.View{Parts: true})
	tables := elements(t, text, named("table"))
	at := 0
	for _, section := range r.Document(reports.View{Parts: true}).Sections {
		for _, sheet := range section.Sheets {
			var cells []*html.Node
			for n := range tables[at].Descendants() {
				if n.Type == html.ElementNode && n.Data == "td" {
					cells = append(cells, n)
				}
			}
			if len(cells) != len(sheet.Rows)*len(sheet.Columns) {
				t.Fatalf("%s: %d cells, want %d rows of %d", section.Heading, len(cells), len(sheet.Rows), len(sheet.Columns))
			}
			for i, n := range cells {
				want := sheet.Rows[i/len(sheet.Columns)][i%len(sheet.Columns)]
				if got := words(n); !strings.HasPrefix(got, want.Text) {
					t.Errorf("%s: a cell says %q, want %q", section.Heading, got, want.Text)
				}
				if sorts := attribute(n, "data-value") != ""; sorts != (want.Value != nil) {
					t.Errorf("%s: the cell %q has a number to sort by: %v, want %v", section.Heading, want.Text, sorts, want.Value != nil)
				}
				if missing := strings.Contains(attribute(n, "class"), "missing"); missing != want.Missing {
					t.Errorf("%s: the cell %q is missing: %v, want %v", section.Heading, want.Text, missing, want.Missing)
				}
			}
			at++
		}
	}
	if at != len(tables) || at < 6 {
		t.Errorf("%d tables, the document has %d, want at least 6", len(tables), at)
	}
	for _, want := range []string{"the model diverged in step 7", "Pareto front", "no power meter is read", "SHA-256 fb66"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
}

// Whatever stands in names, the page is text, loads nothing, runs its own script alone,
// and every id and every link within it is sound.
func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	const script, quote = "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>\n</style></svg>"
	c := sample.Trained(t, 1, 20, `"training":{"epochs":8}`)
	c.Task, c.Model, c.Quantizer, c.Backends = script, quote, "${javascript:alert(1)}", []string{quote}
	c.Metric = "</title>" + script
	hostile := sample.Stored(t, c)
	sample.Deploy(t, hostile, store.Deployment{Experiment: c.ID, Backend: quote, Metric: new(2.0), Doubt: script, Cost: &store.Cost{
		Steps: map[string]int{"text": 1}, Energy: []store.Part{{Name: script, Value: 1}}, Notes: []string{quote}}})
	const evil = "javascript:alert(1)//<b>"
	must(t, hostile.PutSuite(t.Context(), evil, []store.Experiment{c}, c.Backends))
	progress, err := live.NewFollower(hostile).Read(t.Context(), evil, nil)
	must(t, err)
	progress.Experiments[0].Phase, progress.Experiments[0].Reason, progress.Experiments[0].Hosts = live.Failed, quote, []string{"lab-1", script}
	var running strings.Builder
	must(t, page.Live{Suite: progress, Suites: []string{evil, script}, Problem: script, Waiting: quote}.Write(&running))

	if want := html.EscapeString(", on lab-1, " + script); !strings.Contains(running.String(), want) {
		t.Errorf("the live page does not say %q, where the experiment was trained", want)
	}

	for name, text := range map[string]string{
		"golden": written(t, sample.Golden(t), "golden", reports.View{}), "hostile": written(t, hostile, evil, reports.View{Parts: true}), "live": running.String(),
	} {
		scripts, styles := elements(t, text, named("script")), elements(t, text, named("style"))
		if len(scripts) != 1 || len(styles) != 1 {
			t.Fatalf("%s: %d scripts and %d style sheets, want one of each", name, len(scripts), len(styles))
		}
		policy := ""
		ids := make(map[string]bool)
		for _, n := range elements(t, text, func(*html.Node) bool { return true }) {
			if attribute(n, "http-equiv") == "Content-Security-Policy" {
				policy = attribute(n, "content")
			}
			if id := attribute(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("%s: two elements have the id %s", name, id)
				}
				ids[id] = true
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
					t.Errorf("%s: <%s> has %s=%q, which runs, is forbidden by the policy or loads", name, n.Data, a.Key, a.Val)
				}
			}
			if slices.Contains([]string{"img", "iframe", "object", "embed", "base", "form"}, n.Data) {
				t.Errorf("%s has a <%s>", name, n.Data)
			}
		}
		for _, n := range append(scripts, styles...) {
			digest := sha256.Sum256([]byte(words(n)))
			if hash := base64.StdEncoding.EncodeToString(digest[:]); !strings.Contains(policy, "'sha256-"+hash+"'") {
				t.Errorf("%s: the policy %q does not have the hash %s of the <%s>", name, policy, hash, n.Data)
			}
		}
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", name, policy)
		}
		for _, n := range elements(t, text, named("a", "link")) {
			href := attribute(n, "href")
			inside := strings.HasPrefix(href, "#") && ids[href[1:]] || strings.HasPrefix(href, "data:image/svg+xml,") || name == "live" && strings.HasPrefix(href, "?suite=")
			if !inside {
				t.Errorf("%s: a link leads to %q", name, href)
			}
		}
		if name == "golden" {
			continue
		}
		cells := elements(t, text, named("td"))
		for _, want := range []string{script, quote} {
			want = plugins.Line(want)
			if !slices.ContainsFunc(cells, func(n *html.Node) bool { return strings.Contains(words(n), want) }) && !strings.Contains(text, html.EscapeString(want)) {
				t.Errorf("%s: %q is not in the page as text", name, want)
			}
		}
	}
}

// TestUnreadStepsAreSaid damages the files of training steps of all experiments: the page has
// the validations, and says in place of the losses why there are none.
func TestUnreadStepsAreSaid(t *testing.T) {
	t.Parallel()
	all := []store.Experiment{sample.Trained(t, 1, 10, `"task":"characters"`), sample.Trained(t, 2, 10, `"task":"characters"`)}
	s := sample.Stored(t, all...)
	for _, e := range all {
		steps, err := store.OpenSteps(s.ExperimentDir(e.ID), 0)
		must(t, err)
		must(t, steps.AppendValidation(store.Validation{Step: 10, Deployable: 2.5}))
		must(t, steps.Close())
		must(t, os.WriteFile(filepath.Join(s.ExperimentDir(e.ID), "steps.jsonl"), []byte("{\n"), 0o600))
	}
	text := written(t, s, "suite", reports.View{})
	if figures := elements(t, text, named("figure")); !slices.ContainsFunc(figures, func(n *html.Node) bool { return attribute(n, "id") == "figure-curves-grammar-bpc" }) {
		t.Error("the page has no validations")
	}
	want := "n/a: grammar: training loss (metrics: byte 0 of "
	if !slices.ContainsFunc(elements(t, text, named("p")), func(n *html.Node) bool { return strings.HasPrefix(words(n), want) }) {
		t.Errorf("the page does not say %q", want)
	}
}

func TestPageIsDeterministic(t *testing.T) {
	t.Parallel()
	s := sample.Golden(t)
	if a, b := written(t, s, "golden", reports.View{}), written(t, s, "golden", reports.View{}); a != b {
		t.Error("two pages of one store differ")
	}
}

// Nothing is hidden before the script runs but what the script works.
func TestPageWithoutScript(t *testing.T) {
	t.Parallel()
	text := written(t, sample.Golden(t), "golden", reports.View{})
	for _, n := range elements(t, text, func(n *html.Node) bool {
		return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "hidden" })
	}) {
		if id, class := attribute(n, "id"), attribute(n, "class"); id != "tools" && class != "none" && n.Data != "label" {
			t.Errorf("a <%s> of id %q and class %q is hidden", n.Data, id, class)
		}
	}
}
