package experiment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/plugins"
)

// doomedVariable names the folder of runs of a harness that is to be killed.
const doomedVariable = "BITTERN_TEST_DOOMED_RUNS"

// doomed is the harness that is to be killed: the test binary, started again.
func doomed() {
	ctx := context.Background()
	s, err := store.Open(ctx, os.Getenv(doomedVariable))
	if err == nil {
		var text *experiment.Spec
		if text, err = doomedSpec(); err == nil {
			runner := &experiment.Runner{
				Catalogue: catalogue, Storage: storage.InFolder(s), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
			}
			_, err = runner.Run(ctx, text, ignore)
		}
	}
	fmt.Fprintln(os.Stderr, "the doomed harness lived on:", err)
	os.Exit(1)
}

// doomedSpec is the test's experiment, of sequences that go on from batch to batch, with
// steps that leave time to be killed in.
func doomedSpec() (*experiment.Spec, error) {
	var tb recorder
	s := carriedSpec(&tb)
	s.Model = plugin(&tb, plugins.KindModel, "bigram", plugins.Values{"pause": "15"})
	return s, tb.err
}

// recorder stands in for a test where there is none.
type recorder struct {
	testing.TB
	err error
}

func (*recorder) Helper()             {}
func (r *recorder) Fatal(args ...any) { r.err = fmt.Errorf("%s", fmt.Sprint(args...)) }

func TestAKilledHarnessGoesOnToTheSameBytes(t *testing.T) {
	t.Parallel()
	s, err := doomedSpec()
	if err != nil {
		t.Fatal(err)
	}
	undisturbed := newWorkplace(t, t.TempDir())
	undisturbed.run(t, s)

	runs := t.TempDir()
	row, err := s.Row()
	if err != nil {
		t.Fatal(err)
	}
	steps := filepath.Join(runs, row.ID, "steps.jsonl")
	// Killed twice: before the first checkpoint (step 4), and between later ones.
	for _, after := range []int{2, 14} {
		killAfter(t, runs, steps, after)
	}
	// What a kill within the writing of a file leaves, or of a first checkpoint.
	for _, name := range []string{"deployed/.deployed.safetensors17", "best/.checkpoint.json4", "last/.tensors-0123.safetensors9"} {
		path := filepath.Join(runs, row.ID, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorkplace(t, runs)
	if got := w.row(t, s).Status; got != store.Running {
		t.Errorf("the killed experiment is %s, want running: it had no time to say otherwise", got)
	}
	w.run(t, s)
	same(t, undisturbed.numbers(t, s), w.numbers(t, s))

	// The sittings that contributed follow each other without a gap.
	list, step := w.sittings(t, s), uint64(0)
	for i, sitting := range list {
		if sitting.From != step || sitting.Commit != "test" || sitting.Threads != 1 || sitting.Started.IsZero() {
			t.Errorf("sitting %d is %+v, want it to go on from step %d", i, sitting, step)
		}
		step = sitting.To
	}
	if len(list) < 2 || step != 28 || list[1].Ended.Before(list[1].Started) {
		t.Errorf("sittings %+v, want at least two, up to step 28", list)
	}
}

// Two harnesses that run the same experiment at the same time leave what one leaves: the
// second waits for the first, here until that is killed, and goes on from where it was.
func TestTwoHarnessesOnOneFolder(t *testing.T) {
	t.Parallel()
	s, err := doomedSpec()
	if err != nil {
		t.Fatal(err)
	}
	undisturbed := newWorkplace(t, t.TempDir())
	undisturbed.run(t, s)

	runs := t.TempDir()
	row, err := s.Row()
	if err != nil {
		t.Fatal(err)
	}
	w, held := newWorkplace(t, runs), false
	whileRunning(t, runs, filepath.Join(runs, row.ID, "steps.jsonl"), 6, func(pid int) {
		trained := false
		_, err := w.runner.Run(context.Background(), s, func(experiment.Progress) { trained = true })
		var h *store.Held
		if held = errors.As(err, &h); !held || h.Holder.PID != pid || trained {
			t.Errorf("Run = %v, trained %v, want the experiment held by process %d", err, trained, pid)
		}
		checker := &experiment.Checker{Catalogue: catalogue, Runs: runs}
		closeAfter(t, checker)
		if err := checker.Check(t.Context(), s); err != nil {
			t.Errorf("Check = %v, want it to leave another's checkpoint alone", err)
		}
	})
	if !held {
		t.Fatal("the two did not meet")
	}
	w.run(t, s) // the kill has released the lock
	same(t, undisturbed.numbers(t, s), w.numbers(t, s))
}

// killAfter runs a harness and kills it, as kill -9 does, once it has recorded
// a number of steps.
func killAfter(t *testing.T, runs, steps string, lines int) {
	t.Helper()
	whileRunning(t, runs, steps, lines, func(int) {})
}

// whileRunning does something beside a harness that has recorded a number of steps,
// and then kills it.
func whileRunning(t *testing.T, runs, steps string, lines int, do func(pid int)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	command := exec.Command(self)
	command.Env = append(os.Environ(), doomedVariable+"="+runs)
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case err := <-ended:
			t.Fatalf("the harness ended (%v) before step %d: %s", err, lines, stderr.String())
		case <-time.After(2 * time.Millisecond):
		}
		content, err := os.ReadFile(steps)
		if err == nil && bytes.Count(content, []byte("\n")) >= lines {
			break
		}
	}
	do(command.Process.Pid)
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func decode(t testing.TB, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}
