package checkpoint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/checkpoint"
	"bittern/plugins"
)

// state returns tensors of every type, odd and empty shapes among them.
func state() []checkpoint.Tensor {
	return []checkpoint.Tensor{
		{Name: "weight", Shape: []int{3, 5}, Float32: []float32{0, 1, -1, math.SmallestNonzeroFloat32, math.MaxFloat32, float32(math.Inf(-1)), 6, 7, 8, 9, 10, 11, 12, 13, float32(math.Copysign(0, -1))}},
		{Name: "step/count", Shape: []int{}, Int32: []int32{math.MinInt32}},
		{Name: "codes", Shape: []int{7}, Uint8: []uint8{0, 1, 2, 3, 128, 254, 255}},
		{Name: "index", Shape: []int{1, 3, 1}, Uint16: []uint16{0, 1, math.MaxUint16}},
		{Name: "nothing", Shape: []int{0, 4}, Float32: []float32{}},
	}
}

// blank returns tensors like the given ones, all zero.
func blank(tensors []checkpoint.Tensor) []checkpoint.Tensor {
	var like []checkpoint.Tensor
	for _, t := range tensors {
		b := checkpoint.Tensor{Name: t.Name, Shape: t.Shape}
		switch {
		case t.Float32 != nil:
			b.Float32 = make([]float32, len(t.Float32))
		case t.Int32 != nil:
			b.Int32 = make([]int32, len(t.Int32))
		case t.Uint16 != nil:
			b.Uint16 = make([]uint16, len(t.Uint16))
		case t.Uint8 != nil:
			b.Uint8 = make([]uint8, len(t.Uint8))
		}
		like = append(like, b)
	}
	return like
}

func save(t *testing.T, dir string, step uint64, tensors []checkpoint.Tensor) {
	t.Helper()
	best := 1.75
	manifest := checkpoint.Manifest{Experiment: "experiment", Step: step, Epoch: 2, BestValidation: &best, State: json.RawMessage(`{"patience":3}`)}
	if err := checkpoint.Save(dir, manifest, tensors, nil); err != nil {
		t.Fatal(err)
	}
}

func wantProblem(t *testing.T, err error, words ...string) {
	t.Helper()
	var problem *plugins.Problem
	if !errors.As(err, &problem) {
		t.Fatalf("got %v, want a Problem with %q", err, words)
	}
	for _, word := range words {
		if !strings.Contains(problem.Sentence, word) {
			t.Errorf("got %q, want it to contain %q", problem.Sentence, word)
		}
	}
	if strings.Contains(problem.Sentence, "\n") {
		t.Errorf("the sentence has several lines: %q", problem.Sentence)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// tensorFile is the path of the only tensor file of a checkpoint.
func tensorFile(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "tensors-*.safetensors"))
	if err != nil || len(found) != 1 {
		t.Fatalf("tensor files %v, %v; want one", found, err)
	}
	return found[0]
}

func TestSaveLoad(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "runs", "experiment")
	want := state()
	save(t, dir, 41, want)
	got := blank(want)
	manifest, err := checkpoint.Load(dir, "experiment", got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
	if manifest.Step != 41 || manifest.Epoch != 2 || manifest.BestValidation == nil || *manifest.BestValidation != 1.75 {
		t.Errorf("got %+v, want step 41, epoch 2, best 1.75", manifest)
	}
	var remembered struct{ Patience int }
	if err := json.Unmarshal(manifest.State, &remembered); err != nil || remembered.Patience != 3 {
		t.Errorf("state %s gave %+v, %v; want patience 3", manifest.State, remembered, err)
	}
}

func TestNegativeZeroAndNaNSurvive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bits := []uint32{0x80000000, 0x7fc00001, 0xffc12345}
	values := make([]float32, len(bits))
	for i, b := range bits {
		values[i] = math.Float32frombits(b)
	}
	save(t, dir, 1, []checkpoint.Tensor{{Name: "x", Shape: []int{3}, Float32: values}})
	got := make([]float32, 3)
	if _, err := checkpoint.Load(dir, "experiment", []checkpoint.Tensor{{Name: "x", Shape: []int{3}, Float32: got}}); err != nil {
		t.Fatal(err)
	}
	for i, b := range bits {
		if g := math.Float32bits(got[i]); g != b {
			t.Errorf("element %d: got bits %08x, want %08x", i, g, b)
		}
	}
}

func TestLaterSaveReplacesEarlier(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tensors := state()
	save(t, dir, 1, tensors)
	tensors[0].Float32[0] = 42
	save(t, dir, 2, tensors)
	save(t, dir, 2, tensors) // the same again
	got := blank(tensors)
	manifest, err := checkpoint.Load(dir, "experiment", got)
	if err != nil || manifest.Step != 2 || got[0].Float32[0] != 42 {
		t.Errorf("got step %d, first weight %v, %v; want 2, 42", manifest.Step, got[0].Float32[0], err)
	}
	if names := files(t, dir); len(names) != 2 {
		t.Errorf("files %v, want the manifest and one tensor file", names)
	}
}

// TestReadWhileItIsSaved reads a folder again and again while other checkpoints, whose
// files have other names, are saved in it.
func TestReadWhileItIsSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tensors := state()
	save(t, dir, 0, tensors)
	saved := make(chan error, 1)
	go func() {
		for step := uint64(1); step <= 50; step++ {
			later := []checkpoint.Tensor{{Name: "step", Shape: []int{1}, Int32: []int32{int32(step)}}}
			if err := checkpoint.Save(dir, checkpoint.Manifest{Experiment: "experiment", Step: step}, later, nil); err != nil {
				saved <- err
				return
			}
		}
		saved <- nil
	}()
	for {
		select {
		case err := <-saved:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
			if _, _, err := checkpoint.Read(dir, "experiment"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A Save killed before its manifest is in place leaves the tensors it has written
// and perhaps half a file; the checkpoint before must still load.
func TestKilledSaveLeavesThePreviousOne(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	tensors := state()
	save(t, dir, 1, tensors)

	next := state()
	next[0].Float32[0] = 42
	save(t, other, 2, next)
	content, err := os.ReadFile(tensorFile(t, other))
	if err != nil {
		t.Fatal(err)
	}
	leftovers := map[string][]byte{
		filepath.Base(tensorFile(t, other)):   content,
		".tensors-0123456789.safetensors4711": content[:len(content)/2],
		".checkpoint.json4711":                []byte(`{"format":`),
	}
	for name, content := range leftovers {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := blank(tensors)
	manifest, err := checkpoint.Load(dir, "experiment", got)
	if err != nil || manifest.Step != 1 {
		t.Fatalf("got step %d, %v; want 1", manifest.Step, err)
	}
	if diff := cmp.Diff(tensors, got); diff != "" {
		t.Errorf("tensors differ (-want +got):\n%s", diff)
	}
	save(t, dir, 3, tensors)
	if names := files(t, dir); len(names) != 2 {
		t.Errorf("files %v, want the leftovers gone", names)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "checkpoint.json")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.Replace(text, []byte(old), []byte(new), 1)
			if bytes.Equal(changed, text) {
				t.Fatalf("%q is not in %s", old, text)
			}
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := map[string]struct {
		damage     func(t *testing.T, dir string)
		experiment string
		words      []string
	}{
		"other experiment": {experiment: "another", words: []string{"belongs to experiment experiment and not to another"}},
		"newer format":     {damage: edit(`"format": 2`, `"format": 3`), words: []string{"format 3", "reads 2", "newer bittern"}},
		"older format":     {damage: edit(`"format": 2`, `"format": 1`), words: []string{"format 1", "reads 2", "--again"}},
		"no format":        {damage: edit(`"format": 2`, `"form": 2`), words: []string{"damaged"}},
		"not JSON":         {damage: edit(`{`, `[`), words: []string{"damaged", "checkpoint.json"}},
		"other folder":     {damage: edit(`"file": "`, `"file": "../`), words: []string{"damaged", "../tensors-"}},
		"tensors gone":     {damage: func(t *testing.T, dir string) { os.Remove(tensorFile(t, dir)) }, words: []string{"cannot be read"}},
		"tensors cut":      {damage: func(t *testing.T, dir string) { os.Truncate(tensorFile(t, dir), 99) }, words: []string{"damaged", "SHA-256"}},
		"tensors empty":    {damage: func(t *testing.T, dir string) { os.Truncate(tensorFile(t, dir), 0) }, words: []string{"damaged", "SHA-256"}},
		"manifest empty":   {damage: func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "checkpoint.json"), 0) }, words: []string{"damaged"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			save(t, dir, 1, state())
			if test.damage != nil {
				test.damage(t, dir)
			}
			experiment := test.experiment
			if experiment == "" {
				experiment = "experiment"
			}
			got := blank(state())
			_, err := checkpoint.Load(dir, experiment, got)
			wantProblem(t, err, append(test.words, dir)...)
			if diff := cmp.Diff(blank(state()), got); diff != "" {
				t.Errorf("the tensors were touched:\n%s", diff)
			}
		})
	}
}

// Every single flipped bit of either file is noticed, and said to be damage.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, 1, state())
	for _, path := range []string{tensorFile(t, dir), filepath.Join(dir, "checkpoint.json")} {
		flipBits(t, dir, path)
	}
	if _, err := checkpoint.Load(dir, "experiment", blank(state())); err != nil {
		t.Errorf("undamaged again: %v", err)
	}
}

func flipBits(t *testing.T, dir, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i, b := range content {
		if _, err := file.WriteAt([]byte{b ^ 1<<(i%8)}, int64(i)); err != nil {
			t.Fatal(err)
		}
		_, err := checkpoint.Load(dir, "experiment", blank(state()))
		if _, ok := errors.AsType[*plugins.Problem](err); !ok {
			t.Errorf("bit %d of byte %d of %s flipped: %v, want a Problem", i%8, i, path, err)
		}
		if _, err := file.WriteAt([]byte{b}, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing outside the folder is read, written or removed through a link in it.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	save(t, outside, 7, state())
	before := files(t, outside)
	link := filepath.Join(dir, "last")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, checkpoint.Save(link, checkpoint.Manifest{Experiment: "experiment", Step: 8}, state(), nil), "symbolic link", link)
	_, err := checkpoint.Load(link, "experiment", blank(state()))
	wantProblem(t, err, "symbolic link", link)
	if err := checkpoint.Remove(link); err != nil {
		t.Fatal(err)
	}
	// The same of the files in it.
	save(t, link, 9, state())
	for _, path := range []string{tensorFile(t, link), filepath.Join(link, "checkpoint.json")} {
		target := filepath.Join(outside, filepath.Base(path))
		if err := errors.Join(os.Remove(path), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
		_, err := checkpoint.Load(link, "experiment", blank(state()))
		wantProblem(t, err, "symbolic link", link)
	}
	if err := checkpoint.Remove(link); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, files(t, outside)); diff != "" {
		t.Errorf("files outside (-before +after):\n%s", diff)
	}
	if manifest, err := checkpoint.Load(outside, "experiment", blank(state())); err != nil || manifest.Step != 7 {
		t.Errorf("outside: step %d, %v, want 7", manifest.Step, err)
	}
}

// A folder that a first Save was killed in goes, another loses its leftovers.
func TestSweep(t *testing.T) {
	t.Parallel()
	whole, half := filepath.Join(t.TempDir(), "last"), filepath.Join(t.TempDir(), "last")
	save(t, whole, 1, state())
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{whole, half} {
		for _, name := range []string{"tensors-0123.safetensors", ".tensors-4567.safetensors8", ".checkpoint.json9"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := checkpoint.Sweep(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-written checkpoint is still there: %v", err)
	}
	if names := files(t, whole); len(names) != 2 {
		t.Errorf("files %v, want the manifest and its tensors", names)
	}
	if err := checkpoint.Sweep(half); err != nil {
		t.Errorf("Sweep of nothing = %v", err)
	}
}

func TestLoadRefusesOtherTensors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, 1, []checkpoint.Tensor{
		{Name: "a", Shape: []int{2, 3}, Float32: make([]float32, 6)},
		{Name: "b", Shape: []int{2}, Uint8: make([]uint8, 2)},
	})
	a := checkpoint.Tensor{Name: "a", Shape: []int{2, 3}, Float32: make([]float32, 6)}
	b := checkpoint.Tensor{Name: "b", Shape: []int{2}, Uint8: make([]uint8, 2)}
	tests := map[string]struct {
		tensors []checkpoint.Tensor
		word    string
	}{
		"fewer":       {[]checkpoint.Tensor{a}, "2 tensors instead of 1"},
		"more":        {[]checkpoint.Tensor{a, b, {Name: "c", Shape: []int{1}, Int32: []int32{0}}}, `tensor "c" is missing`},
		"other shape": {[]checkpoint.Tensor{{Name: "a", Shape: []int{3, 2}, Float32: make([]float32, 6)}, b}, `tensor "a" is F32 [2 3] instead of F32 [3 2]`},
		"other type":  {[]checkpoint.Tensor{a, {Name: "b", Shape: []int{1}, Uint16: make([]uint16, 1)}}, `tensor "b" is U8 [2] instead of U16 [1]`},
	}
	for name, test := range tests {
		_, err := checkpoint.Load(dir, "experiment", test.tensors)
		t.Run(name, func(t *testing.T) { wantProblem(t, err, test.word, "does not fit", dir) })
	}
}

func TestNoCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "absent")} {
		if _, err := checkpoint.Load(d, "experiment", nil); !errors.Is(err, checkpoint.ErrNone) {
			t.Errorf("%s: got %v, want %v", d, err, checkpoint.ErrNone)
		}
	}
}

func TestSaveRefusesWrongTensors(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "experiment")
	for name, tensors := range map[string][]checkpoint.Tensor{
		"no elements":   {{Name: "a", Shape: []int{0}}},
		"two kinds":     {{Name: "a", Shape: []int{1}, Uint8: []uint8{1}, Int32: []int32{1}}},
		"wrong shape":   {{Name: "a", Shape: []int{2, 2}, Float32: make([]float32, 3)}},
		"negative":      {{Name: "a", Shape: []int{-1, -1}, Float32: make([]float32, 1)}},
		"same name":     {{Name: "a", Shape: []int{1}, Uint8: []uint8{1}}, {Name: "a", Shape: []int{1}, Uint8: []uint8{1}}},
		"reserved name": {{Name: "__metadata__", Shape: []int{1}, Uint8: []uint8{1}}},
	} {
		if err := checkpoint.Save(dir, checkpoint.Manifest{Experiment: "experiment"}, tensors, nil); err == nil {
			t.Errorf("%s: saved without an error", name)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made for nothing: %v", err)
	}
}

func TestUnwritableFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := checkpoint.Save(filepath.Join(file, "experiment"), checkpoint.Manifest{Experiment: "experiment"}, state(), nil)
	wantProblem(t, err, "cannot be written", "--runs")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "best")
	save(t, dir, 1, state())
	for range 2 { // the second time there is nothing
		if err := checkpoint.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	save(t, dir, 1, state())
	kept := filepath.Join(dir, "steps.jsonl")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if names := files(t, dir); len(names) != 1 || names[0] != "steps.jsonl" {
		t.Errorf("files %v, want only what is not the checkpoint's", names)
	}
}

// A checkpoint of an LSTM with 1000 units over 50 symbols: 4.2 million weights
// with two moments each.
func BenchmarkSave(b *testing.B) {
	dir := b.TempDir()
	weights := checkpoint.Tensor{Name: "weights", Shape: []int{3, 4_200_000}, Float32: make([]float32, 3*4_200_000)}
	b.SetBytes(int64(4 * len(weights.Float32)))
	for step := 0; b.Loop(); step++ {
		weights.Float32[0] = float32(step)
		if err := checkpoint.Save(dir, checkpoint.Manifest{Experiment: "experiment"}, []checkpoint.Tensor{weights}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	weights := []checkpoint.Tensor{{Name: "weights", Shape: []int{3, 4_200_000}, Float32: make([]float32, 3*4_200_000)}}
	if err := checkpoint.Save(dir, checkpoint.Manifest{Experiment: "experiment"}, weights, nil); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(4 * len(weights[0].Float32)))
	for b.Loop() {
		if _, err := checkpoint.Load(dir, "experiment", weights); err != nil {
			b.Fatal(err)
		}
	}
}
