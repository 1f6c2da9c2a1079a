// Package storagetest has the suite that every implementation of package storage must pass.
package storagetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/plugins/network/sample"
)

// Place is an empty place to keep experiments in, of a test.
type Place interface {
	// Open opens the place as another process would.
	Open(t *testing.T) storage.Storage
	// Metrics reads the metrics of an experiment that nobody has locked.
	Metrics(t *testing.T, experiment string) ([]store.Step, []store.Validation)
}

// id is the experiment of the tests.
const id = "0123456789abcdef"

// Run runs the suite. fresh makes an empty place.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"rows are kept": rowsAreKept,
		"a result is not replaced by an unfinished":   aResultStays,
		"reset removes results":                       resetRemovesResults,
		"deployments are kept":                        deploymentsAreKept,
		"metrics are cut where training goes on":      metricsAreCut,
		"a validation done again replaces the first":  validationsAreReplaced,
		"checkpoints are kept":                        checkpointsAreKept,
		"a checkpoint fits its experiment":            checkpointsFit,
		"artifacts are kept":                          artifactsAreKept,
		"only one process at a time writes":           oneWriter,
		"what was saved before the release is kept":   releaseKeeps,
		"an experiment that nobody knows has nothing": nothingOfTheUnknown,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// locked calls work with the place, opened and the experiment locked.
func locked(t *testing.T, p Place, work func(storage.Storage)) {
	t.Helper()
	s := p.Open(t)
	release, err := s.Journal.Lock(t.Context(), id)
	must(t, err)
	work(s)
	must(t, release())
}

func pending() store.Experiment {
	return store.Experiment{
		ID: id, Config: json.RawMessage(`{"seed":3}`), Status: store.Pending,
		Task: "text", Model: "lstm", Quantizer: "none", Seed: 1<<63 + 3,
	}
}

// done is a row with a value in every field that one can have.
func done() store.Experiment {
	figure, noon := 1.25, time.Date(2026, 3, 1, 12, 0, 0, 7, time.UTC)
	row := pending()
	row.Status, row.Steps, row.Epochs, row.Metric = store.Done, 40, 2, "BPC"
	row.BestValidation, row.BestStep, row.PaperStyle, row.FrozenModel, row.FrozenLoss = &figure, 30, &figure, &figure, &figure
	row.PaperStyleGroups = []store.GroupScore{{Group: "one", Score: figure, Targets: 5}}
	row.FrozenModelGroups = []store.GroupScore{{Group: "two", Score: figure, Targets: 6}}
	row.Freeze, row.CalibrationSequences = json.RawMessage(`{"draws":1}`), 12
	row.Draws = []store.FreezeDraw{{Validation: figure, Test: figure, Deployed: true, BitsPerWeight: 2}}
	row.Settings = []store.Setting{{Name: "units", Value: "8"}}
	row.Parameters, row.RecurrentBytes, row.DeployedBytes, row.Artifact, row.TrainSeconds = 7, 1.5, 9, "sum", 0.25
	row.StartedAt, row.FinishedAt, row.Provenance = noon, noon.Add(time.Hour), json.RawMessage(`{"data":"text"}`)
	return row
}

func wantRow(t *testing.T, p Place, want store.Experiment) {
	t.Helper()
	locked(t, p, func(s storage.Storage) {
		got, err := s.Journal.Experiment(t.Context(), id)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the row (-want +got):\n%s", diff)
		}
	})
}

func rowsAreKept(t *testing.T, p Place) {
	failed := pending()
	failed.Status, failed.Reason, failed.Stderr = store.Failed, "the plugin crashed", "boom\n"
	for _, row := range []store.Experiment{failed, pending(), done()} {
		locked(t, p, func(s storage.Storage) { must(t, s.Journal.PutExperiment(t.Context(), row)) })
		wantRow(t, p, row)
	}
}

func aResultStays(t *testing.T, p Place) {
	locked(t, p, func(s storage.Storage) {
		must(t, s.Journal.PutExperiment(t.Context(), done()))
		if err := s.Journal.PutExperiment(t.Context(), pending()); !errors.Is(err, store.ErrDone) {
			t.Errorf("PutExperiment of an unfinished row = %v, want %v", err, store.ErrDone)
		}
	})
	wantRow(t, p, done())
}

func deployment(backend string, metric float64) store.Deployment {
	seconds := 0.5
	return store.Deployment{
		Experiment: id, Backend: backend, Config: json.RawMessage(`{"name":"` + backend + `"}`), Status: store.Done,
		Metric: &metric, Cost: &store.Cost{Steps: map[string]int{"text": 5}, Seconds: &seconds, Energy: []store.Part{{Name: "weights", Value: metric}}},
		Provenance: json.RawMessage(`{"backend":"` + backend + `"}`),
	}
}

func wantDeployments(t *testing.T, p Place, want ...store.Deployment) {
	t.Helper()
	locked(t, p, func(s storage.Storage) {
		got, err := s.Journal.Deployments(t.Context(), id)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the deployments (-want +got):\n%s", diff)
		}
	})
}

func deploymentsAreKept(t *testing.T, p Place) {
	locked(t, p, func(s storage.Storage) {
		must(t, s.Journal.PutExperiment(t.Context(), done()))
		must(t, s.Journal.PutDeployment(t.Context(), deployment("cpu", 1)))
		must(t, s.Journal.PutDeployment(t.Context(), deployment("asic", 2)))
	})
	wantDeployments(t, p, deployment("asic", 2), deployment("cpu", 1))
	locked(t, p, func(s storage.Storage) {
		must(t, s.Journal.PutDeployment(t.Context(), deployment("cpu", 3)))
		failed := deployment("asic", 2)
		failed.Status = store.Failed
		if err := s.Journal.PutDeployment(t.Context(), failed); !errors.Is(err, store.ErrDone) {
			t.Errorf("PutDeployment of a failure in place of a result = %v, want %v", err, store.ErrDone)
		}
	})
	wantDeployments(t, p, deployment("asic", 2), deployment("cpu", 3))
	locked(t, p, func(s storage.Storage) { must(t, s.Journal.DropDeployments(t.Context(), id)) })
	wantDeployments(t, p)
}

func resetRemovesResults(t *testing.T, p Place) {
	locked(t, p, func(s storage.Storage) {
		must(t, s.Journal.PutExperiment(t.Context(), done()))
		must(t, s.Journal.PutDeployment(t.Context(), deployment("cpu", 1)))
		must(t, s.Journal.Reset(t.Context(), pending()))
	})
	wantRow(t, p, pending())
	wantDeployments(t, p)
}

// record appends steps and a validation behind them.
func record(t *testing.T, m storage.Metrics, from, to uint64, score float64) {
	t.Helper()
	for step := from; step < to; step++ {
		must(t, m.Append(store.Step{Step: step, Loss: score, GradNorm: 1, LearningRate: 0.5, Seconds: 0.25}))
	}
	must(t, m.AppendValidation(store.Validation{Step: to, Deployable: score, PaperStyle: &score}))
	must(t, errors.Join(m.Sync(), m.Close()))
}

func wantMetrics(t *testing.T, p Place, losses, validations []float64) {
	t.Helper()
	steps, scores := p.Metrics(t, id)
	var gotLosses, gotScores []float64
	for i, step := range steps {
		if step.Step != uint64(i) || step.Seconds != 0.25 || step.LearningRate != 0.5 {
			t.Errorf("step %d is %+v", i, step)
		}
		gotLosses = append(gotLosses, step.Loss)
	}
	for _, v := range scores {
		gotScores = append(gotScores, v.Deployable)
	}
	if !slices.Equal(gotLosses, losses) || !slices.Equal(gotScores, validations) {
		t.Errorf("losses %v and validations %v, want %v and %v", gotLosses, gotScores, losses, validations)
	}
}

func metricsAreCut(t *testing.T, p Place) {
	for _, sitting := range []struct {
		done, from, to uint64
		score          float64
	}{{0, 0, 4, 1}, {2, 2, 3, 2}} {
		locked(t, p, func(s storage.Storage) {
			m, err := s.Journal.Metrics(t.Context(), id, sitting.done)
			must(t, err)
			record(t, m, sitting.from, sitting.to, sitting.score)
		})
	}
	wantMetrics(t, p, []float64{1, 1, 2}, []float64{2})
	locked(t, p, func(s storage.Storage) {
		m, err := s.Journal.Metrics(t.Context(), id, 0)
		must(t, err)
		record(t, m, 0, 1, 3)
	})
	wantMetrics(t, p, []float64{3}, []float64{3})
}

func validationsAreReplaced(t *testing.T, p Place) {
	for _, score := range []float64{1, 2} {
		locked(t, p, func(s storage.Storage) {
			m, err := s.Journal.Metrics(t.Context(), id, uint64(score-1)*2)
			must(t, err)
			if score == 1 {
				record(t, m, 0, 2, score)
				return
			}
			must(t, m.AppendValidation(store.Validation{Step: 2, Deployable: score}))
			must(t, m.Close())
		})
	}
	wantMetrics(t, p, []float64{1, 1}, []float64{2})
}

// tensors are of two types, filled with a value.
func tensors(value float32) []checkpoint.Tensor {
	return []checkpoint.Tensor{
		{Name: "weights", Shape: []int{2, 3}, Float32: slices.Repeat([]float32{value}, 6)},
		{Name: "counts", Shape: []int{2}, Int32: slices.Repeat([]int32{int32(value)}, 2)},
	}
}

func manifest(step uint64) checkpoint.Manifest {
	score := float64(step)
	return checkpoint.Manifest{Experiment: id, Step: step, Epoch: 1, BestValidation: &score, State: json.RawMessage(fmt.Sprintf(`{"step":%d}`, step))}
}

func wantCheckpoint(t *testing.T, s storage.Storage, kind storage.Kind, step uint64) {
	t.Helper()
	into := tensors(0)
	got, err := s.Checkpoints.Load(t.Context(), kind, id, into)
	must(t, err)
	got.State = compacted(t, got.State)
	if diff := cmp.Diff(manifest(step), got); diff != "" {
		t.Errorf("the manifest of the %s checkpoint (-want +got):\n%s", kind, diff)
	}
	if diff := cmp.Diff(tensors(float32(step)), into); diff != "" {
		t.Errorf("the tensors of the %s checkpoint (-want +got):\n%s", kind, diff)
	}
}

func compacted(t *testing.T, text json.RawMessage) json.RawMessage {
	t.Helper()
	var plain bytes.Buffer
	must(t, json.Compact(&plain, text))
	return plain.Bytes()
}

func checkpointsAreKept(t *testing.T, p Place) {
	locked(t, p, func(s storage.Storage) {
		for step := range uint64(3) {
			saved := tensors(float32(step))
			must(t, s.Checkpoints.Save(t.Context(), storage.Best, manifest(step), saved, nil))
			must(t, s.Checkpoints.Save(t.Context(), storage.Last, manifest(step+1), tensors(float32(step+1)), nil))
			saved[0].Float32[0] = -1 // training goes on while it is being saved
		}
		wantCheckpoint(t, s, storage.Last, 3)
	})
	locked(t, p, func(s storage.Storage) {
		must(t, s.Checkpoints.Sweep(t.Context(), id))
		wantCheckpoint(t, s, storage.Best, 2)
		wantCheckpoint(t, s, storage.Last, 3)
		must(t, s.Checkpoints.Remove(t.Context(), storage.Last, id))
		must(t, s.Checkpoints.Remove(t.Context(), storage.Last, id)) // there is none any more
	})
	locked(t, p, func(s storage.Storage) {
		if _, err := s.Checkpoints.Load(t.Context(), storage.Last, id, tensors(0)); !errors.Is(err, checkpoint.ErrNone) {
			t.Errorf("Load of what was removed = %v, want %v", err, checkpoint.ErrNone)
		}
		wantCheckpoint(t, s, storage.Best, 2)
	})
}

func checkpointsFit(t *testing.T, p Place) {
	locked(t, p, func(s storage.Storage) {
		must(t, s.Checkpoints.Save(t.Context(), storage.Last, manifest(1), tensors(1), nil))
		into := tensors(0)
		into[0].Shape = []int{3, 2}
		_, err := s.Checkpoints.Load(t.Context(), storage.Last, id, into)
		if _, ok := errors.AsType[*plugins.Problem](err); !ok || into[0].Float32[0] != 0 {
			t.Errorf("Load into other shapes = %v and %v, want a problem and nothing filled", err, into[0].Float32)
		}
	})
}

// network is one of the samples.
func network() artifact.Network {
	program := sample.Programs()[0]
	return artifact.Network{Program: program.Network, Weights: program.Weights}
}

func artifactsAreKept(t *testing.T, p Place) {
	n := network()
	want, err := artifact.Write(t.TempDir(), n)
	must(t, err)
	locked(t, p, func(s storage.Storage) {
		checksum, err := s.Artifacts.Write(t.Context(), id, n)
		must(t, err)
		if checksum != want {
			t.Errorf("the checksum is %s, want that of every storage, %s", checksum, want)
		}
	})
	locked(t, p, func(s storage.Storage) {
		must(t, s.Artifacts.Sweep(t.Context(), id))
		got, err := s.Artifacts.Read(t.Context(), id, want)
		must(t, err)
		if again, err := artifact.Write(t.TempDir(), got); err != nil || again != want {
			t.Errorf("what was read has the checksum %s, %v, want %s", again, err, want)
		}
		_, err = s.Artifacts.Read(t.Context(), id, id)
		if _, ok := errors.AsType[*plugins.Problem](err); !ok {
			t.Errorf("Read of another checksum = %v, want a problem", err)
		}
		must(t, s.Artifacts.Remove(t.Context(), id))
		must(t, s.Artifacts.Remove(t.Context(), id))
		_, err = s.Artifacts.Read(t.Context(), id, want)
		if _, ok := errors.AsType[*plugins.Problem](err); !ok {
			t.Errorf("Read of what was removed = %v, want a problem", err)
		}
	})
}

// oneWriter has two processes lock an experiment: either the second is refused, or the first
// can write no more.
func oneWriter(t *testing.T, p Place) {
	first, second := p.Open(t), p.Open(t)
	release, err := first.Journal.Lock(t.Context(), id)
	must(t, err)
	must(t, first.Checkpoints.Save(t.Context(), storage.Best, manifest(1), tensors(1), nil))
	must(t, first.Journal.PutExperiment(t.Context(), pending()))
	other, err := second.Journal.Lock(t.Context(), id)
	if _, held := errors.AsType[*store.Held](err); held {
		must(t, release())
		other, err = second.Journal.Lock(t.Context(), id)
		must(t, err)
		must(t, other())
		return
	}
	must(t, err)
	late := done()
	late.Reason = "late"
	if err := errors.Join(first.Journal.PutExperiment(t.Context(), late), release()); err == nil {
		t.Error("the first process could write after the second had the lock")
	}
	must(t, second.Journal.PutExperiment(t.Context(), done()))
	must(t, other())
	wantRow(t, p, done())
}

func releaseKeeps(t *testing.T, p Place) {
	running := pending()
	running.Status, running.Steps = store.Running, 5
	locked(t, p, func(s storage.Storage) {
		must(t, s.Checkpoints.Save(t.Context(), storage.Last, manifest(5), tensors(5), nil))
		must(t, s.Journal.PutExperiment(t.Context(), running))
	})
	locked(t, p, func(s storage.Storage) { wantCheckpoint(t, s, storage.Last, 5) })
	wantRow(t, p, running)
}

func nothingOfTheUnknown(t *testing.T, p Place) {
	locked(t, p, func(s storage.Storage) {
		if _, err := s.Journal.Experiment(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Experiment = %v, want %v", err, store.ErrNotFound)
		}
		if err := s.Journal.Reset(t.Context(), pending()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Reset = %v, want %v", err, store.ErrNotFound)
		}
		if list, err := s.Journal.Deployments(t.Context(), id); err != nil || len(list) > 0 {
			t.Errorf("Deployments = %v, %v, want none", list, err)
		}
		if _, err := s.Journal.LastDone(t.Context(), pending()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LastDone = %v, want %v", err, store.ErrNotFound)
		}
		for _, kind := range []storage.Kind{storage.Last, storage.Best} {
			if _, err := s.Checkpoints.Load(t.Context(), kind, id, tensors(0)); !errors.Is(err, checkpoint.ErrNone) {
				t.Errorf("Load of the %s checkpoint = %v, want %v", kind, err, checkpoint.ErrNone)
			}
		}
		must(t, errors.Join(s.Checkpoints.Sweep(t.Context(), id), s.Artifacts.Sweep(t.Context(), id)))
	})
}
