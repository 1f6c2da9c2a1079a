package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sampleLine() Line {
	line := newLine("TrainingStep/x", Sample{"bittern", []float64{0.3, 0.1, 0.2}})
	line.hold(floor, Sample{"bittern", []float64{0.16, 0.14}}, "", Goal{Within: 1.35})
	line.hold(torchLSTM, Sample{"PyTorch 9", []float64{0.9}}, "", Goal{Faster: 4})
	line.hold(torchCell, Sample{}, "not installed: no torch", Goal{Faster: 5})
	line.hold(onnxFloat, Sample{"ONNX 9", []float64{0.5}}, "")
	return line
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seconds []float64
		want    float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 2, 8}, 3}} {
		if got := (Sample{Seconds: c.seconds}).Median(); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.seconds, got, c.want)
		}
	}
}

func TestGoalsAreJudgedByMedians(t *testing.T) {
	t.Parallel()
	line := sampleLine()
	want := []struct {
		outcome Outcome
		ratio   float64
	}{{Reached, 0.2 / 0.15}, {Reached, 4.5}, {NotMeasured, 0}}
	for i, goal := range line.Goals {
		outcome, ratio := line.Judge(goal)
		if outcome != want[i].outcome || ratio < want[i].ratio-1e-9 || ratio > want[i].ratio+1e-9 {
			t.Errorf("%s: got %s %v, want %s %v", goal, outcome, ratio, want[i].outcome, want[i].ratio)
		}
	}
	if misses := (&Result{Lines: []Line{line}}).Misses(); len(misses) != 0 {
		t.Errorf("nothing was missed, got %q", misses)
	}
	line.Goals[1].Faster = 5
	over := Memory{Name: "PeakMemory/x", Bytes: 3e9, Goal: 1e9}
	misses := (&Result{Lines: []Line{line}, Memory: []Memory{over}}).Misses()
	if len(misses) != 2 || misses[1] != "PeakMemory/x: 3000 MB, must be ≤ 1000 MB" || !strings.Contains(misses[0], "TrainingStep/x: 4.50, must be ≥ 5 × faster than PyTorch") {
		t.Errorf("one goal was missed, got %q", misses)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	r := &Result{CPU: "a CPU", Lines: []Line{sampleLine()}, Memory: []Memory{{Name: "PeakMemory/x", Bytes: 5e8, Goal: 1e9}}}
	var asTable, asBenchmark, asJSON strings.Builder
	if err := r.WriteTable(&asTable); err != nil {
		t.Fatal(err)
	}
	if got := asTable.String(); strings.Count(got, "\n") != 7 || !strings.Contains(got, "n/a: not installed: no torch") ||
		!regexp.MustCompile(`ONNX 9 .*\b2\.50 \| none`).MatchString(got) {
		t.Errorf("the table has not one row a goal with its reason, and one without a goal:\n%s", got)
	}
	if err := r.WriteBenchmark(&asBenchmark); err != nil {
		t.Fatal(err)
	}
	if got := asBenchmark.String(); strings.Count(got, "\nBenchmarkTrainingStep/x/by=") != 7 ||
		!strings.Contains(got, "BenchmarkTrainingStep/x/by=ours 1 300000000 ns/op\n") {
		t.Errorf("benchmark format:\n%s", got)
	}
	if err := r.WriteJSON(&asJSON); err != nil {
		t.Fatal(err)
	}
	var back struct{ Lines []jsonLine }
	if err := json.Unmarshal([]byte(asJSON.String()), &back); err != nil {
		t.Fatal(err)
	}
	ours := back.Lines[0].Ours
	if ours.N != 3 || ours.MedianSeconds != 0.2 || ours.MinSeconds != 0.1 || ours.MaxSeconds != 0.3 {
		t.Errorf("JSON: got %+v", ours)
	}
	if goal := back.Lines[0].Goals[2]; goal.Ratio != nil || goal.Outcome != NotMeasured {
		t.Errorf("JSON: an unmeasured goal must have no ratio, got %+v", goal)
	}
	if diff := cmp.Diff(r.Lines[0], back.Lines[0].line()); diff != "" {
		t.Errorf("a line read back from JSON differs (-want +got):\n%s", diff)
	}
}

func TestProductsAreTimed(t *testing.T) {
	t.Parallel()
	b := &Bench{Threads: 2, Runs: 2, Peers: FindPeers(context.Background(), t.TempDir()), Progress: func(string) {}}
	products := []product{
		{m: 5, k: 7, n: 33, transB: true, count: 3, reused: true},
		{m: 5, k: 7, n: 33, count: 3, reused: true},
		{m: 9, k: 3, n: 4, transA: true, count: 1},
	}
	ours, _, reason, err := b.timeProducts(context.Background(), products, b.Runs)
	if err != nil {
		t.Fatal(err)
	}
	if ours.N() != 2 || ours.Min() <= 0 {
		t.Errorf("got %+v, want two times", ours)
	}
	if !strings.HasPrefix(reason, "not installed: no peer scripts in ") {
		t.Errorf("a folder without scripts: got the reason %q", reason)
	}
}

// TestPeerFailureIsAnError checks that a peer that fails is an error. As a missing peer, it
// would be hidden.
func TestPeerFailureIsAnError(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	script := "import sys; sys.exit('broken on purpose')"
	if err := os.WriteFile(filepath.Join(folder, "pytorch.py"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	p := FindPeers(context.Background(), folder)
	if p.pythonMiss != "" {
		t.Skipf("skipped: %s", p.pythonMiss)
	}
	if _, _, err := p.torch(context.Background(), "products"); err == nil || !strings.Contains(err.Error(), "broken on purpose") {
		t.Errorf("got %v, want the script's last line", err)
	}
}
