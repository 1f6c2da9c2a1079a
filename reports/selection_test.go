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

	"github.com/google/go-cmp/cmp"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports/internal/sample"
)

func collect(t *testing.T, s *store.Store, selection Selection) *Report {
	t.Helper()
	r, err := Collect(t.Context(), s, "suite", selection)
	if err != nil {
		t.Fatal(err)
	}
	return r
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
		c := sample.Trained(t, seed, 3256, full)
		c.Backends = []string{"cpu"}
		experiments = append(experiments, c)
	}
	stopped := sample.Trained(t, 0, 9, short)
	stopped.Backends = []string{"asic", "cpu"}
	experiments = append(experiments, stopped)
	s := sample.Stored(t, experiments...)
	for _, c := range experiments {
		// Another suite has asked for asic too.
		sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "asic", Metric: new(2.0)})
		sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "cpu", Metric: new(2.0)})
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
		"tasks":      {Selection{Tasks: []string{"grammar"}, Seeds: []uint64{1}}, []string{" on cpu, seeds 1"}},
		"entries":    {Selection{Entries: []Entry{{"grammar", "bigram", "coin"}}, Seeds: []uint64{2}}, []string{" on cpu, seeds 2"}},
	} {
		if diff := cmp.Diff(test.want, rowsOf(collect(t, s, test.selection))); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
	for want, selection := range map[string]Selection{
		`with a task "gramer", did you mean "grammar"?; it was run with grammar`: {Tasks: []string{"gramer"}},
		`with a backend "cpi", did you mean "cpu"?`:                              {Backends: []string{"cpi"}},
		"it has seeds 0, 1, 2, trained for 9, 3256 ":                             {Steps: new(11)},
		"lists by now was ever run":                                              {Entries: []Entry{}},
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
	frozen := sample.Trained(t, 1, 20, full)
	frozen.Freeze = json.RawMessage(`{"draws":24}`)
	other := sample.Trained(t, 2, 20, full)
	other.Freeze = json.RawMessage(`{"draws":5}`)
	for name, test := range map[string]struct {
		experiments []store.Experiment
		want        []string
	}{
		"one setting": {[]store.Experiment{sample.Trained(t, 1, 20, full), sample.Trained(t, 2, 18, full)}, []string{", seeds 1, 2"}},
		"lengths":     {[]store.Experiment{sample.Trained(t, 1, 20, full), sample.Trained(t, 1, 10, short), sample.Trained(t, 2, 18, full)}, []string{"18–20 steps, seeds 1, 2", "10 steps, seeds 1"}},
		"the same length": {[]store.Experiment{sample.Trained(t, 1, 10, full), sample.Trained(t, 1, 10, short)},
			[]string{"training.steps 0, seeds 1", "training.steps 10, seeds 1"}},
		"threads and length": {[]store.Experiment{sample.Trained(t, 1, 20, full+`,"threads":2`), sample.Trained(t, 1, 10, short+`,"threads":1`)},
			[]string{"threads 2, training.steps 0, seeds 1", "threads 1, training.steps 10, seeds 1"}},
		"an executable": {[]store.Experiment{sample.Trained(t, 1, 20, full), sample.Trained(t, 1, 20, full+`,"model":{"sha256":"`+digest+`"}`)},
			[]string{"model.sha256 not given, seeds 1", "model.sha256 0123456789ab…, seeds 1"}},
		"freezes": {[]store.Experiment{frozen, other}, []string{"freeze.draws 24, seeds 1", "freeze.draws 5, seeds 2"}},
	} {
		r := collect(t, sample.Stored(t, test.experiments...), Selection{})
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
	r := collect(t, sample.Stored(t, sample.Trained(t, 1, 20, full)), Selection{})
	if n := r.Networks; len(n) != 1 || len(n[0].Deployments) != 0 || *n[0].Deployable.Mean != 2.5 || n[0].DeployedBytes != 1000 {
		t.Fatalf("networks of a suite without backends: %+v, want one with the model's own frozen score of 2.5", r.Networks)
	}
	if lead := r.Document(View{}).Lead; len(lead) != 1 || !strings.Contains(lead[0], "asks for no backend") {
		t.Errorf("a suite without backends begins %q", lead)
	}
}

// What the suite asks for and nobody has deployed is told.
func TestADeploymentThatIsDue(t *testing.T) {
	t.Parallel()
	c := sample.Trained(t, 1, 20, full)
	c.Backends = []string{"cpu"}
	r := collect(t, sample.Stored(t, c), Selection{})
	want := []Unfinished{{"grammar", "bigram", "coin", 1, "cpu", store.Pending, "it is not deployed yet; run the suite again to do it"}}
	if diff := cmp.Diff(want, r.Unfinished); diff != "" {
		t.Errorf("unfinished (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"No deployment of the suite suite is finished."}, r.Document(View{}).Lead); diff != "" {
		t.Errorf("the beginning without any deployment (-want +got):\n%s", diff)
	}
}

// A damaged file of validations costs the curve, and not the table.
func TestValidationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := sample.Trained(t, 1, 20, full)
	s := sample.Stored(t, c)
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
	facts := r.Document(View{}).Facts
	if !slices.ContainsFunc(facts, func(fact string) bool {
		return strings.HasPrefix(fact, "the validations of experiment "+c.ID+" cannot be read: ")
	}) {
		t.Errorf("the notes %q do not tell", facts)
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
		if got := timeCell(l).Text; got != want {
			t.Errorf("a time with the spread %v is written %q, want %q", spread, got, want)
		}
	}
}

// Energy that the user stated is told from energy that was measured.
func TestAssumedEnergyIsTold(t *testing.T) {
	t.Parallel()
	for want, parts := range map[string][]store.Part{
		"measured":                 {{Name: "idle processor", Value: 1, Static: true}, {Name: "computing", Value: 2}},
		"measured, energy assumed": {{Name: "assumed power × time", Value: 3, Static: true, Assumed: true}},
	} {
		var m machine
		m.add(1, store.Deployment{Cost: &store.Cost{Steps: map[string]int{"sequence": 1}, Measured: true, Energy: parts}})
		if got := costCell(line{machine: &m.Deployment}); got.Text != want {
			t.Errorf("of %+v the cost is %q, want %q", parts, got.Text, want)
		}
	}
}

func TestSubstitutesAreMarked(t *testing.T) {
	t.Parallel()
	var substitutions Substitutions
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
	if got := costCell(line{machine: &m.Deployment}); got.Text != "simulated ≠" || len(got.Notes) != 1 || got.Notes[0] != want {
		t.Errorf("got %+v, want a mark and the note %q", got, want)
	}
}
