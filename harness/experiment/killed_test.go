package experiment_test

import (
	"bufio"
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
)

// doomedVariable names the folder of runs of a harness that is to be killed, and
// doomedStep the step of training in which it waits for that.
const (
	doomedVariable = "BITTERN_TEST_DOOMED_RUNS"
	doomedStep     = "BITTERN_TEST_DOOMED_STEP"
)

// doomed is the harness that is to be killed: the test binary, started again. It says so
// when it waits.
func doomed() {
	ctx := context.Background()
	s, err := store.Open(ctx, os.Getenv(doomedVariable))
	if err == nil {
		var text *experiment.Spec
		if text, err = doomedSpec(); err == nil {
			runner := &experiment.Runner{
				Catalogue: catalogue, Storage: storage.InFolder(s), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
			}
			_, err = runner.Run(ctx, text, func(p experiment.Progress) {
				if p.Stage == experiment.Training && fmt.Sprint(p.Step) == os.Getenv(doomedStep) {
					fmt.Println("waiting")
					select {}
				}
			})
		}
	}
	fmt.Fprintln(os.Stderr, "the doomed harness lived on:", err)
	os.Exit(1)
}

// doomedSpec is the test's experiment, of sequences that go on from batch to batch.
func doomedSpec() (*experiment.Spec, error) {
	var tb recorder
	s := carriedSpec(&tb)
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
	// Killed twice: before the first checkpoint (step 4), and between later ones.
	for _, step := range []int{3, 15} {
		killIn(t, runs, step, func(int) {})
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
	w := newWorkplace(t, runs)
	killIn(t, runs, 7, func(pid int) {
		trained := false
		_, err := w.runner.Run(context.Background(), s, func(experiment.Progress) { trained = true })
		var h *store.Held
		if !errors.As(err, &h) || h.Holder.PID != pid || trained {
			t.Errorf("Run = %v, trained %v, want the experiment held by process %d", err, trained, pid)
		}
		checker := &experiment.Checker{Catalogue: catalogue, Runs: runs}
		closeAfter(t, checker)
		if err := checker.Check(t.Context(), s); err != nil {
			t.Errorf("Check = %v, want it to leave another's checkpoint alone", err)
		}
	})
	w.run(t, s) // the kill has released the lock
	same(t, undisturbed.numbers(t, s), w.numbers(t, s))
}

// killIn runs a harness into a step of training, does something beside it, and kills it, as
// kill -9 does.
func killIn(t *testing.T, runs string, step int, do func(pid int)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	command := exec.Command(self)
	command.Env = append(os.Environ(), doomedVariable+"="+runs, doomedStep+"="+fmt.Sprint(step))
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		do(command.Process.Pid)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := command.Wait()
	if said != "waiting\n" {
		t.Fatalf("the harness ended (%v) before step %d, saying %q: %s", ended, step, said, stderr.String())
	}
}

func decode(t testing.TB, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}
