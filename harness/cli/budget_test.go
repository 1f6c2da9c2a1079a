package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const budgetSuite = `name: budgeted
seeds: [1, 2]
threads: 1
tasks:
  - {data: grammar, bytes: 1500, batch: 7, length: 23}
models:
  - {plugin: bigram}
quantizers:
  - {plugin: coin}
backends: []
training: {learning_rate: 0.05, epochs: 1048576, validate_every: 100000000}
`

// TestBudget checks that a budget is turned into a number of steps once. A repeated run, and one
// that is given this number of steps, train the same network.
func TestBudget(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	suite := filepath.Join(folder, "budgeted.yaml")
	if err := os.WriteFile(suite, []byte(budgetSuite), 0o600); err != nil {
		t.Fatal(err)
	}
	type report struct {
		Networks []struct {
			Seeds, Steps []int
			Deployable   struct{ Mean float64 }
		}
	}
	do := func(runs string, args ...string) (r report, stderr string) {
		t.Helper()
		args = append([]string{"run", "--suite", suite, "--runs", filepath.Join(folder, runs), "--format", "json"}, args...)
		stdout, stderr, code := run(t, nil, args...)
		if code != 0 {
			t.Fatalf("%q exited with %d: %s", args, code, stderr)
		}
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Networks) != 1 || len(r.Networks[0].Seeds) != 2 || len(r.Networks[0].Steps) == 0 {
			t.Fatalf("%q made the networks %+v, want one of two seeds", args, r.Networks)
		}
		return r, stderr
	}
	first, stderr := do("runs", "--budget", "400ms")
	steps := first.Networks[0].Steps[0]
	said := fmt.Sprintf("400ms of training are %d steps", steps)
	if strings.Count(stderr, "400ms of training are") != 1 || !strings.Contains(stderr, said) || steps < 1 {
		t.Errorf("the first run says %q, want %q once", stderr, said)
	}
	again, stderr := do("runs", "--budget", "400ms")
	if fmt.Sprint(again) != fmt.Sprint(first) || strings.Contains(stderr, "400ms of training are") || !strings.Contains(stderr, "reusing") {
		t.Errorf("repeated: %+v, %q, want the first run's %+v without another calibration", again, stderr, first)
	}
	given, _ := do("elsewhere", "--steps", fmt.Sprint(steps))
	if fmt.Sprint(given) != fmt.Sprint(first) {
		t.Errorf("with the steps given: %+v, want %+v", given, first)
	}

	// A budget that is larger than the suite needs changes nothing.
	whole, _ := do("whole", "--epochs", "1")
	same, stderr := do("whole", "--epochs", "1", "--budget", "1h")
	if fmt.Sprint(same) != fmt.Sprint(whole) || strings.Count(stderr, "reusing") != 2 {
		t.Errorf("with more than enough: %+v, %q, want %+v, reused", same, stderr, whole)
	}

	// In a plan, what is done takes no time, and the rest does.
	stdout, stderr, code := run(t, nil, "plan", "--suite", suite, "--runs", filepath.Join(folder, "runs"), "--budget", "400ms", "--format", "json")
	if code != 0 || !strings.Contains(stdout, `"done": 2`) || !strings.Contains(stdout, `"seconds": 0,`) || strings.Contains(stderr, "calibrating") {
		t.Errorf("the plan of what is done: exit code %d, %s, %s", code, stdout, stderr)
	}
	before, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code = run(t, nil, "plan", "--suite", suite, "--runs", filepath.Join(folder, "none"), "--steps", "30", "--format", "json")
	var plan struct {
		Experiments []struct {
			Seeds, Done, Steps int
			Epochs             float64
			Training           float64 `json:"training_seconds"`
			Disk               int64   `json:"disk_bytes"`
		}
		Seconds float64
	}
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil || code != 0 {
		t.Fatalf("the plan: exit code %d, %v, %s", code, err, stderr)
	}
	if len(plan.Experiments) != 1 {
		t.Fatalf("%d lines of the plan, want one", len(plan.Experiments))
	}
	if e := plan.Experiments[0]; e.Seeds != 2 || e.Done != 0 || e.Steps != 30 || e.Training <= 0 || e.Disk <= 0 || e.Epochs <= 0 || plan.Seconds < 2*e.Training {
		t.Errorf("the plan is %+v", plan)
	}
	if after, err := os.ReadDir(folder); err != nil || len(after) != len(before) {
		t.Errorf("a plan wrote to %v, before %v (%v)", after, before, err)
	}
}

// TestAPlanKeepsItsBudget checks that run trains the steps which plan says a budget has room
// for, with one calibration for both.
func TestAPlanKeepsItsBudget(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	suite := filepath.Join(folder, "budgeted.yaml")
	if err := os.WriteFile(suite, []byte(budgetSuite), 0o600); err != nil {
		t.Fatal(err)
	}
	planned := func() (steps int) {
		t.Helper()
		stdout, stderr, code := run(t, nil, "plan", "--suite", suite, "--runs", filepath.Join(folder, "runs"), "--budget", "400ms", "--format", "json")
		var plan struct{ Experiments []struct{ Steps int } }
		if err := json.Unmarshal([]byte(stdout), &plan); err != nil || code != 0 || len(plan.Experiments) != 1 {
			t.Fatalf("the plan: exit code %d, %v, %s, %s", code, err, stdout, stderr)
		}
		return plan.Experiments[0].Steps
	}
	steps := planned()
	if again := planned(); again != steps || steps < 1 {
		t.Errorf("the second plan has %d steps, the first %d", again, steps)
	}
	stdout, stderr, code := run(t, nil, "run", "--suite", suite, "--runs", filepath.Join(folder, "runs"), "--budget", "400ms", "--format", "json")
	var done struct{ Networks []struct{ Steps []int } }
	if err := json.Unmarshal([]byte(stdout), &done); err != nil || code != 0 || len(done.Networks) != 1 {
		t.Fatalf("the run: exit code %d, %v, %s", code, err, stderr)
	}
	if got := done.Networks[0].Steps; len(got) == 0 || got[0] != steps || strings.Contains(stderr, "of training are") {
		t.Errorf("run trained %v steps and said %q, want the plan's %d without another calibration", got, stderr, steps)
	}

	// A budget that is too short is reported in the line of its experiment.
	stdout, stderr, code = run(t, nil, "plan", "--suite", suite, "--runs", filepath.Join(folder, "short"), "--budget", "1ns")
	if code != 0 || !strings.Contains(stdout, "has no room for it; give a longer budget") {
		t.Errorf("a budget of 1 ns: exit code %d, %s, %s", code, stdout, stderr)
	}
}

// TestABudgetThatMakesExperimentsOne has experiments that differ only in their steps. If a
// budget limits both to fewer, they are the same experiment.
func TestABudgetThatMakesExperimentsOne(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	suite := filepath.Join(folder, "budgeted.yaml")
	first, rest, _ := strings.Cut(budgetSuite, "tasks:\n")
	entry, rest, _ := strings.Cut(rest, "\n")
	var entries string
	for _, steps := range []int{200_000_000, 100_000_000} {
		entries += strings.Replace(entry, "{", fmt.Sprintf("{label: to-%d, training: {steps: %d, epochs: 1048576}, ", steps, steps), 1) + "\n"
	}
	if err := os.WriteFile(suite, []byte(first+"tasks:\n"+entries+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := run(t, nil, "run", "--suite", suite, "--runs", filepath.Join(folder, "runs"), "--budget", "400ms")
	if code != 2 || !strings.Contains(stderr, "differ in their training steps alone, and --budget gives both the same") {
		t.Errorf("exit code %d, %q, want the two tasks named as one", code, stderr)
	}
}
