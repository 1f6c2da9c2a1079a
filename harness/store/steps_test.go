package store

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func step(i int) Step {
	return Step{
		Step: uint64(i), Epoch: i / 3, Loss: 4.5 / float64(i+1), GradNorm: 0.1 * float64(i),
		LearningRate: 0.002, Seconds: 0.25 * float64(i),
	}
}

func appendSteps(t *testing.T, dir string, done uint64, from, to int) {
	t.Helper()
	s, err := OpenSteps(dir, done)
	must(t, err)
	for i := from; i < to; i++ {
		must(t, s.Append(step(i)))
	}
	must(t, s.Sync())
	must(t, s.Close())
}

func content(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, stepsName))
	must(t, err)
	return string(text)
}

func TestStepsSurvive(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "experiment")
	if got, err := ReadSteps(dir); err != nil || got != nil {
		t.Fatalf("before: got %v, %v; want none", got, err)
	}
	appendSteps(t, dir, 0, 0, 7)
	var want []Step
	for i := range 7 {
		want = append(want, step(i))
	}
	got, err := ReadSteps(dir)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("steps differ (-want +got): %v\n%s", err, diff)
	}
}

func TestStepsOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	appendSteps(t, dir, 0, 2, 3)
	const want = `{"step":2,"epoch":0,"loss":1.5,"grad_norm":0.2,"learning_rate":0.002}` + "\n"
	if got := content(t, dir); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A run killed at step 9 that goes on from its checkpoint after step 5 leaves the
// bytes of the undisturbed one, wherever in a line it was cut.
func TestResumedStepsAreTheSame(t *testing.T) {
	t.Parallel()
	undisturbed := t.TempDir()
	appendSteps(t, undisturbed, 0, 0, 12)
	want := content(t, undisturbed)
	for _, torn := range []int64{0, 1, 20, 60} {
		dir := t.TempDir()
		appendSteps(t, dir, 0, 0, 9)
		for _, name := range []string{stepsName, secondsName} {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Truncate(path, info.Size()-torn))
		}
		appendSteps(t, dir, 5, 5, 12)
		if got := content(t, dir); got != want {
			t.Errorf("%d bytes torn off: got\n%s\nwant\n%s", torn, got, want)
		}
		steps, err := ReadSteps(dir)
		if err != nil || len(steps) != 12 || steps[11] != step(11) {
			t.Errorf("%d bytes torn off: read %d steps, %v; want 12", torn, len(steps), err)
		}
	}
}

func TestStepsBeginAfresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, stepsName), []byte("damaged\n"), 0o600))
	appendSteps(t, dir, 0, 0, 1)
	if got, err := ReadSteps(dir); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v; want 1 step", got, err)
	}
}

func TestTornLineIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	appendSteps(t, dir, 0, 0, 3)
	must(t, os.Truncate(filepath.Join(dir, stepsName), int64(len(content(t, dir))-1)))
	if got, err := ReadSteps(dir); err != nil || len(got) != 2 || got[1] != step(1) {
		t.Errorf("got %v, %v; want the first 2 steps", got, err)
	}
}

func TestDamagedSteps(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"{\"step\":\n", "{}\n", "\n", "null\n"} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, stepsName), []byte("{\"step\":0}\n"+damage+"{\"step\":2}\n"), 0o600))
		_, err := OpenSteps(dir, 3)
		wantProblem(t, err, "damaged at byte 11", dir)
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, stepsName), []byte("{\"step\":0}\nwhat\n"), 0o600))
	if got, err := ReadSteps(dir); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}

func TestStepThatIsNotFinite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenSteps(dir, 0)
	must(t, err)
	defer s.Close()
	for _, f := range []float64{math.NaN(), math.Inf(1)} {
		if err := s.Append(Step{Loss: f}); err == nil {
			t.Errorf("a loss of %v was recorded", f)
		}
	}
	if got := content(t, dir); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestStepsOnFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full to write to: ", err)
	}
	s := &Steps{steps: full, seconds: full, validations: full}
	defer full.Close()
	wantProblem(t, s.Append(step(0)), "disk is full")
}

func TestStepsInUnwritableFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := OpenSteps(filepath.Join(file, "experiment"), 0)
	wantProblem(t, err, "cannot be written", "--runs")
}

// Whatever a file holds, opening it is refused or leaves a part from its
// beginning that reads, and no step that is not done.
func FuzzOpenSteps(f *testing.F) {
	f.Add([]byte("{\"step\":0}\n{\"step\":1}\n{\"st"), uint64(1))
	f.Add([]byte("{\"step\":0,\"loss\":\"x\"}\n"), uint64(3))
	f.Add([]byte("null\n[]\n"), uint64(3))
	f.Fuzz(func(t *testing.T, before []byte, done uint64) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, stepsName), before, 0o600))
		s, err := OpenSteps(dir, done)
		if err != nil {
			if got := content(t, dir); got != string(before) {
				t.Errorf("refused, but %q became %q", before, got)
			}
			return
		}
		must(t, s.Close())
		if got := content(t, dir); !strings.HasPrefix(string(before), got) {
			t.Errorf("%q became %q", before, got)
		}
		steps, err := ReadSteps(dir)
		if err != nil {
			t.Errorf("%q was opened but cannot be read: %v", before, err)
		}
		for _, step := range steps {
			if step.Step >= done {
				t.Errorf("step %d is left of %d done", step.Step, done)
			}
		}
	})
}

func validation(step uint64) Validation {
	paperStyle := 3 / float64(step)
	return Validation{Step: step, Deployable: 4 / float64(step), PaperStyle: &paperStyle}
}

// What is validated again after a resumption stands in the file once, whether the
// checkpoint knew of the validation, still owed it, or was older.
func TestResumedValidationsAreTheSame(t *testing.T) {
	t.Parallel()
	want := []Validation{validation(5), validation(10), validation(15)}
	for name, c := range map[string]struct {
		done  uint64
		again []uint64
	}{
		"known to the checkpoint": {10, []uint64{15}},
		"due":                     {10, []uint64{10, 15}},
		"checkpoint before it":    {7, []uint64{10, 15}},
		"afresh":                  {0, []uint64{5, 10, 15}},
	} {
		dir := t.TempDir()
		s, err := OpenSteps(dir, 0)
		must(t, err)
		must(t, s.AppendValidation(validation(5)))
		must(t, s.AppendValidation(validation(10)))
		if _, err := s.validations.WriteString("{\"step\":15,\"depl"); err != nil { // torn by a kill
			t.Fatal(err)
		}
		must(t, s.Close())
		s, err = OpenSteps(dir, c.done)
		must(t, err)
		for _, step := range c.again {
			must(t, s.AppendValidation(validation(step)))
		}
		must(t, s.Sync())
		must(t, s.Close())
		got, err := ReadValidations(dir)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: validations (-want +got): %v\n%s", name, err, diff)
		}
	}
}

func TestValidationsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenSteps(dir, 0)
	must(t, err)
	defer s.Close()
	must(t, s.AppendValidation(validation(5)))
	infinite := math.Inf(1)
	for _, v := range []Validation{validation(4), {Step: 6, Deployable: math.NaN()}, {Step: 6, PaperStyle: &infinite}} {
		if err := s.AppendValidation(v); err == nil {
			t.Errorf("%+v was recorded", v)
		}
	}
	if got, err := ReadValidations(dir); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v, want the first alone", got, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	s, err := OpenSteps(b.TempDir(), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := 0; b.Loop(); i++ {
		if err := s.Append(step(i)); err != nil {
			b.Fatal(err)
		}
	}
}
