package artifact

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// deployed has every kind of weight and table: a ternary plane with a scale per row beside
// a binary one, binary,
// full precision, per-step tables, a shared one, an initial state, and two stages whose
// nodes have the same names.
func deployed(t *testing.T) Network {
	t.Helper()
	planes, err := packed.Pack(3, 3,
		packed.Codes{Bits: 2, Codes: []uint16{0, 1, 2, 2, 1, 0, 1, 1, 2}, Levels: []float32{-1, 0, 1}, Scales: []float32{1, 2, 3}},
		packed.Codes{Bits: 1, Codes: []uint16{0, 1, 0, 1, 1, 0, 1, 1, 0}, Levels: []float32{-1, 1}, Scales: []float32{0.25}})
	if err != nil {
		t.Fatal(err)
	}
	binary, err := packed.Pack(3, 5, packed.Codes{Bits: 1, Codes: []uint16{0, 1, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0}, Levels: []float32{-1, 1}, Scales: []float32{0.5}})
	if err != nil {
		t.Fatal(err)
	}
	full, err := packed.FromValues([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	scan := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: 5}}, Output: "a",
		States: []stepgraph.State{{Name: "h", Size: 3, Init: []float32{0.25, -0.5, 1}, Next: "a"}},
		Nodes: []stepgraph.Node{
			{Name: "wx", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: 3, Weight: "Wx", Recurrent: true},
			{Name: "wh", Op: stepgraph.MatVec, Inputs: []string{"h"}, Size: 3, Weight: "Wh", Recurrent: true},
			{Name: "n", Op: stepgraph.ScaleShift, Inputs: []string{"wh"}, Size: 3,
				Scale: stepgraph.Table{Rows: 2, Values: []float32{1, 2, 3, 4, 5, 6}},
				Shift: stepgraph.Table{Rows: 1, Values: []float32{7, 8, 9}}},
			{Name: "a", Op: stepgraph.Add, Inputs: []string{"wx", "n"}, Size: 3},
		},
	}
	classify := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 3}}, Output: "n",
		Nodes: []stepgraph.Node{
			{Name: "y", Op: stepgraph.MatVec, Inputs: []string{"x"}, Size: 5, Weight: "V"},
			{Name: "n", Op: stepgraph.ScaleShift, Inputs: []string{"y"}, Size: 5, Shift: stepgraph.Table{Rows: 1, Values: []float32{5, 4, 3, 2, 1}}},
		},
	}
	return Network{
		Program: network.Network{
			Model:  "test",
			Inputs: []network.Input{{Name: "words", Role: network.Tokens, Stream: "text", Size: 5}},
			Stages: []network.Stage{
				{Name: "scan", Op: network.Scan, Inputs: []string{"words"}, Graph: scan, Last: true},
				{Name: "classify", Op: network.Scan, Inputs: []string{"scan"}, Graph: classify},
			},
			Output: "classify",
		},
		Weights: map[string]packed.Matrix{"Wx": binary, "Wh": planes, "V": full},
	}
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	want, folder := deployed(t), filepath.Join(t.TempDir(), "new", "folder")
	checksum, err := Write(folder, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(folder, checksum)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("network (-written +read):\n%s", diff)
	}
	// Writing must not have emptied the tables it keeps elsewhere.
	if diff := cmp.Diff(deployed(t), want); diff != "" {
		t.Errorf("Write changed its argument (-before +after):\n%s", diff)
	}
}

// Names with a slash in them, which a plugin may give, do not run into each other.
func TestNamesWithSlashes(t *testing.T) {
	t.Parallel()
	stage := func(name, reads, state, node string, value float32) network.Stage {
		return network.Stage{Name: name, Op: network.Scan, Inputs: []string{reads}, Graph: stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Size: 1}}, Output: node,
			States: []stepgraph.State{{Name: state, Size: 1, Init: []float32{-value}, Next: node}},
			Nodes: []stepgraph.Node{{Name: node, Op: stepgraph.ScaleShift, Inputs: []string{"x"}, Size: 1,
				Shift: stepgraph.Table{Rows: 1, Values: []float32{value}}}},
		}}
	}
	want := Network{
		Program: network.Network{
			Model:  "test",
			Inputs: []network.Input{{Name: "pixels", Role: network.Features, Stream: "image", Size: 1}},
			Stages: []network.Stage{
				stage("a/b", "pixels", "s", "c", 1),
				stage("a", "a/b", "b/s", "b/c", 2),
				stage("a%2Fb", "a", "s", "c", 3),
			},
			Output: "a%2Fb",
		},
		Weights: map[string]packed.Matrix{},
	}
	path := t.TempDir()
	checksum, err := Write(path, want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(path, checksum)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Codes: Wx has one plane and Wh two of 3 rows, each padded to 8 bytes. Levels and
// scales: 2 + 1, 3 + 3 and 2 + 1 floats. V: 15 floats. Tables: 6 + 3 and 5 floats.
// State: 3 floats.
func TestBytes(t *testing.T) {
	t.Parallel()
	if got, want := deployed(t).Bytes(), int64(3*8+2*3*8+4*(3+6+3+15+9+5+3)); got != want {
		t.Errorf("Bytes = %d, want %d", got, want)
	}
}

func TestWriteRefusesAnUnsoundNetwork(t *testing.T) {
	t.Parallel()
	n := deployed(t)
	delete(n.Weights, "V")
	folder := filepath.Join(t.TempDir(), "artifact")
	if _, err := Write(folder, n); err == nil || !strings.Contains(err.Error(), `the weight "V" is not given`) {
		t.Errorf("Write = %v, want an error that names the weight", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made all the same: %v", err)
	}
}

func TestReadRefusesDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(folder string) error{
		"no program":   func(folder string) error { return os.Remove(filepath.Join(folder, programName)) },
		"no tensors":   func(folder string) error { return os.Remove(filepath.Join(folder, tensorsName)) },
		"not JSON":     func(folder string) error { return os.WriteFile(filepath.Join(folder, programName), []byte("{"), 0o600) },
		"short":        func(folder string) error { return os.Truncate(filepath.Join(folder, tensorsName), 100) },
		"other shape":  func(folder string) error { return edit(folder, `"cols": 5`, `"cols": 4`) },
		"other state":  func(folder string) error { return edit(folder, `"name": "h"`, `"name": "k"`) },
		"other tables": func(folder string) error { return edit(folder, `"rows": 2`, `"rows": 3`) },
		"other stage":  func(folder string) error { return edit(folder, `"name": "classify"`, `"name": "scan2"`) },
		"other weight": func(folder string) error { return edit(folder, `"name": "Wh"`, `"name": "Wq"`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			checksum, err := Write(folder, deployed(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(folder); err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(filepath.Join(folder, programName)); err == nil {
				checksum = digest(text) // what remains is noticed without it too
			}
			_, err = Read(folder, checksum)
			var problem *plugins.Problem
			if !errors.As(err, &problem) {
				t.Errorf("Read = %v, want a *plugins.Problem", err)
			}
		})
	}
}

// An artifact of another format, sound as it is, is refused as what it is.
func TestAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"graph": {"model": "lstm", "nodes": []}, "weights": [], "sha256": ""}`: "in format 1, and this program reads format 4; run the same command with --again",
		`{"format": 2, "network": "in words"}`:                                   "in format 2, and this program reads format 4",
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, programName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(folder, digest([]byte(text)))
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, want) {
			t.Errorf("Read of %s = %v, want a Problem with %q", text, err, want)
		}
	}
}

// Every bit of both files is noticed when it is flipped, and said to be damage; so is
// an artifact of another experiment, sound as it is.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	checksum, err := Write(folder, deployed(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{programName, tensorsName} {
		path := filepath.Join(folder, name)
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
			_, err := Read(folder, checksum)
			if _, ok := errors.AsType[*plugins.Problem](err); !ok {
				t.Errorf("bit %d of byte %d of %s flipped: Read = %v, want a Problem", i%8, i, name, err)
			}
			if _, err := file.WriteAt([]byte{b}, int64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Read(folder, checksum); err != nil {
		t.Errorf("undamaged again: %v", err)
	}
	if _, err := Read(folder, strings.Repeat("0", 64)); err == nil {
		t.Error("an artifact with another checksum was read")
	}
}

func TestSweepAndRemove(t *testing.T) {
	t.Parallel()
	outside, folder := t.TempDir(), filepath.Join(t.TempDir(), "deployed")
	if _, err := Write(folder, deployed(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, ".deployed.safetensors4711"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(folder); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("after Sweep: %v, %v, want the two files of an artifact", entries, err)
	}
	kept := filepath.Join(outside, programName)
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time a link stands there, the third nothing
		if err := Remove(folder); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(folder); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("after Remove: %v, want nothing there", err)
		}
		if err := os.Symlink(outside, folder); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Write(folder, deployed(t)); err == nil {
		t.Error("Write followed a link")
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("the file behind the link: %v", err)
	}
}

func edit(folder, old, new string) error {
	path := filepath.Join(folder, programName)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(text), old, new, 1)
	if changed == string(text) {
		return errors.New(old + " is not in " + path)
	}
	return os.WriteFile(path, []byte(changed), 0o600)
}
