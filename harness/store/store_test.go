package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins"
)

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantProblem(t *testing.T, err error, words ...string) {
	t.Helper()
	var problem *plugins.Problem
	if !errors.As(err, &problem) {
		t.Fatalf("got %v, want a Problem with %q", err, words)
	}
	for _, word := range words {
		if !strings.Contains(problem.Sentence, word) {
			t.Errorf("got %q, want it to contain %q", problem.Sentence, word)
		}
	}
}

func figure(f float64) *float64 { return &f }

// finished is an experiment with every field set to something hard to keep.
func finished(seed uint64) Experiment {
	id, config, err := ID(json.RawMessage(fmt.Sprintf(`{"seed": %d, "units": 512}`, seed)))
	if err != nil {
		panic(err)
	}
	return Experiment{
		ID: id, Config: config, Task: "War & Peace", Model: "lstm", Quantizer: "stochastic-ternary", Seed: seed,
		Status: Done, Reason: "it's \"done\"", Stderr: "line 1\nline 2\x00", Steps: math.MaxUint64, Epochs: 7, Metric: "BPC",
		BestValidation: figure(0.1 + 0.2), PaperStyle: figure(math.Nextafter(1.72, 2)), FrozenModel: figure(math.Inf(1)),
		Parameters: 4*512*(512+87) + 1, RecurrentBytes: 306_687.5, DeployedBytes: 4_038_656,
		TrainSeconds: 1e-3, StartedAt: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), FinishedAt: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
		PaperStyleGroups: []GroupScore{{"qa1", 99.5, 1000}, {"qa2", 1.0 / 3, 7}}, FrozenModelGroups: []GroupScore{{"qa1", 98, 1000}},
		Settings:   []Setting{{"cell", "LSTM"}, {"units", "512"}},
		Provenance: json.RawMessage(`{"commit":"unknown"}`),
	}
}

func TestCellSurvives(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "runs of mine? 100%#1")
	want := finished(math.MaxUint64)
	s := openStore(t, dir)
	must(t, s.PutExperiment(t.Context(), want))
	for name, s := range map[string]*Store{"same": s, "reopened": openStore(t, dir)} {
		got, err := s.Experiment(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s store: experiments differ (-want +got):\n%s", name, diff)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Errorf("the store is not where it should be: %v", err)
	}
}

func TestCellWithoutResults(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	want := Experiment{ID: "a", Config: json.RawMessage(`{}`), Status: Running}
	must(t, s.PutExperiment(t.Context(), want))
	got, err := s.Experiment(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("experiments differ (-want +got):\n%s", diff)
	}
}

func TestUnknownExperiment(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	if _, err := s.Experiment(t.Context(), "absent"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrNotFound)
	}
	if err := s.Reset(t.Context(), Experiment{ID: "absent"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("reset: got %v, want %v", err, ErrNotFound)
	}
	if err := s.PutDeployment(t.Context(), Deployment{Experiment: "absent", Backend: "cpu", Status: Done}); err == nil {
		t.Error("a deployment of an absent experiment was stored")
	}
}

// IDs are found by their first digits, as text: no digit stands for others.
func TestMatching(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	for seed, id := range []string{"ab12", "ab34", "cd_%"} {
		e := finished(uint64(seed))
		e.ID = id
		must(t, s.PutExperiment(t.Context(), e))
	}
	for prefix, want := range map[string][]string{
		"": {"ab12", "ab34", "cd_%"}, "ab": {"ab12", "ab34"}, "ab3": {"ab34"}, "ab34": {"ab34"}, "ab345": nil, "_": nil, "%": nil, "cd_": {"cd_%"}, "AB": nil,
	} {
		found, err := s.Matching(t.Context(), prefix)
		must(t, err)
		var got []string
		for _, e := range found {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", prefix, diff)
		}
	}
}

func TestNotANumberIsRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	c := finished(1)
	c.PaperStyle = figure(math.NaN())
	if err := s.PutExperiment(t.Context(), c); err == nil {
		t.Error("an experiment with NaN was stored")
	}
	must(t, s.PutExperiment(t.Context(), finished(1)))
	if err := s.PutDeployment(t.Context(), Deployment{Experiment: c.ID, Backend: "cpu", Status: Done, Metric: figure(math.NaN())}); err == nil {
		t.Error("a deployment with NaN was stored")
	}
}

func TestFinishedIsNeverLost(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	want := finished(3)
	must(t, s.PutExperiment(t.Context(), want))
	deployed := Deployment{Experiment: want.ID, Backend: "cpu", Status: Done, Metric: figure(1.8)}
	must(t, s.PutDeployment(t.Context(), deployed))
	for _, status := range []Status{Pending, Running, Failed} {
		again := want
		again.Status, again.PaperStyle = status, nil
		if err := s.PutExperiment(t.Context(), again); !errors.Is(err, ErrDone) {
			t.Errorf("%s over done: got %v, want %v", status, err, ErrDone)
		}
	}
	if err := s.PutDeployment(t.Context(), Deployment{Experiment: want.ID, Backend: "cpu", Status: Failed}); !errors.Is(err, ErrDone) {
		t.Errorf("failed deployment over done: got %v, want %v", err, ErrDone)
	}
	must(t, s.PutSuite(t.Context(), "suite", []Experiment{{ID: want.ID, Config: want.Config, Task: want.Task, Model: want.Model, Quantizer: want.Quantizer, Seed: 3}}, []string{"cpu"}))
	got, err := s.Experiment(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the finished experiment changed (-want +got):\n%s", diff)
	}
	list, err := s.Deployments(t.Context(), want.ID)
	if diff := cmp.Diff([]Deployment{deployed}, list); err != nil || diff != "" {
		t.Errorf("the finished deployment changed (-want +got): %v\n%s", err, diff)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	c := finished(4)
	must(t, s.PutSuite(t.Context(), "suite", []Experiment{c}, []string{"cpu"}))
	must(t, s.PutExperiment(t.Context(), c))
	must(t, s.PutDeployment(t.Context(), Deployment{Experiment: c.ID, Backend: "cpu", Status: Done}))
	must(t, s.Reset(t.Context(), c))
	want := Experiment{ID: c.ID, Config: c.Config, Task: c.Task, Model: c.Model, Quantizer: c.Quantizer, Seed: c.Seed, Status: Pending, Backends: []string{"cpu"}}
	got, err := s.Experiments(t.Context(), "suite")
	if diff := cmp.Diff([]Experiment{want}, got); err != nil || diff != "" {
		t.Errorf("experiments differ (-want +got): %v\n%s", err, diff)
	}
	if list, err := s.Deployments(t.Context(), c.ID); err != nil || len(list) != 0 {
		t.Errorf("got deployments %+v, %v; want none", list, err)
	}
}

func TestSuites(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	a, b, c := finished(1), finished(2), finished(3)
	must(t, s.PutSuite(t.Context(), "second", []Experiment{c, a}, []string{"cpu"}))
	must(t, s.PutSuite(t.Context(), "first", []Experiment{a, b, c}, []string{"cpu"}))
	must(t, s.PutExperiment(t.Context(), a))
	must(t, s.PutSuite(t.Context(), "first", []Experiment{b, a}, []string{"asic"})) // with other seeds
	for suite, want := range map[string][]string{
		"first":  {b.ID + " pending [asic cpu]", a.ID + " done [asic cpu]", c.ID + " pending [cpu]"},
		"second": {c.ID + " pending [cpu]", a.ID + " done [cpu]"},
		"absent": nil,
	} {
		experiments, err := s.Experiments(t.Context(), suite)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range experiments {
			got = append(got, fmt.Sprint(c.ID, " ", c.Status, " ", c.Backends))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("suite %s (-want +got):\n%s", suite, diff)
		}
	}
	names, err := s.Suites(t.Context())
	if diff := cmp.Diff([]string{"first", "second"}, names); err != nil || diff != "" {
		t.Errorf("suites (-want +got): %v\n%s", err, diff)
	}
	if err := s.PutSuite(t.Context(), "first", []Experiment{a, a}, []string{"cpu"}); err == nil {
		t.Error("a suite with the same experiment twice was stored")
	}
	if experiments, err := s.Experiments(t.Context(), "first"); err != nil || len(experiments) != 3 {
		t.Errorf("after the refusal: %d experiments, %v; want the 3 from before", len(experiments), err)
	}
}

// Two suites may give an experiment labels of their own, and each keeps its own.
func TestLabelsAreOfTheSuite(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ours, theirs := finished(1), finished(1)
	theirs.Task, theirs.Model, theirs.Quantizer = "novel", "small", "ternary"
	must(t, s.PutSuite(t.Context(), "ours", []Experiment{ours}, nil))
	must(t, s.PutExperiment(t.Context(), ours))
	must(t, s.PutSuite(t.Context(), "theirs", []Experiment{theirs}, nil))
	must(t, s.PutSuite(t.Context(), "theirs", []Experiment{finished(2)}, nil)) // the first stays listed as it was
	for suite, want := range map[string]Experiment{"ours": ours, "theirs": theirs} {
		list, err := s.Experiments(t.Context(), suite)
		must(t, err)
		got := list[len(list)-1]
		if got.ID != want.ID || got.Status != Done || got.Task != want.Task || got.Model != want.Model || got.Quantizer != want.Quantizer {
			t.Errorf("suite %s: %s, %s, %s, %s, want %s, %s, %s, done", suite, got.Task, got.Model, got.Quantizer, got.Status, want.Task, want.Model, want.Quantizer)
		}
		if twin, err := s.LastDone(t.Context(), want); err != nil || twin.ID != want.ID {
			t.Errorf("the last one done as suite %s calls it: %s, %v, want %s", suite, twin.ID, err, want.ID)
		}
	}
	theirs.Model = "large"
	if _, err := s.LastDone(t.Context(), theirs); !errors.Is(err, ErrNotFound) {
		t.Errorf("labels that no suite has: %v, want %v", err, ErrNotFound)
	}
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	c := finished(5)
	must(t, s.PutExperiment(t.Context(), c))
	want := []Deployment{
		{
			Experiment: c.ID, Backend: "asic-lowpower", Config: json.RawMessage(`{"bits":12}`), Status: Done, Metric: figure(1.7999999999999998),
			Groups: []GroupScore{{"qa1", 1.5, 3}},
			Cost: &Cost{
				Steps: map[string]int{"text": 12, "question": 4}, Cycles: figure(12_288), Energy: []Part{{Name: "multiply-accumulate", Value: 1.5e-7}, {Name: "memory", Value: 3e-8, Outside: true}}, Area: []Part{{Name: "all", Value: 0.42}},
				Missing: map[string]string{"seconds": "no clock"}, Notes: []string{"unverified"},
				Substitutions: []Substitution{{Weight: "Wh", From: "float32", To: "12-bit fixed point", Reason: "values are rounded"}},
			},
			Provenance: json.RawMessage(`{"version":"1.0"}`),
		},
		{Experiment: c.ID, Backend: "cpu", Status: Failed, Reason: "the plugin ended", Stderr: "panic"},
		{Experiment: c.ID, Backend: "npu", Status: Unsupported, Reason: "no ternary"},
	}
	for i := range want {
		must(t, s.PutDeployment(t.Context(), Deployment{Experiment: c.ID, Backend: want[i].Backend, Status: Failed, Reason: "earlier"}))
		must(t, s.PutDeployment(t.Context(), want[i]))
	}
	got, err := s.Deployments(t.Context(), c.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("deployments differ (-want +got): %v\n%s", err, diff)
	}
}

// Experiments that finish at the same time, in one process or in several, all arrive.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers, each = 4, 5
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			s, err := Open(t.Context(), dir) // all at once, on a store that does not exist
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for i := range each {
				if err := s.PutExperiment(t.Context(), finished(uint64(w*each+i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s := openStore(t, dir)
	for seed := range uint64(writers * each) {
		if c, err := s.Experiment(t.Context(), finished(seed).ID); err != nil || c.Status != Done {
			t.Errorf("seed %d: %s, %v; want done", seed, c.Status, err)
		}
	}
}

func TestID(t *testing.T) {
	t.Parallel()
	id := func(config string) string {
		id, _, err := ID(json.RawMessage(config))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	// The first 8 bytes of the output of: printf '{"a":1,"b":[2,3]}' | sha256sum
	const want = "efbd0040190fb087"
	for _, config := range []string{`{"a":1,"b":[2,3]}`, "{\n \"b\": [2, 3],\n \"a\": 1 }\n"} {
		if got := id(config); got != want {
			t.Errorf("%s: got %s, want %s", config, got, want)
		}
	}
	for _, other := range []string{`{"a":1,"b":[3,2]}`, `{"a":1}`, `{"a":18446744073709551615,"b":[2,3]}`} {
		if id(other) == want {
			t.Errorf("%s has the same ID", other)
		}
	}
	// Beyond float64's 53 bits seeds still differ.
	if id(`{"seed":18446744073709551615}`) == id(`{"seed":18446744073709551614}`) {
		t.Error("two seeds have the same ID")
	}
	for _, bad := range []string{``, `{`, `{} {}`} {
		if _, _, err := ID(json.RawMessage(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestStoreOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for found, words := range map[int][]string{version + 1: {"up to", "newer bittern"}, version - 1: {"older bittern", "move it away"}} {
		dir := t.TempDir()
		s, err := Open(t.Context(), dir)
		must(t, err)
		_, err = s.db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d`, found))
		must(t, errors.Join(err, s.Close()))
		before, err := os.ReadFile(filepath.Join(dir, FileName))
		must(t, err)
		_, err = Open(t.Context(), dir)
		wantProblem(t, err, append(words, fmt.Sprintf("has version %d", found), fmt.Sprint(version), dir)...)
		after, err := os.ReadFile(filepath.Join(dir, FileName))
		must(t, err)
		if !cmp.Equal(before, after) {
			t.Errorf("the store of version %d was changed", found)
		}
	}
}

func TestExistingStoreIsOnlyRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	must(t, s.PutSuite(t.Context(), "suite", []Experiment{finished(1)}, []string{"cpu"}))
	must(t, s.PutExperiment(t.Context(), finished(1)))
	// No other file is needed for reading, as one on a read-only medium could not be made.
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the database alone", entries, err)
	}
	readOnly, err := OpenExisting(t.Context(), dir)
	must(t, err)
	defer readOnly.Close()
	if got, err := readOnly.Experiments(t.Context(), "suite"); err != nil || len(got) != 1 || got[0].Status != Done {
		t.Errorf("got %+v, %v, want the done experiment", got, err)
	}
	wantProblem(t, readOnly.PutExperiment(t.Context(), finished(2)), "cannot be written", dir)
}

// all is everything that a report reads.
type all struct {
	Suites      []string
	Experiments map[string][]Experiment
	Deployments map[string][]Deployment
}

func readAll(ctx context.Context, dir string) (all, error) {
	s, err := OpenExisting(ctx, dir)
	if err != nil {
		return all{}, err
	}
	defer s.Close()
	a := all{Experiments: make(map[string][]Experiment), Deployments: make(map[string][]Deployment)}
	if a.Suites, err = s.Suites(ctx); err != nil {
		return all{}, err
	}
	for _, suite := range a.Suites {
		if a.Experiments[suite], err = s.Experiments(ctx, suite); err != nil {
			return all{}, err
		}
		for _, c := range a.Experiments[suite] {
			if a.Deployments[c.ID], err = s.Deployments(ctx, c.ID); err != nil {
				return all{}, err
			}
		}
	}
	return a, nil
}

// A flipped bit anywhere in the database changes nothing that is read, or is told: by
// a Problem or by the status of the row.
func TestFlippedBitsOfTheDatabase(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	s, err := Open(t.Context(), dir)
	must(t, err)
	var list []Experiment
	for seed := range uint64(5) {
		list = append(list, finished(seed))
	}
	must(t, s.PutSuite(t.Context(), "suite", list, []string{"cpu"}))
	for _, c := range list {
		must(t, s.PutExperiment(t.Context(), c))
		for _, backend := range []string{"asic", "cpu"} {
			must(t, s.PutDeployment(t.Context(), Deployment{
				Experiment: c.ID, Backend: backend, Config: json.RawMessage(`{"bits":12}`), Status: Done, Metric: figure(1.8 + float64(c.Seed)),
				Cost: &Cost{Seconds: figure(1e-6), N: 5},
			}))
		}
	}
	must(t, s.Close())
	want, err := readAll(t.Context(), dir)
	must(t, err)
	content, err := os.ReadFile(filepath.Join(dir, FileName))
	must(t, err)
	path := filepath.Join(copied, FileName)
	must(t, os.WriteFile(path, content, 0o600))
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer file.Close()

	// Every byte of the header, every seventh in use of the rest, one bit of each.
	told, marked := 0, 0
	for i, b := range content {
		if i >= 100 && (b == 0 || i%7 > 0) {
			continue
		}
		_, err := file.WriteAt([]byte{b ^ 1<<(i%8)}, int64(i))
		must(t, err)
		got, err := readAll(t.Context(), copied)
		if _, ok := errors.AsType[*plugins.Problem](err); ok {
			told++
		} else if err != nil {
			t.Errorf("byte %d: %v, want a Problem", i, err)
		} else {
			marked += compare(t, i, want, got)
		}
		_, err = file.WriteAt([]byte{b}, int64(i))
		must(t, err)
	}
	if told == 0 || marked == 0 {
		t.Errorf("%d times damage was told and %d times marked, want both to have been met", told, marked)
	}
	t.Logf("%d bytes, %d told, %d marked", len(content), told, marked)
}

// compare returns how many rows are marked as damaged; the others must be as they were.
func compare(t *testing.T, at int, want, got all) (marked int) {
	t.Helper()
	for suite, list := range want.Experiments {
		if len(got.Experiments[suite]) != len(list) {
			t.Errorf("byte %d: %d experiments, want %d", at, len(got.Experiments[suite]), len(list))
			return marked
		}
		for i, c := range got.Experiments[suite] {
			if c.Status == Damaged && c.ID == list[i].ID && c.Reason != "" {
				marked++
			} else if diff := cmp.Diff(list[i], c); diff != "" {
				t.Errorf("byte %d: in silence (-want +got):\n%s", at, diff)
			}
		}
	}
	for id, list := range want.Deployments {
		if len(got.Deployments[id]) != len(list) {
			t.Errorf("byte %d: %d deployments, want %d", at, len(got.Deployments[id]), len(list))
			return marked
		}
		for i, d := range got.Deployments[id] {
			if d.Status == Damaged && d.Backend == list[i].Backend && d.Reason != "" {
				marked++
			} else if diff := cmp.Diff(list[i], d); diff != "" {
				t.Errorf("byte %d: in silence (-want +got):\n%s", at, diff)
			}
		}
	}
	return marked
}

// A damaged row is not taken for another by listing the suite again, is not replaced
// by accident, and can be made again.
func TestDamagedRowsCanBeMadeAgain(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	c := finished(1)
	must(t, s.PutSuite(t.Context(), "suite", []Experiment{c}, []string{"cpu"}))
	must(t, s.PutExperiment(t.Context(), c))
	deployed := Deployment{Experiment: c.ID, Backend: "cpu", Status: Done, Metric: figure(1.8)}
	must(t, s.PutDeployment(t.Context(), deployed))
	_, err := s.db.ExecContext(t.Context(), `UPDATE experiments SET paper_style = 1.5; UPDATE deployments SET metric = 1.5`)
	must(t, err)

	must(t, s.PutSuite(t.Context(), "suite", []Experiment{c}, []string{"cpu"}))
	if got, err := s.Experiment(t.Context(), c.ID); err != nil || got.Status != Damaged || got.ID != c.ID {
		t.Errorf("got %+v, %v, want it damaged", got, err)
	}
	if list, err := s.Deployments(t.Context(), c.ID); err != nil || len(list) != 1 || list[0].Status != Damaged {
		t.Errorf("got %+v, %v, want it damaged", list, err)
	}
	deployed.Status = Failed // even that: there is nothing left to lose
	must(t, s.PutDeployment(t.Context(), deployed))
	wantProblem(t, s.PutExperiment(t.Context(), c), "damaged", "--again")
	must(t, s.Reset(t.Context(), c))
	must(t, s.PutExperiment(t.Context(), c))
	got, err := s.Experiment(t.Context(), c.ID)
	if diff := cmp.Diff(c, got); err != nil || diff != "" {
		t.Errorf("made again: %v (-want +got):\n%s", err, diff)
	}

	_, err = s.db.ExecContext(t.Context(), `UPDATE suite_experiments SET position = 3`)
	must(t, err)
	_, err = s.Experiments(t.Context(), "suite")
	wantProblem(t, err, "suite", "damaged", "run the suite again")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	t.Run("no store", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "runs")
		_, err := OpenExisting(t.Context(), dir)
		wantProblem(t, err, "no run store", dir, "--runs")
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder was made: %v", err)
		}
	})
	t.Run("no database", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("no database\n", 999)), 0o600))
		_, err := Open(t.Context(), dir)
		wantProblem(t, err, "no run store", dir)
	})
	t.Run("other program", func(t *testing.T) {
		dir := t.TempDir()
		db, err := sql.Open("sqlite", filepath.Join(dir, FileName))
		must(t, err)
		_, err = db.Exec(`CREATE TABLE bookmarks (x)`)
		must(t, errors.Join(err, db.Close()))
		_, err = Open(t.Context(), dir)
		wantProblem(t, err, "another program", dir)
	})
	t.Run("file for folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, nil, 0o600))
		_, err := Open(t.Context(), filepath.Join(file, "runs"))
		wantProblem(t, err, "cannot be written", "--runs")
	})
	t.Run("folder for file", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, FileName), 0o700))
		_, err := Open(t.Context(), dir)
		wantProblem(t, err, "cannot be written", dir)
	})
	t.Run("read-only folder", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may write anywhere")
		}
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o500))
		_, err := Open(t.Context(), dir)
		wantProblem(t, err, "cannot be written", dir)
	})
}

// SQLite's bound on its own size gives the error that a full disk gives.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	must(t, s.PutExperiment(t.Context(), finished(1)))
	var pages int
	must(t, s.db.QueryRowContext(t.Context(), `PRAGMA max_page_count = 1`).Scan(&pages))
	big := finished(2)
	big.Stderr = strings.Repeat("x", 1<<20)
	wantProblem(t, s.PutExperiment(t.Context(), big), "disk is full", "run the same command again")
	if got, err := s.Experiment(t.Context(), finished(1).ID); err != nil || !cmp.Equal(got, finished(1)) {
		t.Errorf("the experiment from before: got %+v, %v; want %+v", got, err, finished(1))
	}
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.PutExperiment(ctx, finished(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestSettingsAreFoundByName(t *testing.T) {
	t.Parallel()
	c := finished(1)
	if cell, missing := c.Setting("cell"), c.Setting("layers"); cell != "LSTM" || missing != "" {
		t.Errorf("cell %q and layers %q, want LSTM and nothing", cell, missing)
	}
}

func TestVersionTellsChangesOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reader, writer := openStore(t, dir), openStore(t, dir)
	before, err := reader.Version(t.Context())
	must(t, err)
	same, err := reader.Version(t.Context())
	must(t, err)
	must(t, writer.PutSuite(t.Context(), "s", nil, nil))
	must(t, writer.PutExperiment(t.Context(), Experiment{ID: "one", Config: []byte("{}"), Status: Pending}))
	after, err := reader.Version(t.Context())
	must(t, err)
	if same != before || after == before {
		t.Errorf("versions %d, %d without a change and %d after one", before, same, after)
	}
}
