package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/experiment"
	"bittern/harness/internal/terminal"
	"bittern/harness/internal/testplugin"
	"bittern/harness/provenance"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/internal/testexec"
	"bittern/plugins"
)

func TestMain(m *testing.M) { testplugin.Main(m) }

const suiteOfFour = `
name: four
seeds: [1, 2]
threads: 1
tasks:
  - {data: grammar, bytes: 1500, batch: 7, length: 23}
models:
  - {plugin: bigram}
quantizers:
  - {plugin: coin}
  - {label: other, plugin: coin, options: [at=1]}
backends:
  - {plugin: oracle}
training: {learning_rate: 0.05}
`

func parse(t *testing.T, content string) *suite.Suite {
	t.Helper()
	s, err := suite.Parse("test", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func prepare(t *testing.T, content string) ([]*experiment.Spec, *host.Catalogue, error) {
	t.Helper()
	catalogue, err := host.NewCatalogue(testplugin.IDs, "")
	if err != nil {
		t.Fatal(err)
	}
	catalogue.DescribeInProcess(testplugin.Describe)
	specs, err := Prepare(t.Context(), parse(t, content), catalogue, "")
	return specs, catalogue, err
}

// stored is a runner and the run store that it keeps experiments in.
type stored struct {
	*experiment.Runner
	Store *store.Store
}

func runner(t *testing.T, catalogue *host.Catalogue) stored {
	t.Helper()
	runs, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	})
	return stored{&experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(runs), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
	}, runs}
}

func TestPrepareResolvesEveryExperiment(t *testing.T) {
	t.Parallel()
	specs, _, err := prepare(t, suiteOfFour)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range specs {
		got = append(got, s.String())
		if s.Model.Options["pause"] != "0" || s.Backends[0].Description.Version != "1.0.0" || s.Loaded.Data.SHA256 == "" || s.Threads != 1 {
			t.Errorf("%s: %+v, want defaults, versions and the data filled in", s, s)
		}
	}
	want := []string{
		"grammar, bigram, coin, seed 1", "grammar, bigram, coin, seed 2",
		"grammar, bigram, other, seed 1", "grammar, bigram, other, seed 2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("experiments (-want +got):\n%s", diff)
	}
}

func TestPrepareOfAPluginThatCannotDescribeItself(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	broken := filepath.Join(folder, "bittern-model-broken")
	testexec.Write(t, broken, []byte("#!/bin/sh\necho out of order >&2\nexit 7\n"))
	catalogue, err := host.NewCatalogue(testplugin.IDs, folder)
	if err != nil {
		t.Fatal(err)
	}
	catalogue.DescribeInProcess(testplugin.Describe)
	_, err = Prepare(t.Context(), parse(t, strings.Replace(suiteOfFour, "bigram", "broken", 1)), catalogue, "")
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || !strings.Contains(problem.Sentence, "model/broken cannot describe itself") || !strings.Contains(problem.Sentence, "out of order") {
		t.Errorf("Prepare = %v, want a Problem with the plugin's last words", err)
	}
}

// What a suite's entry says of environment and limits reaches the plugin.
func TestPrepareHandsOnEnvironmentAndLimits(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("plugins have limits on Linux alone")
	}
	limited := func(keys string) string {
		return strings.Replace(suiteOfFour, "{plugin: bigram}", "{plugin: bigram, "+keys+"}", 1)
	}
	specs, _, err := prepare(t, limited("environment: [CUDA_HOME], memory_mib: 4096, processors: 1"))
	if err != nil {
		t.Fatal(err)
	}
	got := specs[0].Model
	if want := (host.Limits{Memory: 4 << 30, Processors: 1}); got.Limits != want || !slices.Equal(got.Environment, []string{"CUDA_HOME"}) {
		t.Errorf("limits %+v and environment %q, want %+v and CUDA_HOME", got.Limits, got.Environment, want)
	}
	_, _, err = prepare(t, limited("processors: 1024"))
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "model/bigram: it is to run on 1024 processors, but only") {
		t.Errorf("Prepare = %v, want a problem with 1024 processors", err)
	}
}

// However many experiments run at a time, the numbers are the same and stand in the
// suite's order.
func TestJobsChangeNoNumber(t *testing.T) {
	t.Parallel()
	var tables [][]float64
	for _, jobs := range []int{1, 3} {
		specs, catalogue, err := prepare(t, suiteOfFour)
		if err != nil {
			t.Fatal(err)
		}
		r := runner(t, catalogue)
		failures, err := Run(t.Context(), r.Store, r, specs, jobs, NewDisplay(terminal.New(io.Discard), make([]experiment.Work, len(specs)), 1))
		if err != nil || len(failures) > 0 {
			t.Fatalf("Run with %d jobs = %v, %v", jobs, failures, err)
		}
		experiments, err := r.Store.Experiments(t.Context(), "four")
		if err != nil {
			t.Fatal(err)
		}
		var table []float64
		for _, c := range experiments {
			table = append(table, float64(c.Seed), *c.PaperStyle, *c.FrozenModel)
		}
		tables = append(tables, table)
	}
	if diff := cmp.Diff(tables[0], tables[1]); diff != "" || len(tables[0]) != 12 {
		t.Errorf("%d numbers of 4 experiments with 1 job and with 3 (-1 +3):\n%s", len(tables[0]), diff)
	}
}

// An interrupt does not hide what an experiment failed at while it was saved.
func TestEnding(t *testing.T) {
	t.Parallel()
	interrupt, full, broken := errors.New("interrupted"), errors.New("the disk is full"), errors.New("the store is broken")
	for name, test := range map[string]struct {
		cause, interrupt error
		experiments      []error
		want             []error
		not              error
	}{
		"none":               {nil, nil, []error{nil, nil}, nil, nil},
		"interrupt":          {interrupt, interrupt, []error{interrupt, nil, context.Canceled}, []error{interrupt}, full},
		"fault":              {full, nil, []error{full, fmt.Errorf("begin: %w", full)}, []error{full}, broken},
		"two faults":         {full, nil, []error{broken, full}, []error{full, broken}, interrupt},
		"fault in interrupt": {interrupt, interrupt, []error{interrupt, full}, []error{full}, interrupt},
	} {
		got := ending(test.cause, test.interrupt, test.experiments)
		for _, want := range test.want {
			if !errors.Is(got, want) {
				t.Errorf("%s: got %v, want %v in it", name, got, want)
			}
		}
		if (got == nil) != (test.want == nil) || (test.not != nil && errors.Is(got, test.not)) {
			t.Errorf("%s: got %v, want %v, not %v", name, got, test.want, test.not)
		}
	}
}

// A fault of the harness, here a store that is closed, ends the run.
func TestAFaultEndsTheRun(t *testing.T) {
	t.Parallel()
	specs, catalogue, err := prepare(t, suiteOfFour)
	if err != nil {
		t.Fatal(err)
	}
	r := runner(t, catalogue)
	cause := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Run(ctx, r.Store, r, specs, 2, NewDisplay(terminal.New(io.Discard), make([]experiment.Work, len(specs)), 1)); !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("Run after an interrupt = %v, want its cause", err)
	}

	folder := t.TempDir()
	runs, err := store.Open(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	}()
	row, err := specs[1].Row()
	if err != nil {
		t.Fatal(err)
	}
	// A file where the second experiment's folder must be.
	if err := os.WriteFile(filepath.Join(folder, row.ID), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Store, r.Storage = runs, storage.InFolder(runs)
	_, err = Run(t.Context(), r.Store, r, specs, 1, NewDisplay(terminal.New(io.Discard), make([]experiment.Work, len(specs)), 1))
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, row.ID) {
		t.Errorf("Run into a folder that cannot be made = %v, want a Problem that names it", err)
	}
	experiments, err := runs.Experiments(t.Context(), "four")
	if err != nil {
		t.Fatal(err)
	}
	var statuses []store.Status
	for _, c := range experiments {
		statuses = append(statuses, c.Status)
	}
	if diff := cmp.Diff([]store.Status{store.Done, store.Pending, store.Pending, store.Pending}, statuses); diff != "" {
		t.Errorf("experiments after the fault (-want +got):\n%s", diff)
	}
}

// Two runs of one suite into one folder leave the numbers of one run: each experiment is
// trained once, and the run that finds it held takes others first and then waits.
func TestTwoRunsOnOneFolder(t *testing.T) {
	t.Parallel()
	specs, catalogue, err := prepare(t, suiteOfFour)
	if err != nil {
		t.Fatal(err)
	}
	alone := runner(t, catalogue)
	if _, err := Run(t.Context(), alone.Store, alone, specs, 1, NewDisplay(terminal.New(io.Discard), make([]experiment.Work, len(specs)), 1)); err != nil {
		t.Fatal(err)
	}

	folder := t.TempDir()
	open := func() stored {
		runs, err := store.Open(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := runs.Close(); err != nil {
				t.Error(err)
			}
		})
		return stored{&experiment.Runner{
			Catalogue: alone.Catalogue, Storage: storage.InFolder(runs), Machine: alone.Machine, Deadline: alone.Deadline, Log: alone.Log,
		}, runs}
	}
	// A third process has the second experiment until both have found that out.
	first, err := specs[1].Row()
	if err != nil {
		t.Fatal(err)
	}
	third := open()
	lock, err := third.Store.Lock(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	var running, told sync.WaitGroup
	told.Add(2)
	for range 2 {
		r := open()
		running.Go(func() {
			out := &watched{words: "waiting", seen: told.Done}
			failures, err := Run(t.Context(), r.Store, r, specs, 1, NewDisplay(terminal.New(out), make([]experiment.Work, len(specs)), 1))
			if err != nil || len(failures) > 0 {
				t.Errorf("Run = %v, %v", failures, err)
			}
		})
	}
	told.Wait()
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	for _, spec := range specs {
		row, err := spec.Row()
		if err != nil {
			t.Fatal(err)
		}
		want, err := alone.Store.Experiment(t.Context(), row.ID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := third.Store.Experiment(t.Context(), row.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != store.Done || *got.PaperStyle != *want.PaperStyle || *got.FrozenModel != *want.FrozenModel || *got.BestValidation != *want.BestValidation {
			t.Errorf("%s: got %+v, want the numbers of a single run, %+v", spec, got, want)
		}
		var p provenance.Experiment
		if err := json.Unmarshal(got.Provenance, &p); err != nil || len(p.Sittings) != 1 {
			t.Errorf("%s: %d sittings, %v, want it trained once", spec, len(p.Sittings), err)
		}
	}
}

// watched tells when one experiment was first reported with certain words.
type watched struct {
	words string
	seen  func()
	once  sync.Once
}

func (w *watched) Write(text []byte) (int, error) {
	if strings.Contains(string(text), w.words) && strings.Contains(string(text), "coin, seed 2") {
		w.once.Do(w.seen)
	}
	return len(text), nil
}
