package experiment

import (
	"context"
	"errors"
	"testing"

	"bittern/harness/checkpoint"
	"bittern/harness/internal/pace"
	"bittern/harness/storage"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// slowCheckpoints save when they are let.
type slowCheckpoints struct {
	storage.Checkpoints
	let   chan error // what a save returns before it does anything; nil to go on
	saved []storage.Kind
}

func (s *slowCheckpoints) Save(ctx context.Context, kind storage.Kind, manifest checkpoint.Manifest, tensors []checkpoint.Tensor, p *pace.Pace) error {
	if err := <-s.let; err != nil {
		return err
	}
	s.saved = append(s.saved, kind)
	return s.Checkpoints.Save(ctx, kind, manifest, tensors, p)
}

// What is saved are the tensors of the moment of the save, however far training has gone on when
// they reach the disk; and training does not wait for that until it saves again.
func TestTrainingGoesOnWhileItIsSaved(t *testing.T) {
	t.Parallel()
	trainer := hookedTrainer(t, func(model.Evaluate) error { return nil })
	slow := &slowCheckpoints{Checkpoints: trainer.saves.saver.Checkpoints, let: make(chan error, 3)}
	trainer.saves.saver.Checkpoints = slow
	values := trainer.tensors.parameters[0].Value
	fill := func(value float32) {
		for i := range values {
			values[i] = value
		}
	}
	best := position{Step: 1}
	fill(1)
	if err := trainer.saves.save(t.Context(), &best, position{Step: 1}); err != nil {
		t.Fatal(err)
	}
	if err := trainer.beforeUpdate(); err != nil {
		t.Fatal(err)
	}
	fill(2)
	if busy, err := trainer.saves.busy(); !busy || err != nil {
		t.Fatalf("busy = %v, %v while it is saved", busy, err)
	}
	slow.let <- nil
	slow.let <- nil
	if err := trainer.saves.wait(); err != nil {
		t.Fatal(err)
	}
	if busy, err := trainer.saves.busy(); busy || err != nil {
		t.Errorf("busy = %v, %v after it was saved", busy, err)
	}
	for _, kind := range []storage.Kind{storage.Best, storage.Last} {
		list := trainer.tensors.resumed()
		if kind == storage.Best {
			list = trainer.tensors.frozen()
		}
		fill(3)
		at, err := trainer.saves.saver.load(t.Context(), kind, list)
		if err != nil || at.Step != 1 || values[0] != 1 || values[len(values)-1] != 1 {
			t.Errorf("the %s checkpoint is of step %d with %v, %v, want step 1 with ones", kind, at.Step, values, err)
		}
	}
	if len(slow.saved) != 2 || slow.saved[0] != storage.Best {
		t.Errorf("saved %v, want the best network before the position that refers to it", slow.saved)
	}
}

// A checkpoint that cannot be saved ends the training, once.
func TestASaveThatFailsIsTold(t *testing.T) {
	t.Parallel()
	fault := errors.New("no room")
	trainer := hookedTrainer(t, func(model.Evaluate) error { return nil })
	slow := &slowCheckpoints{Checkpoints: trainer.saves.saver.Checkpoints, let: make(chan error, 1)}
	trainer.saves.saver.Checkpoints = slow
	slow.let <- fault
	if err := trainer.saves.save(t.Context(), nil, position{}); err != nil {
		t.Fatal(err)
	}
	if err := trainer.saves.save(t.Context(), nil, position{}); !errors.Is(err, fault) {
		t.Errorf("the next save = %v, want %v", err, fault)
	}
	if err := trainer.saves.wait(); err != nil {
		t.Errorf("the error is told twice: %v", err)
	}
	trainer.spec.Task.Training.CheckpointSteps = 1
	slow.let <- fault
	if err := trainer.run(t.Context()); err == nil || err.Error() != fault.Error() {
		t.Errorf("run = %v, want %v alone", err, fault)
	}
}

// Every update waits for the copy of the parameters, and does not come if that failed.
func TestAnUpdateWaitsForTheCopy(t *testing.T) {
	t.Parallel()
	trainer := hookedTrainer(t, func(model.Evaluate) error { return nil })
	waits, fault := 0, errors.New("no memory")
	trainer.beforeUpdate = func() error {
		if waits++; waits == 3 {
			return fault
		}
		return nil
	}
	if err := trainer.run(t.Context()); !errors.Is(err, fault) || trainer.at.Step != 2 {
		t.Errorf("run = %v after %d steps, want %v after 2", err, trainer.at.Step, fault)
	}
}

// gathering is a model whose statistics become 2.
type gathering struct {
	model.Model
	statistics []float32
	before     func()
}

func (g *gathering) Evaluate(ctx context.Context, request model.Evaluate) (network.Score, error) {
	if request.Statistics == model.Calibrate {
		g.before()
		g.statistics[0] = 2
	}
	return g.Model.Evaluate(ctx, request)
}

// A snapshot has no copy of statistics, so a validation gathers none while they are being saved.
func TestStatisticsWaitForTheSave(t *testing.T) {
	t.Parallel()
	trainer := hookedTrainer(t, func(model.Evaluate) error { return nil })
	trainer.spec.Task.Training.ValidationCalibration = 1
	slow := &slowCheckpoints{Checkpoints: trainer.saves.saver.Checkpoints, let: make(chan error, 3)}
	trainer.saves.saver.Checkpoints = slow
	statistics := []float32{1}
	trainer.tensors.buffers = append(trainer.tensors.buffers, buffer{Buffer: model.Buffer{Name: "mean", Shape: []int{1}, Statistic: true}, Values: statistics})
	var err error
	if trainer.saves.snapshot, err = newSnapshot(trainer.arena, trainer.tensors); err != nil {
		t.Fatal(err)
	}
	trainer.model = &gathering{trainer.model, statistics, func() {
		if trainer.saves.result != nil {
			t.Error("statistics are gathered while they are being saved")
		}
	}}
	if err := trainer.saves.save(t.Context(), nil, position{}); err != nil {
		t.Fatal(err)
	}
	for range cap(slow.let) { // that save, and the best network and the position after the validation
		slow.let <- nil
	}
	if err := errors.Join(trainer.validate(t.Context()), trainer.saves.wait()); err != nil {
		t.Fatal(err)
	}
	statistics[0] = 3
	if _, err := trainer.saves.saver.load(t.Context(), storage.Last, trainer.tensors.resumed()); err != nil || statistics[0] != 2 {
		t.Errorf("saved the statistics %v, %v, want 2", statistics, err)
	}
}

// The copy before an update, of an LSTM with 512 units and Adam's moments.
func BenchmarkSnapshot(b *testing.B) {
	const rows, columns = 4 * 512, 512 + 87
	t := &tensors{}
	values := func() []float32 { return make([]float32, rows*columns) }
	t.parameters = append(t.parameters, parameter{
		Parameter: model.Parameter{Name: "w", Shape: []int{rows, columns}},
		Tensors:   model.Tensors{Value: values(), Moment1: values(), Moment2: values()},
	})
	s, err := newSnapshot(nil, t)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(bytesOf(s.from))
	for b.Loop() {
		if err := s.begin(); err != nil {
			b.Fatal(err)
		}
		if err := s.finish(); err != nil {
			b.Fatal(err)
		}
	}
}
