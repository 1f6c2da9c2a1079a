package format_test

import (
	"encoding/csv"
	"encoding/json"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/format"
	"bittern/reports/internal/sample"
)

// What names may not become: a script, a formula of a spreadsheet, a command of LaTeX, a
// path, and characters that move a cursor or end a row.
const (
	script  = "<script>alert(1)</script>"
	formula = "=cmd|' /C calc'!A0"
	control = "a\x1b[31m\r\n| b |\u009b2J\U000e0041"
	command = `\input{/etc/passwd}$x_1^2$ 50% ~&#`
	climbs  = "../../../tmp/x"
)

// hostile is a report with such text wherever suites and plugins can put it.
func hostile(t *testing.T) *reports.Report {
	t.Helper()
	c := sample.Trained(t, 1, 20, `"training":{"epochs":8}`)
	c.Task, c.Model, c.Quantizer, c.Backends = script, formula, control, []string{"\t@SUM(1)", "-1+1", command, climbs}
	c.Settings = []store.Setting{{Name: control, Value: command}}
	s := sample.Stored(t, c)
	for _, backend := range c.Backends {
		sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: backend, Metric: new(-2.0), Doubt: script, Groups: []store.GroupScore{{Group: control, Score: 1}}, Cost: &store.Cost{
			Notes: []string{script, command}, Missing: map[string]string{"energy": control, "seconds": script},
			Substitutions: []store.Substitution{{Weight: script, From: control, To: command, Reason: formula}}}})
	}
	other := sample.Trained(t, 3, 20, `"training":{"epochs":8}`)
	other.Task, other.Model, other.Quantizer = command, climbs, script
	failed := sample.Trained(t, 2, 20, `"training":{"epochs":8}`)
	failed.Task, failed.Status, failed.Reason = script, store.Failed, control+command
	for _, e := range []store.Experiment{other, failed} {
		if err := s.PutSuite(t.Context(), "suite", []store.Experiment{e}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.PutExperiment(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	r := collect(t, s, "suite")
	r.Suite = climbs + script
	return r
}

// Text from suites and plugins comes out as text in every format. Each format has a check
// of its own here; one that is new has to bring its.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	r := hostile(t)
	checks := map[string]func(*testing.T, string){
		"markdown": markdownIsText, "terminal": func(*testing.T, string) {}, "csv": csvIsText, "json": jsonIsText, "latex": latexIsText, "html": htmlIsText,
		"benchstat": benchstatIsText, "bmf": bmfIsText, "every-eval-ever": everyEvalIsText, "tensorboard": tensorBoardIsText,
	}
	for _, f := range format.All() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			check, ok := checks[f.Name]
			if !ok {
				t.Fatal("nothing checks that names come out of this format as text")
			}
			files := make(map[string]string)
			if f.Folder != nil {
				_, files = filled(t, r, f.Name)
			} else {
				files["stream"] = written(t, r, f.Name, reports.View{Parts: true})
			}
			for name, text := range files {
				if filepath.Base(name) != name {
					for _, part := range strings.Split(name, "/") {
						if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`).MatchString(part) {
							t.Errorf("%q is a part of the path %q", part, name)
						}
					}
				}
				if utf8.ValidString(text) { // an event file is not
					plain(t, text)
				}
				check(t, text)
			}
		})
	}
}

// plain refuses characters that a terminal would obey.
func plain(t *testing.T, text string) {
	t.Helper()
	for _, c := range text {
		if c != '\n' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xe0041) {
			t.Errorf("the character %U in:\n%q", c, text)
			return
		}
	}
}

func markdownIsText(t *testing.T, text string) {
	if strings.Contains(text, "<script") {
		t.Errorf("a script in:\n%s", text)
	}
	// A header, a line below it, and a row for each network and each of its backends.
	for _, lines := range strings.Split(text, "\n\n") {
		if !strings.HasPrefix(lines, "|") {
			continue
		}
		pipes := regexp.MustCompile(`(^|[^\\])\|`)
		first, _, _ := strings.Cut(lines, "\n")
		for _, row := range strings.Split(strings.TrimSpace(lines), "\n") {
			if got, want := len(pipes.FindAllString(row, -1)), len(pipes.FindAllString(first, -1)); got != want {
				t.Errorf("a row has %d bars, want %d as its header:\n%s", got, want, row)
			}
		}
	}
}

// Of HTML the page's own script is the only one, and what a reader sees in the tables are
// the names. (Package page looks at the rest.)
func htmlIsText(t *testing.T, text string) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	cells := make(map[string]bool)
	for n := range root.Descendants() {
		switch {
		case n.DataAtom == atom.Script:
			scripts++
		case n.DataAtom == atom.Td && n.FirstChild != nil:
			cells[n.FirstChild.Data] = true
		}
	}
	if scripts != 1 {
		t.Errorf("%d scripts, want the page's own", scripts)
	}
	for _, name := range []string{script, formula, control, command, climbs} {
		if !cells[plugins.Line(name)] {
			t.Errorf("no cell says %q", plugins.Line(name))
		}
	}
}

func csvIsText(t *testing.T, text string) {
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 1+4+1 {
		t.Fatalf("%d records, error %v, want a header and rows of four backends and a network without:\n%s", len(records), err, text)
	}
	for _, want := range []string{"," + script + ",", ",'" + formula + ",", ",'@SUM(1),", ",'-1+1,", ",-2,"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func jsonIsText(t *testing.T, text string) {
	if strings.Contains(text, "<script") {
		t.Errorf("a script in:\n%s", text)
	}
	var back reports.Report
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, n := range back.Networks {
		found = found || n.Task == script && n.Model == formula && n.Quantizer == control
	}
	if !found {
		t.Errorf("no network reads back with its names as they are:\n%s", text)
	}
}

func latexIsText(t *testing.T, text string) {
	_, body, _ := strings.Cut(text, `\begin{document}`)
	allowed := regexp.MustCompile(`\\(section|subsection)\*|\\(begin|end)\{(table|tabular|flushleft|itemize|document)\}|\\(centering|footnotesize|scriptsize|caption|toprule|midrule|bottomrule|item|par|clearpage|resizebox|linewidth|width|ifdim|else|fi|Delta|approx|neq|rightarrow)\b|\\text[a-z]+|\\[\\,_%&#${}]`)
	if rest := allowed.ReplaceAllString(body, ""); strings.Contains(rest, `\`) {
		at := strings.Index(rest, `\`)
		t.Errorf("a command that is none of ours: %.40q", rest[at:])
	}
	if pages := compile(t, text); pages != "" && !strings.Contains(pages, `\input{/etc/passwd}$x_1^2$ 50%`) {
		t.Errorf("a name is not on the pages:\n%s", pages)
	}
}

func benchstatIsText(t *testing.T, text string) {
	results, _ := benchmarks(t, text)
	if len(results) != 4+1 {
		t.Errorf("%d lines, want those of four backends and of a network without:\n%s", len(results), text)
	}
	for _, r := range results {
		if _, parts := r.Name.Parts(); len(parts) != 5 {
			t.Errorf("the name %q has the parts %q", r.Name, parts)
		}
	}
}

func bmfIsText(t *testing.T, text string) {
	var got map[string]map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != 2+4 {
		t.Errorf("%d benchmarks, error %v, want two networks and four backends:\n%s", len(got), err, text)
	}
	for name := range got {
		plain(t, name)
	}
}

func everyEvalIsText(t *testing.T, text string) {
	if schema := everyEvalSchema(t); schema != nil {
		validate(t, schema, text)
	}
	if !json.Valid([]byte(text)) {
		t.Errorf("no JSON:\n%s", text)
	}
	if strings.Contains(text, "<script") {
		t.Errorf("a script in:\n%s", text)
	}
}

func tensorBoardIsText(t *testing.T, text string) {
	for _, line := range events(t, []byte(text)) {
		plain(t, line)
	}
	if strings.Contains(text, "<script") {
		t.Errorf("a script in:\n%q", text)
	}
}

// A path stays in its folder whatever the names are.
func TestFilesStayInTheirFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"every-eval-ever", "tensorboard"} {
		_, files := filled(t, hostile(t), name)
		if len(files) != 2 {
			t.Errorf("%s: %d files, want one for each experiment", name, len(files))
		}
		for file := range files {
			if path.Clean(file) != file || strings.HasPrefix(file, "..") {
				t.Errorf("%s: the path %q", name, file)
			}
		}
	}
}
