package plot

import (
	"slices"
	"strings"
	"testing"

	"bittern/reports"
)

// TestEnergyHasAFigureForEachBackend also checks that the front is of the backend's own
// scores, and that higher is better where it is.
func TestEnergyHasAFigureForEachBackend(t *testing.T) {
	t.Parallel()
	r := suite(4)
	for i, n := range r.Networks {
		n.Metric = "accuracy %"
		n.Deployments[0].Metric = of(90-float64(i), 0)
		n.Deployments[0].Energy = of(float64(12-i)*1e-9, 0)
	}
	// Dominated: dearer than the next and worse.
	r.Networks[5].Deployments[0].Metric = of(1, 0)
	figures := drawn(t, r, "energy")
	if len(figures) != 1 || figures[0].ID != "energy-warpeace-accuracy-asic-lowpower" {
		t.Fatalf("figures %+v, want that of asic-lowpower", figures)
	}
	root := parsed(t, figures[0].Inline)
	if got := root.titles("mark"); len(got) != 12 || !strings.Contains(got[1], ": accuracy % 89 (n=1), 11 (n=1) nJ a time step; on the Pareto front") || strings.Contains(got[5], "front") {
		t.Errorf("marks %q, want twelve, the second on the front and the sixth not", got)
	}
	var names []string
	for i := len(r.Networks) - 1; i >= 0; i-- {
		if i != 5 {
			names = append(names, name(r.Networks[i]))
		}
	}
	if got, want := root.titles("front"), "Pareto front, by nJ a time step: "+strings.Join(names, "; "); len(got) != 1 || got[0] != want {
		t.Errorf("front %q, want %q", got, want)
	}
}

func TestCurvesHaveALineForEachNetwork(t *testing.T) {
	t.Parallel()
	r := suite(3)
	e := &r.Experiments[2] // the third seed of the first network stopped early
	e.Validations = e.Validations[:4]
	for i := range 3 {
		r.Experiments[3+i].Validations = nil
		r.Experiments[3+i].Unread = "line 3 is damaged"
	}
	r.Experiments[0].Training = []reports.TrainingLoss{{Step: 10, Loss: 2}, {Step: 20, Loss: 1.5}}
	for i := range r.Experiments[1:] {
		r.Experiments[1+i].TrainingUnread = "the file is damaged"
	}
	figures := drawn(t, r, Curves)
	if len(figures) != 2 || figures[0].ID != "curves-warpeace-bpc" || figures[1].ID != "curves-warpeace-bpc-loss" {
		t.Fatalf("figures %+v, want validations and losses", figures)
	}
	if want := " n/a: none, lstm-layer, layer normalization (line 3 is damaged)."; !strings.HasSuffix(figures[0].Caption, want) {
		t.Errorf("caption %q, want the end %q", figures[0].Caption, want)
	}
	root := parsed(t, figures[0].Inline)
	lines := root.titles("line")
	if len(lines) != 8 || !strings.HasPrefix(lines[0], "none, lstm-weight, weight normalization: BPC ") || !strings.Contains(lines[0], "after 1200 steps (n=3), best") {
		t.Errorf("lines %q, want eight, the first as far as all seeds go", lines)
	}
	if seeds := root.titles("seed"); len(seeds) != 24 {
		t.Errorf("%d lines of seeds, want three of each of eight networks", len(seeds))
	}
	if points := root.titles("point"); len(points) != 4+7*10 || !strings.HasSuffix(points[0], " after 300 steps") {
		t.Errorf("%d points %q, want four and ten of each other network", len(points), points[0])
	}
	if want := " n/a: none, lstm-weight, weight normalization, seed 2; none, lstm-weight, weight normalization, seed 3; none, lstm-layer, layer normalization; "; !strings.Contains(figures[1].Caption, want) || !strings.HasSuffix(figures[1].Caption, " (the file is damaged).") {
		t.Errorf("caption %q, want %q with the reason", figures[1].Caption, want)
	}
	loss := parsed(t, figures[1].Inline)
	if got := loss.titles("line"); len(got) != 1 || got[0] != "none, lstm-weight, weight normalization: nats a target 1.5 after 20 steps (n=1), best 1.5 after 20" {
		t.Errorf("losses %q", got)
	}
}

func TestBarsHaveEveryPart(t *testing.T) {
	t.Parallel()
	r := suite(2)
	figures := drawn(t, r, "parts")
	var ids []string
	for _, f := range figures {
		ids = append(ids, f.ID)
	}
	if want := []string{"parts-energy-warpeace-bpc-asic-lowpower", "parts-memory-warpeace-bpc-asic-lowpower", "parts-memory-warpeace-bpc-cpu"}; !slices.Equal(ids, want) {
		t.Fatalf("figures %q, want %q", ids, want)
	}
	root := parsed(t, figures[0].Inline)
	if got := root.titles("part"); len(got) != 6*5 || got[0] != "none, lstm-weight, weight normalization: weight fetch 3200 nJ a time step of 8000 (40 %)" {
		t.Errorf("%d parts, the first %q; want five of each network", len(got), got[0])
	}
	for _, want := range []string{"none, batch-cell", "fixed-point, weight", "clock and control", "8000"} {
		if !slices.Contains(root.texts(), want) {
			t.Errorf("texts %q have no %q", root.texts(), want)
		}
	}
}
