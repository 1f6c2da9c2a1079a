package experiment_test

import (
	"strings"
	"testing"
	"time"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/plugins/model"
)

// TestArithmeticInTheIdentity holds that experiments with float32 are those that they were before
// there was another arithmetic, and that one with bfloat16 is another.
func TestArithmeticInTheIdentity(t *testing.T) {
	t.Parallel()
	ids := map[model.Arithmetic]string{}
	for _, arithmetic := range []model.Arithmetic{"", model.Float32, model.BFloat16} {
		s := spec(t)
		s.Task.Training.Arithmetic = arithmetic
		row, err := s.Row()
		if err != nil {
			t.Fatal(err)
		}
		ids[arithmetic] = row.ID
		if named := strings.Contains(string(row.Config), "arithmetic"); named != (arithmetic == model.BFloat16) {
			t.Errorf("with arithmetic %q the configuration is %s", arithmetic, row.Config)
		}
		if want := `"instruction_set":"` + isa.Numbers() + `"`; !strings.Contains(string(row.Config), want) {
			t.Errorf("with arithmetic %q the configuration is %s, want %s in it", arithmetic, row.Config, want)
		}
	}
	if ids[""] != ids[model.Float32] || ids[model.BFloat16] == ids[model.Float32] {
		t.Errorf("got identities %v, want one for no arithmetic and float32, and another for bfloat16", ids)
	}
}

// TestArithmeticIsRefused holds that nothing is trained by a model that cannot round its products.
func TestArithmeticIsRefused(t *testing.T) {
	t.Parallel()
	s := spec(t)
	s.Task.Training.Arithmetic = model.BFloat16
	checker := &experiment.Checker{Catalogue: catalogue, Deadline: time.Minute, Runs: t.TempDir()}
	closeAfter(t, checker)
	wantProblem(t, checker.Check(t.Context(), s), "model bigram trains with float32 alone, and task grammar with bfloat16; set training arithmetic: float32")
}
