package experiment

import (
	"context"
	"testing"

	"bittern/harness/suite"
	"bittern/harness/task"
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
	trainer := hookedTrainer(t, func() error { evaluations++; return nil })
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
	if _, err := trainer.frozen(t.Context(), task.Test); err != nil {
		t.Fatal(err)
	}
	check("another network", test)
}

// Weights that are drawn for each batch are those of another network each time.
func TestDrawnWeightsAreEvaluatedEachTime(t *testing.T) {
	t.Parallel()
	evaluations := 0
	trainer := hookedTrainer(t, func() error { evaluations++; return nil })
	trainer.quantizer = &drawing{halving: trainer.quantizer.(*halving)}
	for range 2 {
		if _, err := trainer.sampled(t.Context(), task.Valid, forValidation, 4); err != nil {
			t.Fatal(err)
		}
	}
	if want := 2 * trainer.task.Evaluation(task.Valid).Len(); evaluations != want {
		t.Errorf("%d batches evaluated, want %d", evaluations, want)
	}
}
