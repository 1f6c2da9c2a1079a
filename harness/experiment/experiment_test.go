package experiment_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bittern/harness/checkpoint"
	"bittern/harness/experiment"
	"bittern/harness/internal/testplugin"
	"bittern/harness/provenance"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/internal/testexec"
	"bittern/plugins"
	"bittern/plugins/model"
)

func TestMain(m *testing.M) {
	testplugin.Serve(os.Args)
	if os.Getenv(doomedVariable) != "" {
		doomed()
	}
	os.Exit(m.Run())
}

// spec is an experiment of the test plugins: 3 epochs of 7 steps, validated every 5
// steps and so 5 times, saved every 4.
func spec(tb testing.TB) *experiment.Spec {
	tb.Helper()
	options := plugins.Values{"bytes": "1500", "batch": "7", "length": "23"}
	loaded, err := new(task.Loader).Load(context.Background(), task.Request{Task: "characters", Data: "grammar", Options: options})
	if err != nil {
		tb.Fatal(err)
	}
	return &experiment.Spec{
		Task: suite.Task{
			Label: "grammar", Task: "characters", Data: "grammar", Options: loaded.Options,
			Training: suite.Training{
				Optimiser: model.Adam, LearningRate: 0.05, FinalLearningRate: 0.01, Decay: suite.Exponential,
				Epochs: 3, ValidateEvery: 5, ValidationCalibration: 3, CheckpointSteps: 4,
				ResetMomentsEvery: 3, ResetMomentsEpoch: true,
			},
		},
		Loaded:    loaded,
		Model:     plugin(tb, plugins.KindModel, "bigram", nil),
		Quantizer: plugin(tb, plugins.KindQuantizer, "coin", nil),
		Seed:      3, Threads: 1, Freeze: suite.Freeze{Draws: 3, CalibrationBatches: 4},
		Backends: []experiment.Plugin{plugin(tb, plugins.KindBackend, "oracle", nil), plugin(tb, plugins.KindBackend, "mute", nil)},
	}
}

var catalogue = func() *host.Catalogue {
	c, err := host.NewCatalogue(testplugin.IDs, "")
	if err != nil {
		panic(err)
	}
	c.DescribeInProcess(testplugin.Describe)
	return c
}()

func plugin(tb testing.TB, kind plugins.Kind, name string, options plugins.Values) experiment.Plugin {
	tb.Helper()
	description, err := catalogue.Describe(context.Background(), plugins.ID{Kind: kind, Name: name}, host.Settings{})
	if err != nil {
		tb.Fatal(err)
	}
	resolved, err := plugins.Resolve(name, description.Options, options)
	if err != nil {
		tb.Fatal(err)
	}
	return experiment.Plugin{Label: name, Name: name, Options: resolved, Description: description}
}

// workplace is a run store in a folder, and what was logged.
type workplace struct {
	runner *experiment.Runner
	store  *store.Store
	runs   string
	log    []string
}

func newWorkplace(tb testing.TB, runs string) *workplace {
	tb.Helper()
	s, err := store.Open(context.Background(), runs)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	w := &workplace{store: s, runs: runs}
	w.runner = &experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(s), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute,
		Log: func(line string) { w.log = append(w.log, line) },
	}
	return w
}

func ignore(experiment.Progress) {}

// run finishes an experiment that nothing goes wrong with.
func (w *workplace) run(tb testing.TB, s *experiment.Spec) {
	tb.Helper()
	failed, err := w.runner.Run(context.Background(), s, ignore)
	if err != nil || len(failed) > 0 {
		tb.Fatalf("Run = %v, %v, want no failure and no error", failed, err)
	}
}

func (w *workplace) row(tb testing.TB, s *experiment.Spec) store.Experiment {
	tb.Helper()
	row, err := s.Row()
	if err != nil {
		tb.Fatal(err)
	}
	stored, err := w.store.Experiment(context.Background(), row.ID)
	if err != nil {
		tb.Fatal(err)
	}
	return stored
}

func (w *workplace) deployments(tb testing.TB, s *experiment.Spec) []store.Deployment {
	tb.Helper()
	list, err := w.store.Deployments(context.Background(), w.row(tb, s).ID)
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// numbers is everything of a finished experiment that must be the same in every run
// with its seed, files byte for byte.
type numbers struct {
	Experiment  store.Experiment
	Deployments []store.Deployment
	Files       map[string]string
}

func (w *workplace) numbers(tb testing.TB, s *experiment.Spec) numbers {
	tb.Helper()
	n := numbers{Experiment: w.row(tb, s), Deployments: w.deployments(tb, s), Files: make(map[string]string)}
	leftovers(tb, w.store.ExperimentDir(n.Experiment.ID))
	folder := w.store.ExperimentDir(n.Experiment.ID)
	for _, name := range []string{"steps.jsonl", "deployed/program.json", "deployed/deployed.safetensors"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			tb.Fatal(err)
		}
		n.Files[name] = string(content)
	}
	best, err := filepath.Glob(filepath.Join(folder, "best", "*.safetensors"))
	if err != nil || len(best) != 1 {
		tb.Fatalf("best network: %v, %v, want one file", best, err)
	}
	content, err := os.ReadFile(best[0])
	if err != nil {
		tb.Fatal(err)
	}
	n.Files["best"] = string(content)
	return n
}

// clock is what differs between runs.
var clock = cmp.Options{
	cmpopts.IgnoreFields(store.Experiment{}, "TrainSeconds", "StartedAt", "FinishedAt", "Provenance"),
	cmpopts.IgnoreFields(store.Deployment{}, "Provenance"),
}

// leftovers fails the test if a finished experiment's folder holds a temporary file.
func leftovers(tb testing.TB, folder string) {
	tb.Helper()
	if err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), ".") {
			tb.Errorf("%s was left behind", path)
		}
		return err
	}); err != nil {
		tb.Fatal(err)
	}
}

// sittings are those that contributed to an experiment.
func (w *workplace) sittings(tb testing.TB, s *experiment.Spec) []provenance.Sitting {
	tb.Helper()
	var p provenance.Experiment
	decode(tb, w.row(tb, s).Provenance, &p)
	return p.Sittings
}

func same(tb testing.TB, want, got numbers) {
	tb.Helper()
	if diff := cmp.Diff(want, got, clock); diff != "" {
		tb.Errorf("numbers differ from those of the undisturbed run (-undisturbed +this):\n%s", diff)
	}
}

func TestAnExperimentLeavesItsNumbers(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	row := w.row(t, s)

	symbols := s.Loaded.Task.Shape().Classes
	if row.Status != store.Done || row.Metric != "BPC" || row.Steps != 21 || row.Epochs != 3 {
		t.Errorf("status %s, metric %s, %d steps, %d epochs, want done, BPC, 21, 3", row.Status, row.Metric, row.Steps, row.Epochs)
	}
	if want := int64(symbols*symbols + symbols + 1); row.Parameters != want {
		t.Errorf("parameters = %d, want %d: W, b and the scale of W", row.Parameters, want)
	}
	if want := float64(symbols*symbols) / 8; row.RecurrentBytes != want {
		t.Errorf("recurrent bytes = %v, want %v: one bit a weight", row.RecurrentBytes, want)
	}
	if got := row.BitsPerWeight(); got != 1 {
		t.Errorf("%v bits a weight, want 1", got)
	}
	var made provenance.Experiment
	if decode(t, row.Provenance, &made); made.StepsPerEpoch != 7 {
		t.Errorf("%d steps an epoch, want 7", made.StepsPerEpoch)
	}
	rowBytes := (symbols + 63) / 64 * 8
	if want := int64(symbols*rowBytes + 4*3 + 4*symbols); row.DeployedBytes != want {
		t.Errorf("deployed bytes = %d, want %d: padded rows, two levels and their scale, a table of biases", row.DeployedBytes, want)
	}
	uniform := math.Log2(float64(symbols))
	for name, figure := range map[string]*float64{"validation": row.BestValidation, "paper-style": row.PaperStyle, "frozen": row.FrozenModel} {
		if figure == nil || *figure <= 0 || *figure >= uniform {
			t.Errorf("%s BPC = %v, want between 0 and that of a blind guess, %v", name, figure, uniform)
		}
	}

	list := w.deployments(t, s)
	if len(list) != 2 {
		t.Fatalf("%d deployments, want 2", len(list))
	}
	mute, oracle := list[0], list[1]
	if mute.Status != store.Unsupported || mute.Reason != "it has no words" {
		t.Errorf("mute: status %s, reason %q, want unsupported and its words", mute.Status, mute.Reason)
	}
	// The oracle computes in float64 what the model computes in float32 sums.
	if oracle.Metric == nil || math.Abs(*oracle.Metric-*row.FrozenModel) > 1e-6 {
		t.Errorf("oracle BPC = %v, want the model's own frozen %v", oracle.Metric, *row.FrozenModel)
	}
	if want := (store.Substitution{Weight: "W", From: "2 levels, 1 bit", To: "float32", Reason: "an oracle reads values"}); oracle.Cost == nil ||
		len(oracle.Cost.Substitutions) != 1 || oracle.Cost.Substitutions[0] != want {
		t.Errorf("oracle cost = %+v, want the substitution %+v", oracle.Cost, want)
	}
	if oracle.Cost == nil || oracle.Cost.Missing["area"] == "" || *oracle.Cost.Cycles != float64(23*2*symbols) {
		t.Errorf("oracle cost = %+v, want %d cycles for a sequence of 23 steps and a reason for the missing area", oracle.Cost, 23*2*symbols)
	}
	steps, err := store.ReadSteps(w.store.ExperimentDir(row.ID))
	if err != nil || len(steps) != 21 {
		t.Fatalf("%d steps recorded, %v, want 21", len(steps), err)
	}
	if first, last := steps[0].LearningRate, steps[20].LearningRate; first != 0.05 || math.Abs(last-0.01) > 1e-12 {
		t.Errorf("learning rate from %v to %v, want 0.05 to 0.01", first, last)
	}
	if _, err := os.Stat(filepath.Join(w.store.ExperimentDir(row.ID), "last")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the last checkpoint of a finished experiment is still there: %v", err)
	}
}

// A network with its starting weights costs what it costs when it is trained.
func TestUntrainedNetworksAreCosted(t *testing.T) {
	t.Parallel()
	trained, untrained, s := newWorkplace(t, t.TempDir()), newWorkplace(t, t.TempDir()), spec(t)
	untrained.runner.Untrained = true
	trained.run(t, s)
	untrained.run(t, s)
	row, want := untrained.row(t, s), trained.row(t, s)
	if row.Status != store.Done || row.Steps != 0 || row.FrozenModel != nil || row.PaperStyle != nil {
		t.Errorf("%s after %d steps, scores %v and %v, want done without steps or scores", row.Status, row.Steps, row.FrozenModel, row.PaperStyle)
	}
	if row.RecurrentBytes != want.RecurrentBytes || row.DeployedBytes != want.DeployedBytes || row.BitsPerWeight() != want.BitsPerWeight() {
		t.Errorf("%v and %d bytes, %v bits a weight, want %v, %d and %v", row.RecurrentBytes, row.DeployedBytes, row.BitsPerWeight(), want.RecurrentBytes, want.DeployedBytes, want.BitsPerWeight())
	}
	deployments := untrained.deployments(t, s)
	for i, d := range trained.deployments(t, s) {
		got := deployments[i]
		if got.Backend != d.Backend || got.Status != d.Status || !cmp.Equal(got.Cost, d.Cost) {
			t.Errorf("untrained: %+v, trained: %+v", got, d)
		}
		if d.Cost != nil && (got.Metric != nil || got.Reason != "the network is not trained" || len(got.Cost.Calibration) != 1) {
			t.Errorf("%s: score %v, reason %q, calibration %v", got.Backend, got.Metric, got.Reason, got.Cost.Calibration)
		}
	}
}

func TestEqualSeedsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	a, b, s := newWorkplace(t, t.TempDir()), newWorkplace(t, t.TempDir()), spec(t)
	a.run(t, s)
	b.run(t, s)
	same(t, a.numbers(t, s), b.numbers(t, s))

	other := *s
	other.Seed++
	b.run(t, &other)
	if x, y := *a.row(t, s).PaperStyle, *b.row(t, &other).PaperStyle; x == y {
		t.Errorf("another seed gave the same paper-style BPC %v", x)
	}
}

func TestAFinishedExperimentIsNotTrainedAgain(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	before := w.numbers(t, s)
	relabelled := *s
	relabelled.Quantizer.Label, relabelled.Task.Training.CheckpointSteps = "other label", 1
	trained := false
	if _, err := w.runner.Run(context.Background(), &relabelled, func(p experiment.Progress) { trained = true }); err != nil {
		t.Fatal(err)
	}
	if trained {
		t.Error("something was done for an experiment that is finished, with labels and saving changed only")
	}
	w.runner.Again = true
	w.run(t, s)
	after := w.numbers(t, s)
	same(t, before, after)
	if !after.Experiment.StartedAt.After(before.Experiment.StartedAt) {
		t.Errorf("started at %v with Again, want after %v", after.Experiment.StartedAt, before.Experiment.StartedAt)
	}
}

func TestAnInterruptedExperimentGoesOnToTheSameBytes(t *testing.T) {
	t.Parallel()
	undisturbed, s := newWorkplace(t, t.TempDir()), spec(t)
	undisturbed.run(t, s)

	for _, stage := range []experiment.Stage{experiment.Starting, experiment.Training, experiment.Validating, experiment.Testing, experiment.Deploying} {
		t.Run(string(stage), func(t *testing.T) {
			t.Parallel()
			w := newWorkplace(t, t.TempDir())
			interrupt := errors.New("interrupted by the test")
			for sitting := 1; ; sitting++ {
				// Each sitting is interrupted a little later than the one before.
				ctx, cancel := context.WithCancelCause(context.Background())
				seen := 0
				_, err := w.runner.Run(ctx, s, func(p experiment.Progress) {
					if p.Stage == stage {
						if seen++; seen == 2*sitting-1 {
							cancel(interrupt)
						}
					}
				})
				cancel(nil)
				if err == nil {
					if sitting == 1 {
						t.Error("no sitting was interrupted")
					}
					break
				}
				if !errors.Is(err, interrupt) && !errors.Is(err, context.Canceled) {
					t.Fatalf("sitting %d: %v, want the interrupt", sitting, err)
				}
				if sitting > 30 {
					t.Fatal("the experiment does not come to an end")
				}
			}
			same(t, undisturbed.numbers(t, s), w.numbers(t, s))
		})
	}
}

// The fault's options are part of an experiment's identity, but must not be part of
// its numbers: those of the marked experiment are compared with an unmarked one's by
// hand.
func TestAKilledPluginIsStartedAgainToTheSameNumbers(t *testing.T) {
	t.Parallel()
	undisturbed, s := newWorkplace(t, t.TempDir()), spec(t)
	undisturbed.run(t, s)
	want := undisturbed.numbers(t, s)

	for name, options := range map[string]struct {
		kind   plugins.Kind
		plugin string
	}{"model": {plugins.KindModel, "bigram"}, "quantizer": {plugins.KindQuantizer, "coin"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			marker := filepath.Join(t.TempDir(), "marker")
			w, broken := newWorkplace(t, t.TempDir()), spec(t)
			p := plugin(t, options.kind, options.plugin, plugins.Values{"fault": "kill", "at": "13", "marker": marker})
			if options.kind == plugins.KindModel {
				broken.Model = p
			} else {
				broken.Quantizer = p
			}
			w.run(t, broken)
			if _, err := os.Stat(marker); err != nil {
				t.Fatalf("the plugin was never killed: %v", err)
			}
			if len(w.log) != 1 || !strings.Contains(w.log[0], "starting it again (1 of 2)") {
				t.Errorf("log = %q, want one line about one restart", w.log)
			}
			got := w.numbers(t, broken)
			got.Experiment.ID, got.Experiment.Config = want.Experiment.ID, want.Experiment.Config
			for i := range got.Deployments {
				got.Deployments[i].Experiment = want.Experiment.ID
			}
			same(t, want, got)
		})
	}
}

func TestAFaultyPluginFailsItsExperiment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind, fault, reason, stderr string
		restarts                          int
	}{
		{"crash", "model", "exit", "model/bigram crashed during Step", "fails in step 9: exit", 2},
		{"hang", "model", "hang", "model/bigram was killed during Step: no answer within", "fails in step 9: hang", 2},
		{"panic", "model", "panic", "model/bigram failed during Step: panic: on demand", "testplugin.fault.strike", 0},
		{"NaN", "model", "nan", "model/bigram answered Step with nonsense", "fails in step 9: nan", 0},
		{"wrong shape", "model", "shape", "what is quantized has the shape [outputs, inputs]", "", 0},
		{"crash of the quantizer", "quantizer", "exit", "quantizer/coin crashed during Quantize", "fails in step 9: exit", 2},
		{"NaN of the quantizer", "quantizer", "nan", "quantizer/coin answered Quantize with nonsense", "fails in step 9: nan", 0},
		{"truncated arena", "quantizer", "truncate", "quantizer/coin answered Quantize with nonsense: the file of shared tensors was cut short", "fails in step 9: truncate", 0},
		{"crash in a truncated arena", "quantizer", "truncate-and-crash", "bigram or coin cut short the file of the tensors they share with the harness", "", 0},
		{"immense plan", "model", "immense", "no room for a tensor arena of", "", 0},
		{"plan that overflows", "model", "overflow", "brings all that is asked for to more than", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorkplace(t, t.TempDir()), spec(t)
			w.runner.Deadline = time.Minute
			if c.fault == "hang" {
				w.runner.Deadline = 4 * time.Second // is waited for with each restart
			}
			options := plugins.Values{"fault": c.fault, "at": "9"}
			if c.kind == "model" {
				s.Model = plugin(t, plugins.KindModel, "bigram", options)
			} else {
				s.Quantizer = plugin(t, plugins.KindQuantizer, "coin", options)
			}
			failed, err := w.runner.Run(context.Background(), s, ignore)
			if err != nil {
				t.Fatalf("Run = %v, want the failure of a plugin to be none of the run", err)
			}
			if len(failed) != 1 || failed[0].Backend != "" || !strings.Contains(failed[0].Reason, c.reason) {
				t.Errorf("failed = %+v, want the training with %q", failed, c.reason)
			}
			row := w.row(t, s)
			if row.Status != store.Failed || !strings.Contains(row.Reason, c.reason) || !strings.Contains(row.Stderr, c.stderr) {
				t.Errorf("stored: %s, %q, stderr %q, want failed, %q, %q", row.Status, row.Reason, row.Stderr, c.reason, c.stderr)
			}
			if len(w.log) != c.restarts {
				t.Errorf("%d restarts, want %d: %q", len(w.log), c.restarts, w.log)
			}
		})
	}
}

// TestATruncatedArenaEndsNoHarness cuts the tensors away under the harness's own
// hands: before it saves them (after step 4) and before it fills in a batch.
func TestATruncatedArenaEndsNoHarness(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not let a file be cut short that is mapped")
	}
	for _, step := range []int{4, 5} {
		folder := t.TempDir()
		t.Setenv(arena.FolderVariable, folder)
		w, s := newWorkplace(t, t.TempDir()), spec(t)
		failed, err := w.runner.Run(context.Background(), s, func(p experiment.Progress) {
			if p.Stage != experiment.Training || p.Step != step {
				return
			}
			files, err := filepath.Glob(filepath.Join(folder, "bittern-arena-*"))
			if err != nil || len(files) == 0 {
				t.Errorf("the arena's files: %q, %v, want some", files, err)
			}
			for _, file := range files {
				if err := os.Truncate(file, 0); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil {
			t.Fatalf("after step %d: Run = %v, want the failure of a plugin to be none of the run", step, err)
		}
		const want = "bigram or coin cut short the file of the tensors they share with the harness"
		if len(failed) != 1 || failed[0].Reason != want {
			t.Errorf("after step %d: failed = %+v, want %q", step, failed, want)
		}
		if row := w.row(t, s); row.Status != store.Failed || row.Reason != want {
			t.Errorf("after step %d: stored %s, %q, want failed with the reason", step, row.Status, row.Reason)
		}
	}
}

func TestAFaultyBackendFailsItsDeploymentAlone(t *testing.T) {
	t.Parallel()
	for fault, reason := range map[string]string{
		"exit": "backend/oracle crashed during Execute",
		"nan":  "backend/oracle answered Execute with nonsense",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w, s := newWorkplace(t, t.TempDir()), spec(t)
			broken := plugin(t, plugins.KindBackend, "oracle", plugins.Values{"fault": fault})
			broken.Label = "broken"
			s.Backends = append([]experiment.Plugin{broken}, s.Backends...)
			failed, err := w.runner.Run(context.Background(), s, ignore)
			if err != nil || len(failed) != 1 || failed[0].Backend != "broken" || !strings.Contains(failed[0].Reason, reason) {
				t.Fatalf("Run = %+v, %v, want one failure on broken with %q", failed, err, reason)
			}
			if row := w.row(t, s); row.Status != store.Done {
				t.Errorf("the experiment is %s, want done", row.Status)
			}
			list := w.deployments(t, s)
			if list[0].Status != store.Failed || list[2].Status != store.Done || list[2].Metric == nil {
				t.Errorf("deployments %+v, want the first failed and the last done", list)
			}
			// Mended, it is run again; the others are not.
			s.Backends[0] = plugin(t, plugins.KindBackend, "oracle", nil)
			s.Backends[0].Label = "broken"
			w.run(t, s)
			if d := w.deployments(t, s)[0]; d.Status != store.Done || *d.Metric != *list[2].Metric {
				t.Errorf("mended deployment %+v, want done with the other's metric", d)
			}
		})
	}
}

// Other options make another deployment: the old one's figures must not stand
// in its place, even where it fails.
func TestADeploymentWithOtherOptionsIsAnotherOne(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	s.Backends = []experiment.Plugin{plugin(t, plugins.KindBackend, "oracle", plugins.Values{"fault": "nan"})}
	failed, err := w.runner.Run(context.Background(), s, ignore)
	if err != nil || len(failed) != 1 {
		t.Fatalf("Run = %+v, %v, want one failure", failed, err)
	}
	for _, d := range w.deployments(t, s) {
		if d.Backend == "oracle" && (d.Status != store.Failed || d.Metric != nil) {
			t.Errorf("deployment %+v, want failed and without the old metric", d)
		}
	}
}

func TestPatienceStopsEarlyAndTheBestIsKept(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	// So high a rate that after the first validations nothing improves.
	s.Task.Training = suite.Training{
		Optimiser: model.Adam, LearningRate: 50, Decay: suite.Constant, Epochs: 100, ValidateEvery: 2, Patience: 3, ValidationCalibration: 1,
	}
	w.run(t, s)
	row := w.row(t, s)
	if row.Steps >= 700 {
		t.Errorf("%d steps of 700, want fewer by patience", row.Steps)
	}
	var state struct {
		BestStep int `json:"best_step"`
	}
	content, err := os.ReadFile(filepath.Join(w.store.ExperimentDir(row.ID), "best", "checkpoint.json"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := struct{ State any }{&state}
	decode(t, content, &manifest)
	if want := int(row.Steps) - 2*3; state.BestStep != want {
		t.Errorf("best at step %d of %d, want %d: 3 validations before the end", state.BestStep, row.Steps, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	s := spec(t)
	checker := &experiment.Checker{Catalogue: catalogue, Deadline: time.Minute, Runs: runs}
	closeAfter(t, checker)
	if err := checker.Check(t.Context(), s); err != nil {
		t.Errorf("Check of a sound experiment = %v", err)
	}
	refusing := spec(t)
	refusing.Model = plugin(t, plugins.KindModel, "bigram", plugins.Values{"refuse": "true"})
	wantProblem(t, checker.Check(t.Context(), refusing), "refuses every task; set refuse=false")

	faulty := spec(t)
	faulty.Model = plugin(t, plugins.KindModel, "bigram", plugins.Values{"fault": "shape"})
	if err := checker.Check(t.Context(), faulty); err != nil {
		t.Errorf("Check of a faulty plugin = %v, want it left to the experiment", err)
	}

	row, err := s.Row()
	if err != nil {
		t.Fatal(err)
	}
	last := filepath.Join(runs, row.ID, "last")
	for _, c := range []struct {
		want string
		make func() error
	}{
		{"belongs to experiment 0123456789abcdef", func() error {
			return checkpoint.Save(last, checkpoint.Manifest{Experiment: "0123456789abcdef"}, nil, nil)
		}},
		{"does not fit the experiment", func() error {
			return checkpoint.Save(last, checkpoint.Manifest{Experiment: row.ID}, nil, nil)
		}},
		{"is damaged", func() error {
			return os.WriteFile(filepath.Join(last, "checkpoint.json"), []byte("{"), 0o600)
		}},
	} {
		if err := c.make(); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, checker.Check(t.Context(), s), c.want)
	}
	checker.Again = true
	if err := checker.Check(t.Context(), s); err != nil {
		t.Errorf("Check with Again = %v, want the damaged checkpoint not to matter", err)
	}
}

func closeAfter(tb testing.TB, c io.Closer) {
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
}

// Experiments with the same plugins are checked by the same processes, until one of
// them is lost.
func TestCheckStartsAPluginOnce(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the plugin is started by a shell script")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	starts := filepath.Join(folder, "starts")
	script := fmt.Sprintf("#!/bin/sh\necho >> '%s'\nexec '%s' plugin model/bigram\n", starts, self)
	testexec.Write(t, filepath.Join(folder, "bittern-model-bigram"), []byte(script))
	// Of the built-ins, without the model.
	external, err := host.NewCatalogue(testplugin.IDs[1:], folder)
	if err != nil {
		t.Fatal(err)
	}
	checker := &experiment.Checker{Catalogue: external, Runs: t.TempDir()}
	closeAfter(t, checker)
	check := func(label string, seed uint64, want int, options plugins.Values) {
		t.Helper()
		s := spec(t)
		s.Model, s.Seed = plugin(t, plugins.KindModel, "bigram", options), seed
		if err := checker.Check(t.Context(), s); err != nil {
			t.Errorf("%s: %v", label, err)
		}
		if content, err := os.ReadFile(starts); err != nil || len(content) != want {
			t.Errorf("%s: the model was started %d times, %v, want %d", label, len(content), err, want)
		}
	}
	check("the first", 1, 1, nil)
	check("another seed", 2, 1, nil)
	check("other options", 1, 1, plugins.Values{"pause": "1"})
	check("a fault", 1, 1, plugins.Values{"fault": "shape"})
	check("after a fault", 1, 2, plugins.Values{"pause": "2"})
}

func wantProblem(tb testing.TB, err error, part string) {
	tb.Helper()
	problem, ok := errors.AsType[*plugins.Problem](err)
	if !ok || !strings.Contains(problem.Sentence, part) {
		tb.Errorf("error = %v, want a *plugins.Problem with %q", err, part)
	}
}

// What is damaged is told as what it is, and Again makes it the same as before.
func TestDamageIsToldAndMendedByAgain(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	w.run(t, s)
	want := w.numbers(t, s)
	folder := w.store.ExperimentDir(want.Experiment.ID)
	outside := t.TempDir()
	for _, c := range []struct {
		name, want string
		damage     func() error
	}{
		{"a bit of the artifact", "the deployed network in", func() error {
			path := filepath.Join(folder, "deployed", "deployed.safetensors")
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content[len(content)-3] ^= 4
			return os.WriteFile(path, content, 0o600)
		}},
		{"the row", "in the run store is damaged", func() error {
			return w.execute(t, `UPDATE experiments SET paper_style = 1.5`)
		}},
		{"a link for the folder of the best network", "is a symbolic link", func() error {
			best := filepath.Join(folder, "best")
			return errors.Join(os.RemoveAll(best), os.Symlink(outside, best))
		}},
	} {
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		other := *s // makes a finished experiment look at its artifact
		other.Backends = append([]experiment.Plugin{plugin(t, plugins.KindBackend, "oracle", nil)}, s.Backends...)
		other.Backends[0].Label = "once more"
		w.runner.Again = false
		_, err := w.runner.Run(context.Background(), &other, ignore)
		wantProblem(t, err, c.want)
		w.runner.Again = true
		w.run(t, s)
		same(t, want, w.numbers(t, s))
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v outside of the folder, want nothing", entries, err)
	}
}

// execute changes the database behind the store's back.
func (w *workplace) execute(tb testing.TB, statement string) error {
	tb.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.runs, store.FileName))
	if err != nil {
		return err
	}
	_, err = db.Exec(statement)
	return errors.Join(err, db.Close())
}

// A best network that is sound, but of another step than the position names, is refused.
func TestABestNetworkOfAnotherStepIsRefused(t *testing.T) {
	t.Parallel()
	w, s := newWorkplace(t, t.TempDir()), spec(t)
	row, err := s.Row()
	if err != nil {
		t.Fatal(err)
	}
	folder := w.store.ExperimentDir(row.ID)
	// After the first validation the best network is kept; when testing begins it is
	// put back in place of the best of all.
	kept := filepath.Join(t.TempDir(), "best")
	_, err = w.runner.Run(context.Background(), s, func(p experiment.Progress) {
		switch {
		case p.Stage == experiment.Training && p.Step == 6:
			for _, err := os.Stat(filepath.Join(folder, "best", "checkpoint.json")); err != nil; _, err = os.Stat(filepath.Join(folder, "best", "checkpoint.json")) {
				time.Sleep(time.Millisecond) // it is saved in the background
			}
			if err := os.CopyFS(kept, os.DirFS(filepath.Join(folder, "best"))); err != nil {
				t.Error(err)
			}
		case p.Stage == experiment.Testing:
			if err := errors.Join(os.RemoveAll(filepath.Join(folder, "best")), os.CopyFS(filepath.Join(folder, "best"), os.DirFS(kept))); err != nil {
				t.Error(err)
			}
		}
	})
	wantProblem(t, err, "is that of step 5, and training names that of step")
	if got := w.row(t, s); got.Status == store.Done || got.PaperStyle != nil {
		t.Errorf("the row is %+v, want no result", got)
	}
	w.runner.Again = true
	w.run(t, s)
}

// What a plugin prints is kept in the log of its experiment, of which messages show the last
// lines. To stdout it prints past what the SDK makes of it, as other languages do.
func TestOutputOfPluginsReachesTheLog(t *testing.T) {
	t.Parallel()
	for kind, times := range map[string]int{"exit": 3, "hang": 1} { // it is started again twice
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, s := newWorkplace(t, t.TempDir()), spec(t)
			options := plugins.Values{"fault": kind, "at": "4"}
			if kind == "hang" {
				options["marker"] = filepath.Join(t.TempDir(), "once")
				w.runner.Deadline = 5 * time.Second
			}
			s.Quantizer = plugin(t, plugins.KindQuantizer, "coin", options)
			var told lineList
			w.runner.Verbose, w.runner.Log = true, told.add
			if _, err := w.runner.Run(context.Background(), s, ignore); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(w.store.ExperimentDir(w.row(t, s).ID), "log"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), "== coin 1.0.0\n") {
				t.Errorf("the log is %q, want the plugin's name first", text)
			}
			for _, line := range []string{"the test plugin fails in step 4: " + kind, "it says so to stdout too"} {
				if got := strings.Count("\n"+string(text), "\n"+line+"\n"); got != times {
					t.Errorf("the log has %q %d times, want %d: %q", line, got, times, text)
				}
				if got := told.count("quantizer/coin (" + s.String() + "): " + line); got != times {
					t.Errorf("%q was told %d times, want %d of %q", line, got, times, told.lines)
				}
			}
		})
	}
}

// lineList keeps lines that come from several goroutines.
type lineList struct {
	mu    sync.Mutex
	lines []string
}

func (l *lineList) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *lineList) count(line string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.lines {
		if one == line {
			n++
		}
	}
	return n
}
