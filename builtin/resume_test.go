package builtin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"bittern/builtin"
	"bittern/harness/checkpoint"
	"bittern/harness/experiment"
	"bittern/harness/provenance"
	"bittern/harness/schedule"
	"bittern/harness/storage"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/model"
)

// doomedVariable names the folder of runs of a harness that is to be killed, and
// doomedQuantizer and doomedArithmetic say what it trains with.
const (
	doomedVariable   = "BITTERN_TEST_DOOMED_RUNS"
	doomedQuantizer  = "BITTERN_TEST_DOOMED_QUANTIZER"
	doomedArithmetic = "BITTERN_TEST_DOOMED_ARITHMETIC"
)

// recipe is what the experiments of this file differ in.
type recipe struct {
	quantizer  string // as an entry of a suite
	arithmetic model.Arithmetic
}

// doomed is a harness that kills itself, as kill -9 would, between two checkpoints: the
// test binary, started again.
func doomed() {
	ctx, runs := context.Background(), os.Getenv(doomedVariable)
	of := recipe{os.Getenv(doomedQuantizer), model.Arithmetic(os.Getenv(doomedArithmetic))}
	err := train(ctx, runs, of, func(p experiment.Progress) {
		if p.Stage == experiment.Training && p.Step == 14 {
			err := awaitCheckpoint(ctx, runs, of, 12)
			if err == nil {
				err = die()
			}
			fmt.Fprintln(os.Stderr, "kill:", err)
			os.Exit(1)
		}
	})
	fmt.Fprintln(os.Stderr, "the doomed harness lived on:", err)
	os.Exit(1)
}

// awaitCheckpoint waits until the checkpoint of a step, which is saved beside the steps that
// follow it, is whole.
func awaitCheckpoint(ctx context.Context, runs string, of recipe, step uint64) error {
	spec, _, err := learning(ctx, of)
	if err != nil {
		return err
	}
	row, err := spec.Row()
	if err != nil {
		return err
	}
	for {
		saved, _, err := checkpoint.Read(filepath.Join(runs, row.ID, string(storage.Last)), row.ID)
		if err == nil && saved.Step == step {
			return nil
		}
		if err != nil && !errors.Is(err, checkpoint.ErrNone) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// die kills this process, and returns only if that failed.
func die() error {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err == nil {
		select {} // until the signal is delivered
	}
	return err
}

// learning is an experiment of the recipe, saved every 4 of its 40 steps.
func learning(ctx context.Context, of recipe) (*experiment.Spec, *host.Catalogue, error) {
	var ids []plugins.ID
	for _, plugin := range builtin.Plugins() {
		ids = append(ids, plugin.ID)
	}
	catalogue, err := host.NewCatalogue(ids, "")
	if err != nil {
		return nil, nil, err
	}
	parsed, err := suite.Parse("resumed", fmt.Appendf(nil, `
name: resumed
seeds: [1]
threads: 1
tasks:
  - {task: delayed-copy, batch: 16, length: 12, delay: 2, examples: 640, evaluated: 32}
models:
  - {plugin: lstm, options: [units=48, normalization=layer]}
quantizers: [%s]
backends:
  - {plugin: cpu}
training: {learning_rate: 0.02, epochs: 1, validate_every: 10, checkpoint_every_steps: 4, arithmetic: %s}
freeze: {draws: 1}
`, of.quantizer, of.arithmetic))
	if err != nil {
		return nil, nil, err
	}
	specs, err := schedule.Prepare(ctx, parsed, catalogue, "")
	if err != nil {
		return nil, nil, err
	}
	return specs[0], catalogue, nil
}

// train runs the experiment to its end, from where the folder of runs has it.
func train(ctx context.Context, runs string, of recipe, progress func(experiment.Progress)) error {
	spec, catalogue, err := learning(ctx, of)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, runs)
	if err != nil {
		return err
	}
	runner := experiment.Runner{
		Catalogue: catalogue, Storage: storage.InFolder(s), Machine: provenance.Machine{Commit: "test"}, Deadline: time.Minute, Log: func(string) {},
	}
	failed, err := runner.Run(ctx, spec, progress)
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("failed on %v", failed)
	}
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
}

// TestGoesOnToTheSameBytes kills a harness between two checkpoints of a quantizer with
// trained states, or of training with bfloat16; what goes on from the last one must end as what was
// not disturbed: every step's loss, the best network with its states, and what is deployed.
func TestGoesOnToTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]recipe{
		"ttq":         {"{plugin: ttq}", model.Float32},
		"lsq":         {"{plugin: lsq}", model.Float32},
		"lsq per row": {"{plugin: lsq, options: [bits=4, scale=row]}", model.Float32},
		"bfloat16":    {"{plugin: stochastic-ternary}", model.BFloat16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, _, err := learning(t.Context(), of)
			must(t, err)
			row, err := spec.Row()
			must(t, err)
			undisturbed, runs := t.TempDir(), t.TempDir()
			must(t, train(t.Context(), undisturbed, of, func(experiment.Progress) {}))
			killed(t, runs, of)
			from := 0
			must(t, train(t.Context(), runs, of, func(p experiment.Progress) {
				if p.Stage == experiment.Resuming {
					from = p.Step
				}
			}))
			if from != 12 {
				t.Errorf("training went on from step %d, want it from the checkpoint of step 12", from)
			}
			want, got := resultFiles(t, filepath.Join(undisturbed, row.ID)), resultFiles(t, filepath.Join(runs, row.ID))
			for name, content := range want {
				if !bytes.Equal(content, got[name]) {
					t.Errorf("%s differs from that of the undisturbed run", name)
				}
			}
		})
	}
}

// killed runs a harness that kills itself.
func killed(t *testing.T, runs string, of recipe) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), doomedVariable+"="+runs, doomedQuantizer+"="+of.quantizer, doomedArithmetic+"="+string(of.arithmetic))
	output, err := command.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok || bytes.Contains(output, []byte("lived on")) || bytes.Contains(output, []byte("kill:")) {
		t.Fatalf("the harness ended with %v, want it killed: %s", err, output)
	}
}

// resultFiles reads what must be the same in every run of an experiment.
func resultFiles(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, pattern := range map[string]string{
		"the record of steps": "steps.jsonl", "the deployed network": "deployed/deployed.safetensors", "the best network": "best/*.safetensors",
	} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		must(t, err)
		if len(found) != 1 {
			t.Fatalf("%s is %v, want one file", name, found)
		}
		files[name], err = os.ReadFile(found[0])
		must(t, err)
	}
	return files
}
