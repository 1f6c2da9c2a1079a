package live

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/reports"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows are experiments of a suite "s" in a store, one for each quantizer.
func rows(t *testing.T, quantizers ...string) (*store.Store, []store.Experiment) {
	t.Helper()
	runs, err := store.Open(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() {
		if err := runs.Close(); err != nil {
			t.Error(err)
		}
	})
	made, err := json.Marshal(provenance.Experiment{PlannedSteps: 100, SymbolsPerStep: 640})
	must(t, err)
	var list []store.Experiment
	for _, name := range quantizers {
		config, err := json.Marshal(name)
		must(t, err)
		id, canonical, err := store.ID(config)
		must(t, err)
		list = append(list, store.Experiment{
			ID: id, Config: canonical, Task: "text", Model: "lstm", Quantizer: name, Seed: 1,
			Metric: "BPC", Provenance: made, Status: store.Pending,
		})
	}
	must(t, runs.PutSuite(t.Context(), "s", list, []string{"chip", "cpu"}))
	return runs, list
}

// train appends steps whose loss is their number.
func train(t *testing.T, runs *store.Store, id string, from, to int, seconds float64) {
	t.Helper()
	steps, err := store.OpenSteps(runs.ExperimentDir(id), uint64(from))
	must(t, err)
	for i := from; i < to; i++ {
		must(t, steps.Append(store.Step{Step: uint64(i), Loss: float64(i), Seconds: seconds}))
	}
	must(t, steps.Close())
}

func lock(t *testing.T, runs *store.Store, id string) *store.Lock {
	t.Helper()
	l, err := runs.Lock(t.Context(), id)
	must(t, err)
	return l
}

func TestPhases(t *testing.T) {
	t.Parallel()
	runs, list := rows(t, "queued", "starting", "training", "killed", "interrupted", "failed", "deploying", "undeployed", "done", "testing")
	put := func(i int, change func(*store.Experiment)) {
		t.Helper()
		change(&list[i])
		must(t, runs.PutExperiment(t.Context(), list[i]))
	}
	best := 1.75
	held := []*store.Lock{lock(t, runs, list[1].ID), lock(t, runs, list[2].ID), lock(t, runs, list[6].ID)}
	put(2, func(e *store.Experiment) {
		var made provenance.Experiment
		must(t, json.Unmarshal(e.Provenance, &made))
		for _, host := range []string{"lab-1", "lab-2", "lab-1"} {
			made.Sittings = append(made.Sittings, provenance.Sitting{Host: host})
		}
		var err error
		e.Provenance, err = json.Marshal(made)
		must(t, err)
		e.Status, e.StartedAt, e.BestValidation, e.Steps = store.Running, time.Now(), &best, 20
	})
	train(t, runs, list[2].ID, 0, 40, 0.5)
	held = append(held, lock(t, runs, list[9].ID))
	put(9, func(e *store.Experiment) { e.Status, e.StartedAt = store.Running, time.Now() })
	train(t, runs, list[9].ID, 0, 100, 0.5)
	put(3, func(e *store.Experiment) { e.Status, e.StartedAt = store.Running, time.Now() })
	ended := exec.Command(os.Args[0], "-test.run=^$")
	must(t, ended.Run())
	host, err := os.Hostname()
	must(t, err)
	left, err := json.Marshal(store.Holder{PID: ended.Process.Pid, Host: host, Since: time.Now()})
	must(t, err)
	must(t, os.MkdirAll(runs.ExperimentDir(list[3].ID), 0o700))
	must(t, os.WriteFile(filepath.Join(runs.ExperimentDir(list[3].ID), "lock"), left, 0o600))
	put(4, func(e *store.Experiment) { e.StartedAt, e.Steps = time.Now(), 50 })
	put(5, func(e *store.Experiment) { e.Status, e.Reason = store.Failed, "the plugin crashed" })
	for _, i := range []int{6, 7, 8} {
		put(i, func(e *store.Experiment) { e.Status, e.Steps, e.TrainSeconds = store.Done, 100, 80 })
		must(t, runs.PutDeployment(t.Context(), store.Deployment{Experiment: list[i].ID, Backend: "chip", Status: store.Failed, Reason: "no room"}))
	}
	must(t, runs.PutDeployment(t.Context(), store.Deployment{Experiment: list[8].ID, Backend: "cpu", Status: store.Done}))
	must(t, runs.PutDeployment(t.Context(), store.Deployment{Experiment: list[8].ID, Backend: "other", Status: store.Failed, Reason: "of another suite"}))

	suite, err := NewFollower(runs).Read(t.Context(), "s", nil)
	must(t, err)
	got := make(map[string]Phase)
	for _, e := range suite.Experiments {
		got[e.Quantizer] = e.Phase
	}
	want := map[string]Phase{
		"queued": Queued, "starting": Starting, "training": Training, "killed": Stopped, "interrupted": Stopped,
		"failed": Failed, "deploying": Deploying, "undeployed": Queued, "done": Done, "testing": Testing,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	e := suite.Experiments[2]
	if e.Step != 40 || e.Steps != 100 || *e.Loss != 39 || *e.Best != best || e.SymbolsPerSecond() != 1280 || e.Remaining != 30*time.Second || e.Share() != 0.4 {
		t.Errorf("the one that trains: %+v, speed %v, share %v; want step 40 of 100, loss 39, 1280 symbols/s, 30 s left", e, e.SymbolsPerSecond(), e.Share())
	}
	if diff := cmp.Diff([]string{"lab-1", "lab-2"}, e.Hosts); diff != "" {
		t.Errorf("where it was trained (-want +got):\n%s", diff)
	}
	if e := suite.Experiments[5]; e.Reason != "the plugin crashed" {
		t.Errorf("reason of the failure %q", e.Reason)
	}
	if e := suite.Experiments[3]; !strings.Contains(e.Reason, "run the suite again") {
		t.Errorf("reason of the stop %q", e.Reason)
	}
	if e := suite.Experiments[8]; e.Deployed != 2 || e.Backends != 2 || len(e.Failures) != 1 || e.Failures[0].Reason != "no room" || e.Share() != 1 {
		t.Errorf("the finished one: %+v", e)
	}
	// Four wait (the starting one too) for the mean of 80, 80, 80, 50 and 50 s, and one
	// has 30 s left, shared by the three that are under way.
	if want := (4*68 + 30) * time.Second / 3; (suite.Remaining - want).Abs() > time.Millisecond {
		t.Errorf("remaining %v, want %v", suite.Remaining, want)
	}
	if n := suite.Count(Queued, Stopped); n != 4 {
		t.Errorf("%d wait, want 4", n)
	}
	only, err := NewFollower(runs).Read(t.Context(), "s", []reports.Entry{{Task: "text", Model: "lstm", Quantizer: "failed"}})
	if err != nil || len(only.Experiments) != 1 || only.Experiments[0].Phase != Failed {
		t.Errorf("of one entry: %+v, %v; want the failed experiment alone", only, err)
	}
	for _, l := range held {
		must(t, l.Release())
	}
}

// An experiment whose steps have stopped is told of, without a guess at what is left.
func TestSilence(t *testing.T) {
	t.Parallel()
	runs, list := rows(t, "one")
	held := lock(t, runs, list[0].ID)
	list[0].Status, list[0].StartedAt = store.Running, time.Now()
	must(t, runs.PutExperiment(t.Context(), list[0]))
	// Of long steps, so that it does not matter how long this test takes: 20 take 167 minutes.
	train(t, runs, list[0].ID, 0, 10, 500)
	follower := NewFollower(runs)
	for _, test := range []struct {
		ago    time.Duration
		silent bool
	}{{0, false}, {160 * time.Minute, false}, {180 * time.Minute, true}} {
		at := time.Now().Add(-test.ago)
		must(t, os.Chtimes(filepath.Join(runs.ExperimentDir(list[0].ID), "steps.jsonl"), at, at))
		s, err := follower.Read(t.Context(), "s", nil)
		must(t, err)
		e := s.Experiments[0]
		if told := strings.Contains(e.Reason, "no training step since "+at.Format(time.DateTime)); told != test.silent || (e.Remaining == 0) != test.silent {
			t.Errorf("%s after its last step: reason %q, %s left; want silent %v", test.ago, e.Reason, e.Remaining, test.silent)
		}
	}
	must(t, held.Release())
}

// A follower sees what was added since, and that training went back to a checkpoint.
func TestFollowerGoesOn(t *testing.T) {
	t.Parallel()
	runs, list := rows(t, "one")
	follower := NewFollower(runs)
	read := func(want int, wantLoss float64) {
		t.Helper()
		s, err := follower.Read(t.Context(), "s", nil)
		must(t, err)
		e := s.Experiments[0]
		if len(e.Losses) != want || want > 0 && *e.Loss != wantLoss {
			t.Errorf("%d points, last loss %v; want %d and %v", len(e.Losses), e.Loss, want, wantLoss)
		}
	}
	read(0, 0)
	train(t, runs, list[0].ID, 0, 10, 0.5)
	read(10, 9)
	train(t, runs, list[0].ID, 10, 12, 0.5)
	read(12, 11)
	train(t, runs, list[0].ID, 3, 5, 0.5)
	read(5, 4)
	if s, err := follower.Read(t.Context(), "unknown", nil); err != nil || len(s.Experiments) != 0 {
		t.Errorf("an unknown suite: %+v, %v; want none", s, err)
	}
}

// A long curve keeps its mean and its order, and stays short.
func TestCurveMerges(t *testing.T) {
	t.Parallel()
	const steps = 5000
	var c curve
	for i := range steps {
		c.add(store.Step{Step: uint64(i), Loss: float64(steps - i)})
	}
	points := c.points()
	if len(points) > mostPoints || len(points) < mostPoints/2 {
		t.Errorf("%d points, want between %d and %d", len(points), mostPoints/2, mostPoints)
	}
	for i, p := range points {
		var before uint64
		if i > 0 {
			before = points[i-1].Step
		}
		if p.Step <= before {
			t.Fatalf("point %d is of step %d, behind %d", i, p.Step, before)
		}
		// Steps are numbered from 0; these are before to p.Step−1.
		if want := steps - float64(before+p.Step-1)/2; math.Abs(p.Loss-want) > 1e-9 {
			t.Errorf("loss of the steps from %d to %d is %v, want %v", before, p.Step, p.Loss, want)
		}
	}
}
