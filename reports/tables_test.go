package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports/internal/sample"

	"github.com/google/go-cmp/cmp"
)

// measured is a finished experiment with a quantizer of so many bits, a normalization,
// and a deployable score.
func measured(t *testing.T, quantizer, normalization string, seed uint64, bits, score float64, training string) store.Experiment {
	t.Helper()
	c := sample.Trained(t, seed, 20, fmt.Sprintf(`"task":"characters","data":"grammar","quantizer":{"name":%q},"model":{"options":{"normalization":%q}},"training":{%s}`, quantizer, normalization, training))
	c.Quantizer, c.FrozenModel = quantizer, &score
	c.Settings = []store.Setting{{Name: "units", Value: "8"}, {Name: "normalization", Value: normalization}}
	c.RecurrentBytes, c.DeployedBytes = 100*bits, int64(1000+100*bits)
	c.Draws = []store.FreezeDraw{{Test: score, Deployed: true, BitsPerWeight: bits}}
	return c
}

// cellsOf are a column's cells in a report's table of results, by quantizer and setting.
func cellsOf(t *testing.T, r *Report, id string) map[string]string {
	t.Helper()
	columns := resultColumns(nil, "BPC")
	at := find(columns, id)
	if at < 0 {
		t.Fatalf("there is no column %s", id)
	}
	cells := make(map[string]string)
	for _, l := range networkLines(r) {
		cells[strings.TrimSpace(l.Quantizer+" "+l.Setting)] = columns[at].cell(l).Text
	}
	return cells
}

func TestDeltaIsAgainstFullPrecision(t *testing.T) {
	t.Parallel()
	var all []store.Experiment
	for _, c := range []struct {
		quantizer, normalization string
		bits                     float64
		scores                   []float64
	}{
		{"full", "batch", 32, []float64{1.00, 1.01, 1.02}},
		{"like", "batch", 2, []float64{1.00, 1.02, 1.03}},
		{"worse", "batch", 1, []float64{2.00, 2.01, 2.02}},
		{"same", "batch", 1.5, []float64{1.00, 1.01, 1.02}},
		{"single", "batch", 1, []float64{1.5}},
		{"alone", "layer", 1, []float64{1.5}},
		{"old", "batch", 0, []float64{1.5}},
	} {
		for seed, score := range c.scores {
			all = append(all, measured(t, c.quantizer, c.normalization, uint64(seed), c.bits, score, `"epochs":8`))
		}
	}
	r := collect(t, sample.Stored(t, all...), Selection{})
	want := map[string]string{"full": "–", "like": "~", "worse": "+1.000", "same": "~", "single": "+0.490", "alone": "n/a", "old": "n/a"}
	if diff := cmp.Diff(want, cellsOf(t, r, "delta")); diff != "" {
		t.Errorf("Δ (-want +got):\n%s", diff)
	}
	want = map[string]string{"full": "4.2 (1.0×)", "like": "1.2 (3.5×)", "worse": "1.1 (3.8×)", "same": "1.1 (3.7×)", "single": "1.1 (3.8×)", "alone": "1.1", "old": "1.0"}
	if diff := cmp.Diff(want, cellsOf(t, r, "kb")); diff != "" {
		t.Errorf("KB deployed (-want +got):\n%s", diff)
	}
	want = map[string]string{"full": "32", "like": "2", "worse": "1", "same": "1.5", "single": "1", "alone": "1", "old": "n/a"}
	if diff := cmp.Diff(want, cellsOf(t, r, "bits")); diff != "" {
		t.Errorf("bits/weight (-want +got):\n%s", diff)
	}
	for quantizer, reason := range map[string]string{"alone": "no network of this task", "old": "an older bittern"} {
		at := slices.IndexFunc(r.Networks, func(n *Network) bool { return n.Quantizer == quantizer })
		if got := r.Networks[at].FullPrecision.Missing; !strings.HasPrefix(got, reason) {
			t.Errorf("%s has no Δ for the reason %q, want %q", quantizer, got, reason)
		}
	}
}

// Of several full-precision networks the one that was trained alike is the reference.
func TestReferenceIsTrainedAlike(t *testing.T) {
	t.Parallel()
	r := collect(t, sample.Stored(t,
		measured(t, "full", "batch", 1, 32, 1.0, `"epochs":8,"steps":0`), measured(t, "full", "batch", 1, 32, 3.0, `"epochs":8,"steps":10`),
		measured(t, "two", "batch", 1, 2, 1.25, `"epochs":8,"steps":0`), measured(t, "two", "batch", 1, 2, 3.5, `"epochs":8,"steps":10`),
	), Selection{})
	want := map[string]string{"full training.steps 0": "–", "full training.steps 10": "–", "two training.steps 0": "+0.250", "two training.steps 10": "+0.500"}
	if diff := cmp.Diff(want, cellsOf(t, r, "delta")); diff != "" {
		t.Errorf("Δ (-want +got):\n%s", diff)
	}
}

func TestFrontierIsWhatNothingBeats(t *testing.T) {
	t.Parallel()
	of := func(task, metric string, score, bytes float64) *Network {
		return &Network{Task: task, Metric: metric, Deployable: figure([]float64{score}, ""), DeployedBytes: bytes}
	}
	networks := []*Network{
		of("a", "BPC", 1.5, 100), of("a", "BPC", 1.5, 120), of("a", "BPC", 1.6, 100), of("a", "BPC", 1.4, 130), of("a", "BPC", 1.5, 100),
		of("b", "accuracy %", 90, 10), of("b", "accuracy %", 80, 20), of("b", "accuracy %", 95, 20),
		of("c", "furlongs", 1, 1), {Task: "a", Metric: "BPC", DeployedBytes: 1},
	}
	markFrontiers(networks)
	var got []bool
	for _, n := range networks {
		got = append(got, n.Frontier)
	}
	if diff := cmp.Diff([]bool{true, false, false, true, true, true, false, true, false, false}, got); diff != "" {
		t.Errorf("frontier (-want +got):\n%s", diff)
	}
	lines := frontierLines(&Report{Networks: networks})
	if len(lines) != 5 || lines[0].DeployedBytes != 100 || lines[2].DeployedBytes != 130 {
		t.Errorf("got %d lines, want those of a by size, then those of b", len(lines))
	}
}

// A score is in doubt where machines compute the artifact and none agrees.
func TestADoubtOfAllMachinesIsTheNetworks(t *testing.T) {
	t.Parallel()
	sure, unsure, mute := store.Deployment{Metric: new(1.0)}, store.Deployment{Metric: new(1.0), Doubt: "off"}, store.Deployment{}
	for want, deployments := range map[string][]store.Deployment{"": {sure, unsure}, "off": {unsure, mute}, "off; off": {unsure, unsure}} {
		if got := (&Experiment{Deployments: deployments}).doubt(); got != want {
			t.Errorf("%+v: doubt %q, want %q", deployments, got, want)
		}
	}
	if got := (Cell{Text: "1.0"}).doubt([]Doubt{{3, "off"}}); got.Text != "1.0 ‼" || got.Notes[0] != "‼ in doubt, seed 3: off" {
		t.Errorf("a doubtful cell is %+v", got)
	}
}

func TestEpochsOfARecipe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		perEpoch    int
		config      string
		epochs      int
		validations []store.Validation
		want        float64
	}{
		"stored":                         {10, `{}`, 0, nil, 2.5},
		"of the first validation":        {0, `{"training":{"validate_every":0}}`, 1, []store.Validation{{Step: 20}, {Step: 25}}, 1.25},
		"validated within an epoch":      {0, `{"training":{"validate_every":5}}`, 1, []store.Validation{{Step: 5}}, 0},
		"an epoch that was not finished": {0, `{"training":{"validate_every":0}}`, 0, []store.Validation{{Step: 25}}, 0},
	} {
		stamp, err := json.Marshal(provenance.Experiment{StepsPerEpoch: test.perEpoch})
		if err != nil {
			t.Fatal(err)
		}
		e := Experiment{Experiment: store.Experiment{Steps: 25, Epochs: test.epochs, Config: json.RawMessage(test.config), Provenance: stamp}, Validations: test.validations}
		if got, err := e.epochs(); err != nil || got != test.want {
			t.Errorf("%s: %v epochs, %v, want %v", name, got, err, test.want)
		}
	}
	for mean, want := range map[float64]string{0.0412: "0.041 of 200", 1.78: "1.8 of 200", 200: "200 of 200", 123.45: "123.5 of 200"} {
		if got := epochs(line{Network: &Network{Epochs: Figure{N: 1, Mean: &mean}, RecipeEpochs: 200}}).Text; got != want {
			t.Errorf("%v epochs are written %q, want %q", mean, got, want)
		}
	}
}

// several is a report of two tasks with metrics of their own.
func several() *Report {
	network := func(task, metric, quantizer string, score float64) *Network {
		return &Network{Task: task, Model: "m", Quantizer: quantizer, Metric: metric, Seeds: []uint64{1}, Deployable: figure([]float64{score}, ""),
			BitsPerWeight: figure([]float64{score}, ""), Deployments: []Deployment{{Backend: "x", Seeds: []uint64{1}, Metric: figure([]float64{score}, "")}, {Backend: "y", Metric: Figure{Missing: "none"}}}}
	}
	return &Report{Suite: "several", Networks: []*Network{
		network("text", "BPC", "b", 2), network("words", "perplexity", "a", 90), network("text", "BPC", "a", 1), network("words", "perplexity", "b", 80),
	}}
}

// outline names the tables of a document, each with its rows by their first cells.
func outline(d Document) []string {
	var lines []string
	for _, s := range d.Sections {
		for _, sheet := range s.Sheets {
			var rows []string
			for _, row := range sheet.Rows {
				rows = append(rows, row[0].Text)
			}
			lines = append(lines, fmt.Sprintf("%s/%s: %s %s", s.Heading, sheet.Heading, sheet.Columns[0].ID, strings.Join(rows, ",")))
		}
	}
	return lines
}

func TestViews(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		view View
		want []string
	}{
		"metrics stay apart": {View{}, []string{
			"Results/BPC: quantizer b,a", "Results/perplexity: quantizer a,b", "Accuracy against memory/BPC: task text", "Accuracy against memory/perplexity: task words",
			"Hardware/BPC: quantizer b,b,a,a", "Hardware/perplexity: quantizer a,a,b,b"}},
		"columns in their order": {View{Columns: []string{"deployable", "quantizer"}}, []string{"Results/BPC: deployable 2.000,1.000", "Results/perplexity: deployable 90.000,80.000"}},
		"sorted":                 {View{Columns: []string{"quantizer", "deployable"}, Sort: "deployable"}, []string{"Results/BPC: quantizer a,b", "Results/perplexity: quantizer b,a"}},
		"the largest first":      {View{Columns: []string{"quantizer", "deployable"}, Sort: "-deployable"}, []string{"Results/BPC: quantizer b,a", "Results/perplexity: quantizer a,b"}},
		"what is missing last":   {View{Columns: []string{"backend", "machine-metric"}, Sort: "-machine-metric"}, []string{"Hardware/BPC: backend x,x,y,y", "Hardware/perplexity: backend x,x,y,y"}},
		"by quantizer": {View{Columns: []string{"task", "deployable"}, GroupBy: "quantizer"}, []string{
			"Results/b, BPC: task text", "Results/b, perplexity: task words", "Results/a, perplexity: task words", "Results/a, BPC: task text"}},
		"by backend": {View{Columns: []string{"quantizer", "bits", "machine-metric"}, GroupBy: "backend"}, []string{
			"Results/BPC: quantizer b,a", "Results/perplexity: quantizer a,b",
			"Hardware/x, BPC: quantizer b,a", "Hardware/x, perplexity: quantizer a,b", "Hardware/y, BPC: quantizer b,a", "Hardware/y, perplexity: quantizer a,b"}},
	} {
		r := several()
		markFrontiers(r.Networks)
		if diff := cmp.Diff(test.want, outline(r.Document(test.view))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for want, view := range map[string]View{
		`there is no column "quantiser", did you mean "quantizer"?; there are task, model, `: {Columns: []string{"quantiser"}},
		`there is no column "sise"`: {Sort: "-sise"},
		`tables cannot be grouped by "model"; they can by task, quantizer, backend`: {GroupBy: "model"},
	} {
		err := view.Check()
		if _, problem := errors.AsType[*plugins.Problem](err); !problem || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: got %v, want a problem that begins %q", view, err, want)
		}
	}
}

// Every column can be named, and has one name in all tables that are shown together.
func TestColumnsHaveNames(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		var seen []string
		for _, c := range k.columns(nil, "BPC") {
			if c.ID == "" || c.Header == "" || strings.HasPrefix(c.ID, "-") || strings.Contains(c.ID, ",") || slices.Contains(seen, c.ID) {
				t.Errorf("%s has the column %q under the header %q", k.heading, c.ID, c.Header)
			}
			seen = append(seen, c.ID)
		}
	}
}

func TestPartsAreMeansOverSeeds(t *testing.T) {
	t.Parallel()
	var m machine
	for seed, fetch := range []float64{2, 4, 9} {
		m.add(uint64(seed), store.Deployment{Cost: &store.Cost{Steps: map[string]int{"text": 2}, Energy: []store.Part{{Name: "fetch", Value: fetch}, {Name: "rest", Value: 3}}}})
	}
	d := m.deployment()
	if got := d.EnergyParts; len(got) != 2 || got[0].Value < 2.499 || got[0].Value > 2.501 || got[1].Value < 1.499 || got[1].Value > 1.501 {
		t.Errorf("parts %+v, want fetch 2.5 and rest 1.5 a step", got)
	}
}

func TestCommonCellsStandAbove(t *testing.T) {
	t.Parallel()
	plain := func(s Sheet) string {
		return s.CommonLine(func(text string) string { return text }, func(c Cell) string { return c.Text })
	}
	headers := func(s Sheet) (headers []string) {
		for _, c := range s.Columns {
			headers = append(headers, c.Header)
		}
		return headers
	}
	r := several()
	r.Networks = r.Networks[:1]
	if line := plain(r.Document(View{}).Sections[0].Sheets[0]); !strings.HasPrefix(line, "Left out: normalization –; ") {
		t.Errorf("of a single row %q is left out, want what is empty", line)
	}
	r = several()
	r.Networks = []*Network{r.Networks[0], r.Networks[2]}
	results := r.Document(View{}).Sections[0].Sheets[0]
	if line := plain(results); !strings.HasPrefix(line, "All rows: task text; model m; normalization –; ") {
		t.Errorf("all rows have %q", line)
	}
	if diff := cmp.Diff([]string{"quantizer", "bits/weight", "deployable BPC"}, headers(results)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	wide := headers(r.Document(View{Wide: true}).Sections[0].Sheets[0])
	if want := []string{"task", "model", "quantizer", "normalization", "bits/weight"}; len(wide) < len(want) || !slices.Equal(wide[:len(want)], want) {
		t.Errorf("a wide table has the columns %q, want them to begin with %q", wide, want)
	}
}
