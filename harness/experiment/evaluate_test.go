package experiment

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/suite"
	"bittern/harness/task"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
)

// drawing draws other weights each time, as often as it says.
type drawing struct {
	*halving
	draws int
}

func (d *drawing) Quantize(ctx context.Context, draw quantizer.Draw) error {
	if err := d.halving.Quantize(ctx, draw); err != nil {
		return err
	}
	d.draws++
	d.weights[0].Quantized[0] = float32(d.draws)
	return nil
}

// The null model has no statistics, and the null quantizer does not draw: all scores of a
// part are of the same network, which is evaluated once for all of them.
func TestTheSameNetworkIsEvaluatedOnce(t *testing.T) {
	t.Parallel()
	evaluations := 0
	trainer := hookedTrainer(t, func(model.Evaluate) error { evaluations++; return nil })
	valid, test := trainer.task.Evaluation(task.Valid).Len(), trainer.task.Evaluation(task.Test).Len()
	if valid < 2 || test < 2 {
		t.Fatalf("the parts have %d and %d batches, which tell nothing", valid, test)
	}
	check := func(what string, want int) {
		t.Helper()
		if evaluations != want {
			t.Errorf("%s: %d batches evaluated, want %d", what, evaluations, want)
		}
		evaluations = 0
	}
	if err := trainer.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("a validation", valid)

	settings := suite.Freeze{Draws: 2, CalibrationBatches: 3}
	network, err := trainer.freeze(t.Context(), settings, 4)
	if err != nil {
		t.Fatal(err)
	}
	check("a freeze after it", test)
	if network.paperStyle.metric != network.frozen.metric {
		t.Errorf("the scores %v and %v of the same network differ", network.paperStyle.metric, network.frozen.metric)
	}

	trainer.tensors.weights[0].Quantized[0]++
	if _, err := trainer.frozen(t.Context(), task.Test, ""); err != nil {
		t.Fatal(err)
	}
	check("another network", test)
	for _, arithmetic := range []model.Arithmetic{model.Float32, model.BFloat16, model.BFloat16} {
		if _, err := trainer.frozen(t.Context(), task.Test, arithmetic); err != nil {
			t.Fatal(err)
		}
	}
	check("the same network with float32 again and twice with bfloat16", test)
}

// What selects a network is computed as it is trained, what is reported of it with float32.
func TestOnlyValidationsHaveTheArithmeticOfTraining(t *testing.T) {
	t.Parallel()
	asked := map[model.Arithmetic]int{}
	trainer := hookedTrainer(t, func(request model.Evaluate) error { asked[request.Arithmetic]++; return nil })
	check := func(what string, want map[model.Arithmetic]int) {
		t.Helper()
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("evaluations of %s by arithmetic (-want +got):\n%s", what, diff)
		}
		clear(asked)
	}
	trainer.spec.Task.Training.Arithmetic = model.BFloat16
	if err := trainer.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	valid, test := trainer.task.Evaluation(task.Valid).Len(), trainer.task.Evaluation(task.Test).Len()
	check("a training", map[model.Arithmetic]int{model.BFloat16: valid})
	if _, err := trainer.freeze(t.Context(), suite.Freeze{Draws: 2, CalibrationBatches: 3}, 4); err != nil {
		t.Fatal(err)
	}
	check("a freeze", map[model.Arithmetic]int{model.Float32: valid + test})
}

// Weights that are drawn for each batch are those of another network each time.
func TestDrawnWeightsAreEvaluatedEachTime(t *testing.T) {
	t.Parallel()
	evaluations := 0
	trainer := hookedTrainer(t, func(model.Evaluate) error { evaluations++; return nil })
	trainer.quantizer = &drawing{halving: trainer.quantizer.(*halving)}
	for range 2 {
		if _, err := trainer.sampled(t.Context(), task.Valid, model.Float32, forValidation, 4); err != nil {
			t.Fatal(err)
		}
	}
	if want := 2 * trainer.task.Evaluation(task.Valid).Len(); evaluations != want {
		t.Errorf("%d batches evaluated, want %d", evaluations, want)
	}
}
