package reports

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/store"
	"bittern/plugins/backend"
	"bittern/reports/internal/sample"
)

// costed is what a network costs on a machine that tells the output layer apart, and whose
// model was calibrated.
func costed(arithmetic, output float64) *store.Cost {
	return &store.Cost{
		Steps: map[string]int{"text": 10}, Seconds: new(1e-6), Cycles: new(400.0),
		Energy: []store.Part{{Name: "arithmetic", Value: arithmetic}, {Name: "output layer", Value: output, Outside: true}},
		Area:   []store.Part{{Name: "arithmetic", Value: 1}, {Name: "output layer", Value: 3, Outside: true}},
		Memory: []store.Part{{Name: backend.PartCodes, Value: 1500}, {Name: backend.PartFloats, Value: 500}, {Name: backend.PartTables, Value: 6000}},
		Calibration: []store.Residual{
			{Machine: "abacus", Quantity: "power", Unit: "mW", Published: 10, BottomUp: 25, Fitted: 11, InFit: true, Source: "recalled"},
			{Machine: "abacus", Quantity: "area", Unit: "mm²", Published: 4, BottomUp: 2, Fitted: 3},
		},
	}
}

// onHardware is a report of a full-precision and a binary network on two calibrated
// machines and one that tells nothing apart.
func onHardware(t *testing.T) *Report {
	t.Helper()
	full, binary := measured(t, "full", "batch", 1, 32, 1.5, `"epochs":8`), measured(t, "binary", "batch", 1, 1, 1.6, `"epochs":8`)
	full.Backends, binary.Backends = []string{"large", "small", "plain"}, []string{"large", "small", "plain"}
	s := sample.Stored(t, full, binary)
	for _, label := range []string{"large", "small"} {
		sample.Deploy(t, s, store.Deployment{Experiment: full.ID, Backend: label, Metric: new(1.5), Cost: costed(8e-8, 2e-8)})
		sample.Deploy(t, s, store.Deployment{Experiment: binary.ID, Backend: label, Metric: new(1.6), Cost: costed(2e-8, 2e-8)})
	}
	for _, c := range []store.Experiment{full, binary} {
		plain := costed(1, 1)
		plain.Calibration = nil
		plain.Energy[1].Outside, plain.Area[1].Outside = false, false
		plain.Memory = []store.Part{{Name: "all", Value: 10}}
		sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "plain", Metric: new(1.5), Cost: plain})
	}
	return collect(t, s, Selection{})
}

// section is a table of a document as text, its rows as lists of cells.
func section(t *testing.T, d Document, heading string) (headers []string, rows map[string][]string) {
	t.Helper()
	at := slices.IndexFunc(d.Sections, func(s Section) bool { return s.Heading == heading })
	if at < 0 {
		return nil, nil
	}
	rows = map[string][]string{}
	sheet := d.Sections[at].Sheets[0]
	for _, c := range sheet.Columns {
		headers = append(headers, c.Header)
	}
	for i, row := range sheet.Rows {
		var texts []string
		for _, c := range row {
			texts = append(texts, c.Text)
		}
		rows[fmt.Sprint(i)] = texts
	}
	return headers, rows
}

// The recurrent layers stand beside the whole network, and are n/a where a machine does not
// tell them apart.
func TestRecurrentLayersAlone(t *testing.T) {
	t.Parallel()
	headers, rows := section(t, onHardware(t).Document(View{Hardware: true}), "Recurrent layers alone")
	if diff := cmp.Diff([]string{"quantizer", "backend", "recurrent energy nJ/char", "% of all energy", "recurrent area mm²", "% of all area", "recurrent weights KB", "% of all KB"}, headers); diff != "" {
		t.Fatalf("columns (-want +got):\n%s", diff)
	}
	plain := []string{"plain", "n/a", "n/a", "n/a", "n/a", "n/a", "n/a"}
	want := map[string][]string{
		"0": {"full", "large", "8.0 (1.0×)", "80.0", "1.00", "25.0", "2.0", "25.0"},
		"1": append([]string{"full"}, plain...),
		"2": {"full", "small", "8.0 (1.0×)", "80.0", "1.00", "25.0", "2.0", "25.0"},
		"3": {"binary", "large", "2.0 (4.0×)", "50.0", "1.00", "25.0", "2.0", "25.0"},
		"4": append([]string{"binary"}, plain...),
		"5": {"binary", "small", "2.0 (4.0×)", "50.0", "1.00", "25.0", "2.0", "25.0"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// What a model says of published machines is told once, with the error of each figure.
func TestPublishedMachinesAreToldOnce(t *testing.T) {
	t.Parallel()
	r := onHardware(t)
	if len(r.Calibration) != 1 || !slices.Equal(r.Calibration[0].Backends, []string{"large", "small"}) {
		t.Errorf("calibrations %+v, want one of large and small", r.Calibration)
	}
	for _, e := range r.Experiments {
		for _, d := range e.Deployments {
			if d.Cost.Calibration != nil {
				t.Errorf("%s has a calibration of its own", d.Backend)
			}
		}
	}
	want := map[string][]string{
		"0": {"abacus", "power mW", "10", "25", "× 2.5", "11", "+10.0 %", "yes", "recalled"},
		"1": {"abacus", "area mm²", "4", "2", "÷ 2.0", "3", "-25.0 %", "no", "–"},
	}
	if _, rows := section(t, r.Document(View{Hardware: true}), "Published machines"); !cmp.Equal(want, rows) {
		t.Errorf("rows (-want +got):\n%s", cmp.Diff(want, rows))
	}
	if _, rows := section(t, r.Document(View{}), "Published machines"); rows != nil {
		t.Errorf("a report of networks has the published machines: %v", rows)
	}
}

// A table has to say something of what the columns ask for, and not only the name of a
// network and its backend.
func TestTablesOfColumns(t *testing.T) {
	t.Parallel()
	r := onHardware(t)
	for columns, want := range map[string]string{
		"quantizer,backend,energy":                        "Hardware",
		"quantizer,backend,energy,recurrent-energy":       "Hardware, Recurrent layers alone",
		"backend,latency":                                 "Sequences",
		"backend,machine,quantity,bottom-up-error":        "Published machines",
		"quantizer,backend":                               "",
		"quantizer,deployable,backend,recurrent-kb-share": "Results, Recurrent layers alone",
	} {
		for _, hardware := range []bool{false, true} {
			var got []string
			for _, s := range r.Document(View{Columns: strings.Split(columns, ","), Hardware: hardware}).Sections {
				got = append(got, s.Heading)
			}
			want := want
			if hardware {
				want = strings.TrimPrefix(want, "Results, ")
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("columns %s, hardware %v: tables %q, want %q", columns, hardware, got, want)
			}
		}
	}
}

// A report of untrained networks says so, and has no column of scores that are all missing.
func TestUntrainedNetworks(t *testing.T) {
	t.Parallel()
	c := sample.Trained(t, 1, 0, full)
	c.FrozenModel, c.Backends = nil, []string{"large", "small"}
	s := sample.Stored(t, c)
	for i, label := range c.Backends {
		sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: label, Reason: "the network is not trained", Cost: costed(float64(i+1), 1)})
	}
	d := collect(t, s, Selection{}).Document(View{Hardware: true})
	if len(d.Lead) != 1 || !strings.HasPrefix(d.Lead[0], "No network is trained") {
		t.Errorf("the report begins %q", d.Lead)
	}
	if headers, _ := section(t, d, "Hardware"); slices.Contains(headers, "computed BPC") || !slices.Contains(headers, "energy nJ/char") {
		t.Errorf("columns %q", headers)
	}
}

// A network that a machine cannot run has the reason in the place of every figure.
func TestUnsupportedNetworks(t *testing.T) {
	t.Parallel()
	c := measured(t, "full", "layer", 1, 32, 1.5, `"epochs":8`)
	c.Backends = []string{"large", "small"}
	s := sample.Stored(t, c)
	sample.Deploy(t, s, store.Deployment{Experiment: c.ID, Backend: "small", Metric: new(1.5), Cost: costed(1, 1)})
	const reason = "it needs a circuit for a root"
	if err := s.PutDeployment(t.Context(), store.Deployment{Experiment: c.ID, Backend: "large", Status: store.Unsupported, Reason: reason}); err != nil {
		t.Fatal(err)
	}
	for _, part := range collect(t, s, Selection{}).Document(View{Hardware: true}).Sections[:3] {
		for _, cell := range part.Sheets[0].Rows[0][1:] { // behind the backend
			if cell.Text != "n/a" || !slices.Equal(cell.Notes, []string{"n/a: " + reason}) {
				t.Errorf("%s has the cell %q with the notes %q, want n/a with the reason", part.Heading, cell.Text, cell.Notes)
			}
		}
	}
}
