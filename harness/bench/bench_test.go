package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"bittern/accel/kernels/isa"
	"bittern/plugins"
)

// zen5 is a processor that has goals.
var zen5 = isa.Processor{Name: "a CPU", Vendor: "AuthenticAMD", Family: 26, Model: 2, Microarchitecture: "Zen 5", Arch: "amd64", Best: "avx512", InUse: "avx512"}

// sampleResult has a line that reaches a goal, misses one, cannot tell of one and lacks one, a line
// with an absolute goal, and one that was not measured.
func sampleResult() *Result {
	step := newLine("TrainingStep/characters-512", Sample{"bittern", []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}})
	step.Barrier = Sample{"bittern", []float64{5e-8, 6e-8, 4e-7, 5e-8, 5e-8, 5e-8}}
	step.compare(floor, Sample{"products", []float64{0.05, 0.05, 0.05, 0.05, 0.05, 0.05}}, "")
	step.compare(torchLSTM, Sample{"PyTorch 9", []float64{0.3, 0.5, 0.5, 0.5, 0.5, 0.5}}, "")
	step.compare(torchCell, Sample{}, "not installed: no torch")
	step.compare(ourLSTM, Sample{"bittern", []float64{0.2, 0.2, 0.2, 0.2, 0.2, 0.2}}, "") // no goal
	memory := newLine("PeakMemory/characters-1000", Sample{"bittern", []float64{400e6, 410e6, 405e6, 403e6, 404e6, 406e6}})
	memory.Unit = Bytes
	start := newLine("Start/first-step-512", Sample{Who: "bittern"})
	start.Missing[""] = "needs warpeace"
	return &Result{Processor: zen5, Parts: []Part{{Name: "memory", Lines: []Line{memory}}, {Name: "start", Lines: []Line{start}}, {Name: "training", Lines: []Line{step}}}}
}

func TestMisses(t *testing.T) {
	t.Parallel()
	r := sampleResult()
	want := "TrainingStep/characters-512: 2.00 (2.00 – 2.00) against the floor, must be ≤ 1.35"
	if misses := r.Misses(); len(misses) != 1 || misses[0] != want {
		t.Errorf("got %q, want only %q", misses, want)
	}
	r.Parts[0].Lines[0].Ours.Values = []float64{500e6, 510e6, 505e6, 503e6, 504e6, 506e6}
	if misses := r.Misses(); len(misses) != 2 || misses[0] != "PeakMemory/characters-1000: 504 MB (500 MB – 510 MB), must be ≤ 450 MB" {
		t.Errorf("got %q, want the memory too", misses)
	}
	r.Processor.Microarchitecture, r.Processor.Best, r.Processor.InUse = "", "portable", "portable"
	if misses := r.Misses(); len(misses) != 0 {
		t.Errorf("a processor of no class missed %q", misses)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := sampleResult()
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(table.String()) {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
	}
	want := []string{
		"| PeakMemory/characters-1000 | 404 MB | – | – | 6 | – | 400 MB – 410 MB | ≤ 450 MB | reached |",
		"| Start/first-step-512 | n/a | – | – | 0 | – | n/a | ≤ 1.5 s | n/a: needs warpeace |",
		"| TrainingStep/characters-512 | 100 ms | PyTorch 9 | 500 ms | 6 | 5.00 | 3.00 – 5.00 | ≥ 4 | ~ |",
		"| TrainingStep/characters-512 | 100 ms | PyTorch's loop of the same cell | n/a | 0 | n/a | n/a | ≥ 5 | n/a: not installed: no torch |",
		"| TrainingStep/characters-512 | 100 ms | bittern | 200 ms | 6 | 0.50 | 0.50 – 0.50 | none | |",
		"| TrainingStep/characters-512 | 100 ms | products | 50 ms | 6 | 2.00 | 2.00 – 2.00 | ≤ 1.35 | missed |",
		"| what | a barrier | least | most | n |",
		"| TrainingStep/characters-512 | 50 ns | 50 ns | 400 ns | 6 |",
	}
	rows = slices.DeleteFunc(rows, func(row string) bool { return strings.HasPrefix(row, "|:--") })
	if diff := cmp.Diff(want, rows[1:]); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if !strings.Contains(table.String(), "class zen5") {
		t.Errorf("the table does not say of which class the goals are:\n%s", table.String())
	}
	r.Processor.InUse = "avx2"
	table.Reset()
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if text := table.String(); !strings.Contains(text, "Nothing is judged: BITTERN_ISA forces avx2") || strings.Contains(text, "| missed") {
		t.Errorf("a forced instruction set was judged:\n%s", text)
	}
}

func TestBenchmarkFormat(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	if err := sampleResult().WriteBenchmark(&text); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	reader := benchfmt.NewReader(&text, "bench")
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.Result:
			counts[record.Name.String()+" "+record.Values[0].Unit]++
		case *benchfmt.SyntaxError:
			t.Error(record)
		}
	}
	want := map[string]int{
		"TrainingStep/characters-512/by=ours sec/op": 6, "TrainingStep/characters-512/by=the-floor sec/op": 6,
		"TrainingStep/characters-512/by=PyTorch sec/op": 6, "TrainingStep/characters-512/by=the-LSTM's-step sec/op": 6,
		"PeakMemory/characters-1000/by=ours peak-bytes": 6,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("benchmarks (-want +got):\n%s", diff)
	}
}

func TestJSONGoesAround(t *testing.T) {
	t.Parallel()
	r := sampleResult()
	r.Parts[0].Lines[0].Ours.Values = r.Parts[0].Lines[0].Ours.Values[:2] // no interval
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"class": "zen5"`, `"low": null`, `"outcome": "missed"`, `"reason": "needs warpeace"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("JSON has no %s:\n%s", want, text.String())
		}
	}
	back, err := ReadJSON(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := back.WriteJSON(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text.String(), again.String()); diff != "" {
		t.Errorf("what was read back differs (-want +got):\n%s", diff)
	}
	if _, err := ReadJSON([]byte("{")); err == nil {
		t.Error("half a file was read")
	}
}

// TestSaveInParts checks that a part that is measured later joins those in the folder, that a part
// measured again replaces the one before, and that results of another processor are refused.
func TestSaveInParts(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "bench")
	if saved, err := Saved(folder); saved != nil || err != nil {
		t.Fatalf("an empty folder: %v, %v", saved, err)
	}
	of := func(value float64, names ...string) *Result {
		r := &Result{Processor: isa.ThisProcessor()}
		for _, name := range names {
			r.Parts = append(r.Parts, Part{Name: name, Lines: []Line{newLine(name, Sample{"bittern", []float64{value}})}})
		}
		return r
	}
	var page string
	for n, names := range [][]string{{"training", "matrix"}, {"memory", "matrix"}} {
		r := of(float64(n+1), names...)
		saved, err := Saved(folder)
		if err != nil {
			t.Fatal(err)
		}
		if saved != nil {
			r.Merge(saved)
		}
		if page, err = r.Save(folder); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := Saved(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range saved.lines() {
		got = append(got, line.Name+" "+quantity(line.Ours.Median(), Seconds))
	}
	if diff := cmp.Diff([]string{"memory 2 s", "training 1 s", "matrix 2 s"}, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if p := isa.ThisProcessor(); !strings.Contains(string(text), p.Name) || !strings.Contains(string(text), p.Microarchitecture) {
		t.Errorf("the page does not name the processor:\n%s", text)
	}
	other := of(1, "training")
	other.Processor.Stepping++
	if _, err := other.Save(folder); err != nil {
		t.Fatal(err)
	}
	var problem *plugins.Problem
	if _, err := Saved(folder); !errors.As(err, &problem) {
		t.Errorf("results of another processor: got %v, want a problem", err)
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
	ours, theirs, reason, err := b.timeProducts(context.Background(), products)
	if err != nil {
		t.Fatal(err)
	}
	if ours.N() != 2 || ours.Values[0] <= 0 || theirs.N() != 0 {
		t.Errorf("got %+v and %+v, want two times of ours", ours, theirs)
	}
	if !strings.HasPrefix(reason, "not installed: no peer scripts in ") {
		t.Errorf("a folder without scripts: got the reason %q", reason)
	}
}

// TestBarrier checks that a barrier is timed where there are workers to wait for.
func TestBarrier(t *testing.T) {
	t.Parallel()
	if c := (&Bench{Threads: 1}).barrier(); c != nil {
		t.Error("a single worker has a barrier")
	}
	b := &Bench{Threads: 2, Runs: 2}
	c := b.barrier()
	samples, err := b.inTurn(t.Context(), c)
	closeAll(&err, c)
	if err != nil {
		t.Fatal(err)
	}
	if s := samples[0]; s.N() != 2 || s.Values[0] <= 0 {
		t.Errorf("got %+v, want two times", s)
	}
}

// TestMissingData checks that what needs data says so.
func TestMissingData(t *testing.T) {
	t.Parallel()
	b := &Bench{Threads: 1, Runs: 1, Progress: func(string) {}}
	lines, err := b.memoryLines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := lines[0].Missing[""]; got != "needs ptb-char: name its folder with --data" {
		t.Errorf("got the reason %q", got)
	}
}
