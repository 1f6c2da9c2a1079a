//go:build linux

package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bittern/harness/checkpoint"
	"bittern/harness/provenance"
	"bittern/harness/store"
)

// ranSuite makes a folder of runs as after a suite of one experiment, with timings wherever a
// run has some.
func ranSuite(t *testing.T, seconds float64, metric float64) string {
	t.Helper()
	folder := t.TempDir()
	s, err := store.Open(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ended := noon.Add(time.Duration(seconds) * time.Second)
	machine := provenance.Machine{Commit: "c", Overhead: &provenance.Overhead{Seconds: seconds, N: 3}}
	sittings := provenance.Experiment{Data: "c", Sittings: make([]provenance.Sitting, int(seconds))}
	if err := s.PutExperiment(t.Context(), store.Experiment{
		ID: "e", Config: []byte(`{"seed":1}`), Status: store.Done, PaperStyle: &metric, TrainSeconds: seconds,
		StartedAt: noon, FinishedAt: ended, Provenance: text(t, sittings),
	}); err != nil {
		t.Fatal(err)
	}
	for _, backend := range []string{"cpu", "asic"} {
		simulated := 0.5
		cost := &store.Cost{Seconds: &simulated, Energy: []store.Part{{Name: "weights", Value: metric}}}
		if backend == "cpu" {
			cost = &store.Cost{Seconds: &seconds}
		}
		made := provenance.Deployment{Machine: machine, Backend: backend, Started: noon, Ended: ended}
		if err := s.PutDeployment(t.Context(), store.Deployment{
			Experiment: "e", Backend: backend, Status: store.Done, Metric: &metric, Cost: cost, Provenance: text(t, made),
		}); err != nil {
			t.Fatal(err)
		}
	}
	steps, err := store.OpenSteps(filepath.Join(folder, "e"), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		if err := steps.Append(store.Step{Step: i, Loss: metric, Seconds: seconds}); err != nil {
			t.Fatal(err)
		}
	}
	if err := steps.AppendValidation(store.Validation{Step: 3, Deployable: metric, PaperStyle: new(4.0)}); err != nil {
		t.Fatal(err)
	}
	if err := steps.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Save(filepath.Join(folder, "e", "best"), checkpoint.Manifest{
		Experiment: "e", Step: 3, BestValidation: &metric, State: text(t, map[string]float64{"seconds": seconds}),
	}, nil, nil); err != nil {
		t.Fatal(err)
	}
	lock, err := s.Lock(t.Context(), "e")
	if err == nil {
		err = lock.Release()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "e", "deployed.safetensors"), "weights")
	return folder
}

func text(t *testing.T, value any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tracesOf(t *testing.T, folder string) traces {
	t.Helper()
	found := traces{paths: make(map[string]bool), values: make(map[string]string)}
	if err := found.addRuns(folder); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCompareSeesEveryStoredNumberAndFile(t *testing.T) {
	t.Parallel()
	undisturbed := tracesOf(t, ranSuite(t, 1, 2))
	for name, test := range map[string]struct {
		metric  float64
		disturb func(t *testing.T, folder string)
		want    []string // how each difference or leftover begins
	}{
		"the clock alone": {2, func(*testing.T, string) {}, nil},
		"another number": {3, func(*testing.T, string) {}, []string{
			"bittern.db/deployments/e,asic/cost/energy/0/value is 3, undisturbed 2",
			"bittern.db/deployments/e,asic/metric is 3, undisturbed 2",
			"bittern.db/deployments/e,cpu/metric is 3, undisturbed 2",
			"bittern.db/experiments/e/paper_style is 3, undisturbed 2",
			"e/best/checkpoint.json/best_validation is 3, undisturbed 2",
			"e/steps.jsonl/0/loss is 3, undisturbed 2",
			"e/steps.jsonl/1/loss is 3, undisturbed 2",
			"e/steps.jsonl/2/loss is 3, undisturbed 2",
			"e/validations.jsonl/0/deployable is 3, undisturbed 2",
		}},
		"a damaged line": {2, func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "e", "seconds.jsonl"), "{\"step\":0,\"seconds\":1}\n{\"step\":1,\"sec{\"step\":1,\"seconds\":1}\n{\"step\":2,\"seconds\":1}\n")
		}, []string{
			"e/seconds.jsonl/1 is ", "e/seconds.jsonl/1/step is missing",
		}},
		"a line too few": {2, func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "e", "seconds.jsonl"), "{\"step\":0,\"seconds\":1}\n{\"step\":1,\"seconds\":1}\n")
		}, []string{
			"e/seconds.jsonl is 2 lines, undisturbed 3 lines", "e/seconds.jsonl/2 is missing",
		}},
		"a line too many": {2, func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "e", "seconds.jsonl"), strings.Repeat("{\"step\":0}\n", 4))
		}, []string{
			"e/seconds.jsonl is 4 lines, undisturbed 3 lines",
			"e/seconds.jsonl/1/step is 0, undisturbed 1", "e/seconds.jsonl/2/step is 0, undisturbed 2",
			"e/seconds.jsonl/3 is an object, undisturbed absent", "e/seconds.jsonl/3/step is 0, undisturbed absent",
		}},
		"other weights": {2, func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "e", "deployed.safetensors"), "Weights")
		}, []string{"e/deployed.safetensors is 7 bytes"}},
		"a missing file": {2, func(t *testing.T, folder string) {
			if err := os.Remove(filepath.Join(folder, "e", "deployed.safetensors")); err != nil {
				t.Fatal(err)
			}
		}, []string{"e/deployed.safetensors is missing"}},
		"a lock that names its holder": {2, func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "e", "lock"), "{}\n")
		}, []string{"e/lock is 3 bytes"}},
		"a leftover": {2, func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "e", ".deployed.safetensors123"), "wei")
		}, []string{"e/.deployed.safetensors123 is left"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := ranSuite(t, 7, test.metric)
			test.disturb(t, folder)
			differences, leftovers := undisturbed.compare(tracesOf(t, folder))
			got := append(differences, leftovers...)
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("got\n%s\nwant what begins with\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	const stack = "panic: oh\n\ngoroutine 1 [running]:\n"
	for name, test := range map[string]struct {
		ending
		wrong bool
	}{
		"done":                    {ending{code: 0}, false},
		"killed":                  {ending{code: -1, killed: true}, false},
		"killed by nobody":        {ending{code: -1}, true},
		"failed for nothing":      {ending{code: 1}, true},
		"failed by its plugin":    {ending{code: 1, pluginKilled: true}, false},
		"refused by its plugin":   {ending{code: 2, pluginKilled: true}, false},
		"crashed over its plugin": {ending{code: 2, pluginKilled: true, stderr: []byte(stack)}, true},
		"sees damage":             {ending{code: 2, stderr: []byte("the checkpoint is damaged\n")}, true},
		"refused over another":    {ending{code: 2, stderr: []byte("another run holds it\n")}, true},
	} {
		if got := test.fault(); (got != "") != test.wrong {
			t.Errorf("%s: fault %q, want one: %v", name, got, test.wrong)
		}
	}
}

// grandchild starts a shell that starts a cat. Both live until the returned pipe is closed.
func grandchild(t *testing.T) (*exec.Cmd, io.Closer) {
	t.Helper()
	command := exec.Command("sh", "-c", "cat; exit 3")
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// The echo shows that cat is running.
	if _, err := stdin.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return command, stdin
}

func TestKillFindsDescendantsAndNobodyElse(t *testing.T) {
	t.Parallel()
	command, stdin := grandchild(t)
	defer stdin.Close()
	found, err := descendants(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].name != "cat" || found[0].parent != command.Process.Pid {
		t.Fatalf("descendants of %d: %+v, want the one cat", command.Process.Pid, found)
	}
	if killed, err := kill(found[0].pid); !killed || err != nil {
		t.Fatalf("the kill says %v, %v", killed, err)
	}
	// The shell waits for the cat and outlives it.
	if err := command.Wait(); command.ProcessState.ExitCode() != 3 {
		t.Errorf("the shell ended with %v, want exit status 3 after its child was killed", err)
	}
	if killed, err := kill(os.Getppid()); killed || err != nil {
		t.Errorf("a process that is no descendant: killed %v, %v", killed, err)
	}
	if err := syscall.Kill(os.Getppid(), 0); err != nil {
		t.Errorf("the parent: %v", err)
	}
}

func TestWorkingIsWhoHoldsALock(t *testing.T) {
	t.Parallel()
	p := &place{folder: t.TempDir()}
	s, err := store.Open(t.Context(), p.runs())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(want bool) {
		t.Helper()
		for pid, want := range map[int]bool{os.Getpid(): want, os.Getppid(): false} {
			if got, err := p.working(pid); got != want || err != nil {
				t.Errorf("process %d is at work: %v, %v, want %v", pid, got, err, want)
			}
		}
	}
	check(false)
	lock, err := s.Lock(t.Context(), "e")
	if err != nil {
		t.Fatal(err)
	}
	check(true)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	check(false)
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat([]byte("12 (a ) R (b) Z 7 12 12 0\n"))
	if want := (process{pid: 12, parent: 7, name: "a ) R (b", zombie: true}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "12", "12 (a", "12 (a) S", "x (a) S 1"} {
		if got, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestComplaintsAreFewForEachFile(t *testing.T) {
	t.Parallel()
	r := tally{exits: []string{"a run exited with 1"}, leftovers: []string{"TMPDIR/x is left"}, differences: []string{
		"e/steps.jsonl/0/loss is 3", "e/steps.jsonl/1/loss is 3", "e/steps.jsonl/2/loss is 3", "e/steps.jsonl/3/loss is 3", "e/steps.jsonl/4/loss is 3",
		"f/best is missing",
	}}
	want := []string{
		"a run exited with 1",
		"e/steps.jsonl/0/loss is 3", "e/steps.jsonl/1/loss is 3", "e/steps.jsonl/2/loss is 3", "f/best is missing",
		"and 2 more differences in e/steps.jsonl",
		"TMPDIR/x is left",
	}
	if got := r.complaints(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReportEndsWithTheSummary(t *testing.T) {
	t.Parallel()
	total := tally{harnesses: 600, plugins: 400}
	text := markdown(provenance.Machine{}, settings{}, []string{"round 1"}, total)
	if want := "\n1000 kills, 0 differences, 0 leftovers\n"; !strings.HasSuffix(text, want) {
		t.Errorf("got %q, want the end %q", text, want)
	}
	total.add(tally{exits: []string{"a run exited with 1"}})
	if total.clean() || !strings.HasSuffix(total.summary(), ", 1 wrong exits") {
		t.Errorf("a wrong exit: clean %v, summary %q", total.clean(), total.summary())
	}
}
