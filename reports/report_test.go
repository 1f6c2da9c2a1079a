package reports

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func stampedBy(commit string) provenance.Machine {
	return provenance.Machine{
		Commit: commit, Go: "go1.26", OS: "linux", Arch: "amd64", CPU: "a CPU", Cores: 2,
		Overhead: &provenance.Overhead{Seconds: 0.00042, N: 100},
	}
}

// filled is a run store with two seeds of a published experiment and of its
// full precision, one seed of an experiment without one, and a failed experiment.
func filled(t *testing.T) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	stamp, err := json.Marshal(provenance.Experiment{
		Data: "warpeace", SHA256: "fb66",
		Sittings: []provenance.Sitting{
			{Machine: stampedBy("0123456789"), Threads: 2, From: 0, To: 1000},
			{Machine: stampedBy("0123456789"), Threads: 2, From: 1000, To: 3256},
		},
		StepsPerEpoch: 1628,
	})
	if err != nil {
		t.Fatal(err)
	}
	number := func(f float64) *float64 { return &f }
	var experiments []store.Experiment
	add := func(quantizer, normalization string, seed uint64, status store.Status, paper float64) store.Experiment {
		config := fmt.Sprintf(`{"task":"characters","data":"warpeace","seed":%d,"training":{"epochs":200},"model":{"name":"lstm","options":{"normalization":%q}},"quantizer":{"name":%q}}`,
			seed, normalization, quantizer)
		id, canonical, err := store.ID(json.RawMessage(config))
		if err != nil {
			t.Fatal(err)
		}
		c := store.Experiment{ID: id, Config: canonical, Task: "warpeace", Model: "lstm-512", Quantizer: quantizer, Seed: seed,
			Status: status, Steps: 3256, Metric: "BPC", PaperStyle: number(paper), RecurrentBytes: 153344, DeployedBytes: 4000000, Provenance: stamp,
			Settings:             []store.Setting{{Name: "cell", Value: "LSTM"}, {Name: "units", Value: "512"}, {Name: "layers", Value: "1"}, {Name: "normalization", Value: normalization}},
			CalibrationSequences: 6400, FrozenModel: number(1.79 + float64(seed-1)/100), Draws: []store.FreezeDraw{{Validation: 1.9, Test: 1.79, Deployed: true, BitsPerWeight: 1}}}
		if quantizer == "none" {
			c.RecurrentBytes, c.DeployedBytes, c.Draws[0].BitsPerWeight = 32*153344, 8000000, 32
		}
		if quantizer == "stochastic-binary" {
			c.Draws = append(c.Draws, store.FreezeDraw{Draw: 1, Validation: 1.92, Test: 1.78 + float64(seed)/100})
		}
		experiments = append(experiments, c)
		return c
	}
	deployed, err := json.Marshal(provenance.Deployment{Machine: stampedBy("89abcdef01"), Backend: "cpu 1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	done := []store.Experiment{
		add("stochastic-binary", "batch-cell", 1, store.Done, 1.80),
		add("stochastic-binary", "batch-cell", 2, store.Done, 1.82),
		add("binaryconnect", "batch", 1, store.Done, 1.75),
		add("none", "batch-cell", 1, store.Done, 1.60),
		add("none", "batch-cell", 2, store.Done, 1.61),
	}
	done[3].FrozenModel, done[4].FrozenModel = number(1.60), number(1.61)
	failed := add("none", "none", 1, store.Failed, 0)
	failed.Reason, failed.PaperStyle = "the model diverged in step 7", nil
	if err := s.PutSuite(ctx, "golden", experiments, []string{"asic", "cpu"}); err != nil {
		t.Fatal(err)
	}
	parts := []store.GroupScore{{Group: "war", Score: 1.7, Targets: 30}, {Group: "peace", Score: 1.9, Targets: 20}}
	done[0].PaperStyleGroups, done[0].FrozenModelGroups = parts, parts[:1]
	for i, c := range append(done, failed) {
		if err := s.PutExperiment(ctx, c); err != nil {
			t.Fatal(err)
		}
		if c.Status != store.Done {
			continue
		}
		for _, d := range []store.Deployment{
			{Experiment: c.ID, Backend: "asic", Status: store.Done, Metric: number(1.79 + float64(i)/100), Groups: parts, Cost: &store.Cost{
				Steps:   map[string]int{"text": 60, "question": 40},
				Seconds: number(26.2e-4), Energy: []store.Part{{Name: "weights", Value: 6e-5}, {Name: "rest", Value: 3.7e-5}},
				Memory: []store.Part{{Name: "codes", Value: 153344}, {Name: "tables", Value: 2000000}}, Notes: []string{"power | area recalled,\nnot verified"}}},
			{Experiment: c.ID, Backend: "cpu", Status: store.Done, Metric: number(1.78), Provenance: deployed, Cost: &store.Cost{
				Steps:   map[string]int{"text": 100},
				Seconds: number(4.2e-4), SecondsLow: number(4.1e-4), SecondsHigh: number(4.3e-4), Measured: true, N: 50,
				Missing: map[string]string{"energy": "no power meter is read"}}},
		} {
			if c.Quantizer == "binaryconnect" && d.Backend == "cpu" {
				d.Doubt = "cpu computes a loss of 1.3 nats a target and the model 1.2"
				d.Cost.SecondsHigh = number(4.7e-4)
				d.Cost.Substitutions = []store.Substitution{{Weight: "layer0.Wx", From: "16 levels, 4 bits", To: "float32", Reason: "a look-up keeps three levels at most"}}
			}
			if err := s.PutDeployment(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func collected(t *testing.T) *Report {
	t.Helper()
	r, err := Collect(context.Background(), filled(t), "golden", Selection{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMarkdownIsGolden(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := collected(t).Write(&out, Markdown, View{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "report.md")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the report differs from %s (-want +got); run the test with -update if it is meant to:\n%s", path, diff)
	}
}

func TestSeedsAreSummarised(t *testing.T) {
	t.Parallel()
	r := collected(t)
	if len(r.Networks) != 3 || len(machineLines(r)) != 6 {
		t.Fatalf("got %d networks on %d backends, want three on two each", len(r.Networks), len(machineLines(r)))
	}
	n := r.Networks[0]
	if got := n.Deployable; got.N != 2 || *got.Mean != (1.79+1.80)/2 || got.Std == nil {
		t.Errorf("two seeds: got %+v", got)
	}
	asic, cpu := n.Deployments[0], n.Deployments[1]
	if asic.Bytes == nil || *asic.Bytes != 2153344 || cpu.Bytes != nil {
		t.Errorf("bytes: got %v and %v, want the sum of the backend's memory, and nothing of the one that does not tell", asic.Bytes, cpu.Bytes)
	}
	if len(n.Published) != 2 {
		t.Errorf("got %d published results, want both papers'", len(n.Published))
	}
	if one := r.Networks[1]; one.Deployable.Std != nil || one.Deployable.N != 1 {
		t.Errorf("one seed must have no deviation: got %+v", one.Deployable)
	}
	if cpu.Energy.Mean != nil || cpu.Energy.Missing != "no power meter is read" {
		t.Errorf("missing energy: got %+v", cpu.Energy)
	}
	if n.Epochs.Mean == nil || *n.Epochs.Mean != 2 || n.RecipeEpochs != 200 {
		t.Errorf("3256 steps of 1628 an epoch: got %+v of %d, want 2 of 200", n.Epochs, n.RecipeEpochs)
	}
	if len(r.Unfinished) != 1 || r.Unfinished[0].Status != store.Failed {
		t.Errorf("unfinished: got %+v", r.Unfinished)
	}
}

// A seed whose deployment failed still has its paper-style figure.
func TestFiguresOfOtherSeedsSayHowMany(t *testing.T) {
	t.Parallel()
	mean := 1.5
	n := &Network{Seeds: []uint64{1}}
	for want, f := range map[string]Figure{
		"1.50":              {N: 1, Mean: &mean},
		"1.50 ± 1.50 (n=2)": {N: 2, Mean: &mean, Std: &mean},
		"n/a":               {Missing: "not measured"},
	} {
		if got := n.figure(f, 1, fixed(2)); got.text != want {
			t.Errorf("%+v in a row of one seed is written %q, want %q", f, got.text, want)
		}
	}
}

// readBack compares what JSON keeps: the values of what is JSON itself, and not for
// which backends a suite asked, which are those of the deployments.
var readBack = cmp.Options{
	cmp.Transformer("value", func(text json.RawMessage) (value any) {
		if len(text) == 0 {
			return nil
		}
		if err := json.Unmarshal(text, &value); err != nil {
			return err
		}
		return value
	}),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Backends" }, cmp.Ignore()),
}

func TestOtherFormats(t *testing.T) {
	t.Parallel()
	r := collected(t)
	var asJSON, asCSV strings.Builder
	if err := r.Write(&asJSON, JSON, View{}); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal([]byte(asJSON.String()), &back); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"paper_style_groups", "frozen_model_groups", "groups", "settings", "steps"} {
		if !strings.Contains(asJSON.String(), `"`+field+`": `) {
			t.Errorf("JSON has no %s", field)
		}
	}
	if diff := cmp.Diff(*r, back, readBack); diff != "" {
		t.Errorf("JSON does not read back as it was written (-want +got):\n%s", diff)
	}
	if err := r.Write(&asCSV, CSV, View{}); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(asCSV.String())).ReadAll()
	if err != nil || len(records) != 1+len(machineLines(r)) {
		t.Errorf("CSV: %d records, error %v; want a header and %d rows", len(records), err, len(machineLines(r)))
	}
	if err := r.Write(&asCSV, "markdwn", View{}); err == nil || !strings.Contains(err.Error(), `did you mean "markdown"?`) {
		t.Errorf("an unknown format: got %v", err)
	}
}

// An experiment that two programs contributed to says so, and how far each came.
func TestEverySittingIsListed(t *testing.T) {
	t.Parallel()
	p := provenance.Experiment{Data: "warpeace", Sittings: []provenance.Sitting{
		{Machine: stampedBy("old"), From: 0, To: 8}, {Machine: stampedBy("new"), From: 8, To: 20}, {Machine: stampedBy("old"), From: 20, To: 21},
	}}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := r.addProvenance(store.Experiment{ID: "a", Seed: 1, Steps: 21, Provenance: text}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, group := range r.Provenance {
		for _, s := range group.Sittings {
			got = append(got, fmt.Sprintf("%s: %d of %s, %d to %d", group.Commit, group.Experiments, s.Experiment, s.From, s.To))
		}
	}
	want := []string{"old: 1 of a, 0 to 8", "old: 1 of a, 20 to 21", "new: 1 of a, 8 to 20"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sittings (-want +got):\n%s", diff)
	}
}

// A table of accuracies says its unit and which way is better.
func TestAMetricHasItsUnitAndDirection(t *testing.T) {
	t.Parallel()
	mean := 98.6
	r := Report{Suite: "images", Networks: []*Network{
		{Task: "smnist", Metric: "accuracy %", Seeds: []uint64{1}, Deployable: Figure{N: 1, Mean: &mean}, Deployments: []Deployment{{Backend: "cpu", Energy: Figure{N: 1, Mean: &mean}}}},
		{Task: "odd", Metric: "furlongs"},
	}}
	var out strings.Builder
	if err := r.Write(&out, Markdown, View{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" deployable accuracy % |", " energy nJ/step |", "98.600", "- accuracy %: share of the targets that were given the highest probability; higher is better\n", " deployable furlongs |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

// A cost is stored of a whole sequence and shown of a time step.
func TestCostsAreShownOfATimeStep(t *testing.T) {
	t.Parallel()
	cost := &store.Cost{Seconds: new(2.0), Energy: []store.Part{{Name: "all", Value: 1}}, Steps: map[string]int{"text": 3, "question": 1}}
	var m machine
	m.add(1, store.Deployment{Cost: cost})
	if diff := cmp.Diff([][]float64{{0.5}, {0.25}}, [][]float64{m.seconds, m.energy}); diff != "" {
		t.Errorf("seconds and energy of 4 steps (-want +got):\n%s", diff)
	}
	cost.Steps, m = nil, machine{}
	m.add(1, store.Deployment{Cost: cost})
	if m.seconds != nil || m.energy != nil || m.noTime == "" || m.noEnergy != m.noTime {
		t.Errorf("without steps: %v s for the reason %q, %v J for the reason %q; want reasons alone", m.seconds, m.noTime, m.energy, m.noEnergy)
	}
}
