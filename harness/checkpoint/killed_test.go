package checkpoint_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"bittern/harness/checkpoint"
)

// saverFolder is set in the process that saves until it is killed.
const saverFolder = "BITTERN_TEST_SAVER_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(saverFolder); dir != "" {
		saveForEver(dir)
	}
	os.Exit(m.Run())
}

// marked is a checkpoint in which every number is the step.
func marked(step float32) []checkpoint.Tensor {
	values := make([]float32, 100_003)
	for i := range values {
		values[i] = step
	}
	return []checkpoint.Tensor{{Name: "values", Shape: []int{len(values)}, Float32: values}}
}

func saveForEver(dir string) {
	for step := 1; ; step++ {
		if err := checkpoint.Save(dir, checkpoint.Manifest{Experiment: "experiment", Step: uint64(step)}, marked(float32(step)), nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(step)
	}
}

// A process is killed at arbitrary moments of saving: what loads is whole and not
// older than the last Save that returned.
func TestKilledWhileSaving(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 12 {
		saver := exec.Command(os.Args[0])
		saver.Env = append(os.Environ(), saverFolder+"="+dir)
		saver.Stderr = os.Stderr
		output, err := saver.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := saver.Start(); err != nil {
			t.Fatal(err)
		}
		lines, last := bufio.NewScanner(output), 0
		for range 1 + round%3 {
			if !lines.Scan() {
				break
			}
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				t.Errorf("the saver wrote %q", lines.Text())
			}
		}
		if err := saver.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it wrote before it died
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				t.Errorf("the saver wrote %q", lines.Text())
			}
		}
		saver.Wait() // its error says only that it was killed
		got := marked(0)
		manifest, err := checkpoint.Load(dir, "experiment", got)
		if err != nil || last == 0 || manifest.Step < uint64(last) {
			t.Fatalf("round %d: loaded step %d, %v; %d was saved", round, manifest.Step, err, last)
		}
		for i, v := range got[0].Float32 {
			if v != float32(manifest.Step) {
				t.Fatalf("round %d: element %d of step %d is %v", round, i, manifest.Step, v)
			}
		}
	}
}
