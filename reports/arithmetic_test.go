package reports

import (
	"math"
	"strings"
	"testing"

	"bittern/reports/internal/sample"
)

// TestArithmetic collects networks trained with products of float32 and of bfloat16 on tasks of two
// names, and one with bfloat16 that has no partner for its other learning rate.
func TestArithmetic(t *testing.T) {
	t.Parallel()
	const exact, rounded, other = `"training":{"epochs":8}`, `"training":{"arithmetic":"bfloat16","epochs":8}`, `"training":{"arithmetic":"bfloat16","epochs":9}`
	a0, a1 := sample.Trained(t, 0, 10, exact), sample.Trained(t, 1, 10, exact)
	b0, b1 := sample.Trained(t, 0, 10, rounded), sample.Trained(t, 1, 10, rounded)
	alone := sample.Trained(t, 0, 10, other)
	b0.Task, b1.Task = "grammar-bfloat16", "grammar-bfloat16"
	*a0.FrozenModel, *a1.FrozenModel, *b0.FrozenModel, *b1.FrozenModel = 2, 2.02, 2.003, 2.021
	r := collect(t, sample.Stored(t, a0, a1, b0, b1, alone), Selection{})
	if len(r.Networks) != 3 {
		t.Fatalf("got %d networks, want 3", len(r.Networks))
	}
	for _, n := range r.Networks {
		switch named := strings.Contains(n.ModelName(), "bfloat16"); {
		case n.Arithmetic == "float32" && (named || n.Rounding != nil):
			t.Errorf("the network with float32 is %q and compared with %+v", n.ModelName(), n.Rounding)
		case n.Arithmetic == "bfloat16" && !named:
			t.Errorf("the model with bfloat16 is called %q", n.ModelName())
		case n.Task == "grammar-bfloat16":
			if n.Rounding == nil || math.Abs(*n.Rounding.Delta-0.002) > 1e-9 || n.Rounding.P == nil || *n.Rounding.P < 0.5 {
				t.Errorf("got comparison %+v, want a difference of 0.002 that the seeds cannot tell from chance", n.Rounding)
			}
		case n.Task == "grammar" && n.Arithmetic == "bfloat16" && n.Rounding != nil:
			t.Errorf("the network of 9 epochs is compared with one of 8")
		}
	}
	lines := roundedLines(r)
	columns := arithmeticColumns(lines, "BPC")
	if len(lines) != 1 {
		t.Fatalf("got %d rows, want 1", len(lines))
	}
	if at := find(columns, "rounding"); columns[at].cell(lines[0]).Text != "+0.0020 ~" {
		t.Errorf("got %q, want +0.0020 ~", columns[at].cell(lines[0]).Text)
	}
	for _, p := range r.Provenance {
		if !strings.Contains(p.String(), "with products of "+p.Arithmetic+",") {
			t.Errorf("the provenance %q does not name the arithmetic", p)
		}
	}
}
