package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
)

// trained is an experiment of the quantizer coin, done. Config is what it has beside
// its seed, without the braces.
func trained(t *testing.T, seed, steps uint64, config string) store.Experiment {
	t.Helper()
	id, canonical, err := store.ID(json.RawMessage(fmt.Sprintf(`{"seed":%d,%s}`, seed, config)))
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := json.Marshal(provenance.Experiment{Data: "grammar", Sittings: []provenance.Sitting{
		{Machine: stampedBy("old"), To: 1}, {Machine: stampedBy("new"), From: 1, To: steps},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return store.Experiment{
		ID: id, Config: canonical, Task: "grammar", Model: "bigram", Quantizer: "coin", Seed: seed, Status: store.Done,
		Steps: steps, Metric: "BPC", FrozenModel: new(2.5), DeployedBytes: 1000, Provenance: stamp,
	}
}

// stored is a store with one suite: each experiment on the backends of its own list.
func stored(t *testing.T, experiments ...store.Experiment) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range slices.Backward(experiments) { // what is put last comes first
		if err := s.PutSuite(t.Context(), "suite", []store.Experiment{c}, c.Backends); err != nil {
			t.Fatal(err)
		}
		if err := s.PutExperiment(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func deploy(t *testing.T, s *store.Store, d store.Deployment) {
	t.Helper()
	d.Status = store.Done
	if err := s.PutDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func collect(t *testing.T, s *store.Store, selection Selection) *Report {
	t.Helper()
	r, err := Collect(t.Context(), s, "suite", selection)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t *testing.T, r *Report, format Format) string {
	t.Helper()
	var out strings.Builder
	if err := r.Write(&out, format, View{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// rowsOf names the networks of a report on their backends.
func rowsOf(r *Report) []string {
	var names []string
	for _, n := range r.Networks {
		if len(n.Deployments) == 0 {
			names = append(names, fmt.Sprintf("%s, seeds %s", n.Setting, list(n.Seeds)))
		}
		for _, d := range n.Deployments {
			names = append(names, fmt.Sprintf("%s on %s, seeds %s", n.Setting, d.Backend, list(d.Seeds)))
		}
	}
	return names
}

const full, short = `"training":{"epochs":8,"steps":0}`, `"training":{"epochs":8,"steps":10}`

func TestSelection(t *testing.T) {
	t.Parallel()
	var experiments []store.Experiment
	for seed := range uint64(3) {
		c := trained(t, seed, 3256, full)
		c.Backends = []string{"cpu"}
		experiments = append(experiments, c)
	}
	stopped := trained(t, 0, 9, short)
	stopped.Backends = []string{"asic", "cpu"}
	experiments = append(experiments, stopped)
	s := stored(t, experiments...)
	for _, c := range experiments {
		// Another suite has asked for asic too.
		deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "asic", Metric: new(2.0)})
		deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "cpu", Metric: new(2.0)})
	}
	for name, test := range map[string]struct {
		selection Selection
		want      []string
	}{
		"everything": {Selection{}, []string{"3256 steps on cpu, seeds 0, 1, 2", "9 steps on asic, seeds 0", "9 steps on cpu, seeds 0"}},
		"seeds":      {Selection{Seeds: []uint64{1, 2}}, []string{" on cpu, seeds 1, 2"}},
		"steps":      {Selection{Steps: new(3256)}, []string{" on cpu, seeds 0, 1, 2"}},
		"limit":      {Selection{Steps: new(10)}, []string{" on asic, seeds 0", " on cpu, seeds 0"}},
		"backends":   {Selection{Backends: []string{"asic"}}, []string{" on asic, seeds 0"}},
		"entries":    {Selection{Entries: []Entry{{"grammar", "bigram", "coin"}}, Seeds: []uint64{2}}, []string{" on cpu, seeds 2"}},
	} {
		if diff := cmp.Diff(test.want, rowsOf(collect(t, s, test.selection))); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
	for want, selection := range map[string]Selection{
		`with a backend "cpi", did you mean "cpu"?`:  {Backends: []string{"cpi"}},
		"it has seeds 0, 1, 2, trained for 9, 3256 ": {Steps: new(11)},
		"lists by now was ever run":                  {Entries: []Entry{}},
	} {
		_, err := Collect(t.Context(), s, "suite", selection)
		if _, problem := errors.AsType[*plugins.Problem](err); !problem || !strings.Contains(err.Error(), want) {
			t.Errorf("selection %+v: got %v, want a problem that says %q", selection, err, want)
		}
	}
}

// Rows of the same names say in what they differ, and seeds of one setting are one row.
func TestRowsSayTheirSettings(t *testing.T) {
	t.Parallel()
	const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	frozen := trained(t, 1, 20, full)
	frozen.Freeze = json.RawMessage(`{"draws":24}`)
	other := trained(t, 2, 20, full)
	other.Freeze = json.RawMessage(`{"draws":5}`)
	for name, test := range map[string]struct {
		experiments []store.Experiment
		want        []string
	}{
		"one setting": {[]store.Experiment{trained(t, 1, 20, full), trained(t, 2, 18, full)}, []string{", seeds 1, 2"}},
		"lengths":     {[]store.Experiment{trained(t, 1, 20, full), trained(t, 1, 10, short), trained(t, 2, 18, full)}, []string{"18–20 steps, seeds 1, 2", "10 steps, seeds 1"}},
		"the same length": {[]store.Experiment{trained(t, 1, 10, full), trained(t, 1, 10, short)},
			[]string{"training.steps 0, seeds 1", "training.steps 10, seeds 1"}},
		"threads and length": {[]store.Experiment{trained(t, 1, 20, full+`,"threads":2`), trained(t, 1, 10, short+`,"threads":1`)},
			[]string{"threads 2, training.steps 0, seeds 1", "threads 1, training.steps 10, seeds 1"}},
		"an executable": {[]store.Experiment{trained(t, 1, 20, full), trained(t, 1, 20, full+`,"model":{"sha256":"`+digest+`"}`)},
			[]string{"model.sha256 not given, seeds 1", "model.sha256 0123456789ab…, seeds 1"}},
		"freezes": {[]store.Experiment{frozen, other}, []string{"freeze.draws 24, seeds 1", "freeze.draws 5, seeds 2"}},
	} {
		r := collect(t, stored(t, test.experiments...), Selection{})
		if diff := cmp.Diff(test.want, rowsOf(r)); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
		for _, e := range r.Experiments {
			if !slices.ContainsFunc(r.Networks, func(n *Network) bool { return n.Setting == e.Setting && slices.Contains(n.Seeds, e.Seed) }) {
				t.Errorf("%s: experiment of seed %d has the setting %q of no row", name, e.Seed, e.Setting)
			}
		}
	}
}

func TestNoBackends(t *testing.T) {
	t.Parallel()
	r := collect(t, stored(t, trained(t, 1, 20, full)), Selection{})
	if n := r.Networks; len(n) != 1 || len(n[0].Deployments) != 0 || *n[0].Deployable.Mean != 2.5 || n[0].DeployedBytes != 1000 {
		t.Fatalf("networks of a suite without backends: %+v, want one with the model's own frozen score of 2.5", r.Networks)
	}
	if text := written(t, r, Markdown); !strings.Contains(text, " 2.500 |") || !strings.Contains(text, "asks for no backend") || strings.Contains(text, "No experiment") {
		t.Errorf("table of a suite without backends:\n%s", text)
	}
}

// What the suite asks for and nobody has deployed is told.
func TestADeploymentThatIsDue(t *testing.T) {
	t.Parallel()
	c := trained(t, 1, 20, full)
	c.Backends = []string{"cpu"}
	r := collect(t, stored(t, c), Selection{})
	want := []Unfinished{{"grammar", "bigram", "coin", 1, "cpu", store.Pending, "it is not deployed yet; run the suite again to do it"}}
	if diff := cmp.Diff(want, r.Unfinished); diff != "" {
		t.Errorf("unfinished (-want +got):\n%s", diff)
	}
	if text := written(t, r, Markdown); !strings.Contains(text, "No deployment of the suite suite is finished.") {
		t.Errorf("report without any deployment:\n%s", text)
	}
}

// JSON has of each experiment its draws, its curve, every sitting, and of each
// deployment what it was computed with.
func TestJSONHasExperimentsWhole(t *testing.T) {
	t.Parallel()
	c := trained(t, 1, 20, full)
	c.Backends = []string{"cpu"}
	c.CalibrationSequences, c.Freeze = 640, json.RawMessage(`{"draws":2}`)
	c.Draws = []store.FreezeDraw{{Draw: 0, Validation: 2.1, Test: 2.25, Deployed: true}, {Draw: 1, Validation: 2.2, Test: 2.75}}
	s := stored(t, c)
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	deployed, err := json.Marshal(provenance.Deployment{Machine: stampedBy("third"), Backend: "cpu 1.0.0", Started: started, Ended: started.Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "cpu", Metric: new(2.0), Provenance: deployed, Cost: &store.Cost{
		Steps: map[string]int{"text": 10}, Seconds: new(4e-5), SecondsLow: new(3e-5), SecondsHigh: new(5e-5), Measured: true, N: 50}})
	metrics, err := store.OpenSteps(s.ExperimentDir(c.ID), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []store.Validation{{Step: 10, Deployable: 2.3, PaperStyle: 2.4}, {Step: 20, Deployable: 2.1, PaperStyle: 2.2}} {
		if err := metrics.AppendValidation(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := metrics.Close(); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Experiments []struct {
			Draws                []store.FreezeDraw
			Drawn                Figure
			CalibrationSequences int `json:"calibration_sequences"`
			Validations          []store.Validation
			Provenance           provenance.Experiment
			Deployments          []struct {
				Cost       store.Cost
				Provenance provenance.Deployment
			}
		}
	}
	if err := json.Unmarshal([]byte(written(t, collect(t, s, Selection{}), JSON)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Experiments) != 1 || len(got.Experiments[0].Deployments) != 1 {
		t.Fatalf("got %+v, want one experiment with one deployment", got)
	}
	e := got.Experiments[0]
	if diff := cmp.Diff(c.Draws, e.Draws); diff != "" {
		t.Errorf("draws (-want +got):\n%s", diff)
	}
	if e.Drawn.N != 2 || *e.Drawn.Mean != 2.5 || e.Drawn.Std == nil || e.CalibrationSequences != 640 {
		t.Errorf("two draws: got %+v, calibrated on %d sequences, want a mean of 2.5, and 640", e.Drawn, e.CalibrationSequences)
	}
	if len(e.Validations) != 2 || e.Validations[1].Step != 20 || e.Validations[1].Deployable != 2.1 || e.Validations[1].PaperStyle != 2.2 {
		t.Errorf("validations: got %+v, want both", e.Validations)
	}
	if s := e.Provenance.Sittings; len(s) != 2 || s[1].Commit != "new" || s[1].To != 20 {
		t.Errorf("sittings: got %+v, want both", s)
	}
	if d := e.Deployments[0]; d.Provenance.Commit != "third" || !d.Provenance.Started.Equal(started) || d.Cost.N != 50 || *d.Cost.SecondsHigh != 5e-5 {
		t.Errorf("deployment: got %+v, want its commit, its start, and the quartiles of n=50", d)
	}
}

// A damaged file of validations costs the curve, and not the table.
func TestValidationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := trained(t, 1, 20, full)
	s := stored(t, c)
	folder := s.ExperimentDir(c.ID)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "validations.jsonl"), []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := collect(t, s, Selection{})
	if len(r.Networks) != 1 || r.Experiments[0].Unread == "" {
		t.Errorf("%d networks, unread %q, want one, and why there is no curve", len(r.Networks), r.Experiments[0].Unread)
	}
	if text := written(t, r, Markdown); !strings.Contains(text, "the validations of experiment "+c.ID+" cannot be read: ") {
		t.Errorf("the table does not tell:\n%s", text)
	}
}

func TestATimeOfSeveralSeedsIsAsSureAsTheWorst(t *testing.T) {
	t.Parallel()
	cost := func(n int, low, high *float64) store.Cost {
		return store.Cost{Seconds: new(2.0), SecondsLow: low, SecondsHigh: high, Measured: true, N: n}
	}
	narrow, broad, unknown := timedOf(cost(50, new(2.0), new(2.0))), timedOf(cost(60, new(1.5), new(2.5))), timedOf(cost(40, nil, nil))
	var none *Timed
	for name, test := range map[string]struct{ got, want *Timed }{
		"one":     {none.worse(broad), &Timed{60, new(0.5)}},
		"two":     {narrow.worse(broad), &Timed{50, new(0.5)}},
		"unknown": {narrow.worse(unknown).worse(broad), &Timed{40, nil}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for spread, want := range map[float64]string{0.1: "2.00", 0.11: "≈2.00"} {
		l := line{Network: &Network{Seeds: []uint64{1}}, machine: &Deployment{Seconds: Figure{N: 1, Mean: new(2e-6)}, Timed: &Timed{50, &spread}}}
		if got := timeCell(l).text; got != want {
			t.Errorf("a time with the spread %v is written %q, want %q", spread, got, want)
		}
	}
}

func TestSubstitutesAreMarked(t *testing.T) {
	t.Parallel()
	var substitutions []store.Substitution
	for _, s := range [][2]string{{"Wh", "float32"}, {"Wx", "float32"}, {"W", "int8"}, {"V", "int8"}, {"U", "int8"}} {
		substitutions = append(substitutions, store.Substitution{Weight: s[0], From: "4 levels, 2 bits", To: s[1], Reason: "it must"})
	}
	var m machine
	for range 2 { // two seeds
		m.add(1, store.Deployment{Cost: &store.Cost{Substitutions: substitutions}})
	}
	if diff := cmp.Diff(substitutions, m.Substitutions); diff != "" {
		t.Errorf("substitutions of two seeds (-want +got):\n%s", diff)
	}
	const want = "≠ Wh, Wx: 4 levels, 2 bits → float32, it must; W, V, U: 4 levels, 2 bits → int8, it must"
	if got := costCell(line{machine: &m.Deployment}); got.text != "simulated ≠" || len(got.notes) != 1 || got.notes[0] != want {
		t.Errorf("got %+v, want a mark and the note %q", got, want)
	}
}

// Text from suites and plugins that is markup, a formula or a terminal's command
// comes out as text in every format.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	const script, formula, escape = "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a\x1b[31m\r\n| b |\u009b2J\U000e0041"
	c := trained(t, 1, 20, full)
	c.Task, c.Model, c.Quantizer, c.Backends = script, formula, escape, []string{"\t@SUM(1)", "-1+1"}
	s := stored(t, c)
	for _, backend := range c.Backends {
		deploy(t, s, store.Deployment{Experiment: c.ID, Backend: backend, Metric: new(-2.0), Doubt: script, Cost: &store.Cost{
			Notes: []string{script}, Missing: map[string]string{"energy": escape, "seconds": script},
			Substitutions: []store.Substitution{{Weight: script, From: escape, To: script, Reason: escape}}}})
	}
	failed := trained(t, 2, 20, full)
	failed.Task, failed.Status, failed.Reason = script, store.Failed, escape
	if err := s.PutSuite(t.Context(), "suite", []store.Experiment{failed}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.PutExperiment(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	r := collect(t, s, Selection{})
	for _, format := range Formats {
		text := written(t, r, format)
		for _, c := range text {
			if c != '\n' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xe0041) {
				t.Errorf("%s has the character %U:\n%q", format, c, text)
				break
			}
		}
		if format != CSV && format != Terminal && strings.Contains(text, "<script") {
			t.Errorf("%s has a script:\n%s", format, text)
		}
	}
	markdown := written(t, r, Markdown)
	if lines := strings.Count(markdown, "\n|"); lines != 2+1+2+2 {
		t.Errorf("the tables have %d lines, want one of a header and one row, and one of a header and two rows:\n%s", lines, markdown)
	}
	table := written(t, r, CSV)
	for _, want := range []string{"," + script + ",", ",'" + formula + ",", ",'@SUM(1),", ",'-1+1,", ",-2,"} {
		if !strings.Contains(table, want) {
			t.Errorf("CSV has no %q:\n%s", want, table)
		}
	}
	var back Report
	if err := json.Unmarshal([]byte(written(t, r, JSON)), &back); err != nil {
		t.Fatal(err)
	}
	if row := back.Networks[0]; row.Task != script || row.Quantizer != escape {
		t.Errorf("JSON reads back as %q and %q, want the names as they are", row.Task, row.Quantizer)
	}
}
