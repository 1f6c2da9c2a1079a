package bench

import (
	"fmt"
	"slices"
	"testing"
)

// TestGoals checks that goals.csv has the known classes, names each comparison once, and names only
// lines that the bench measures.
func TestGoals(t *testing.T) {
	t.Parallel()
	goals, err := readGoals(goalsFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(goals) != len(classes) {
		t.Errorf("goals.csv has %d classes with goals, want %d", len(goals), len(classes))
	}
	names := lineNames()
	for _, class := range classes {
		if len(goals[class.name]) == 0 {
			t.Errorf("goals.csv has no goal for the class %s", class.name)
		}
		seen := map[[2]string]bool{}
		for _, goal := range goals[class.name] {
			key := [2]string{goal.Line, goal.Against}
			if seen[key] {
				t.Errorf("goals.csv has two rows for %q", key)
			}
			seen[key] = true
			if !slices.Contains(names, goal.Line) {
				t.Errorf("goals.csv has a goal for %s, which the bench does not measure", goal.Line)
			}
			if goal.Bound <= 0 {
				t.Errorf("the bound of %s is %v", goal.Line, goal.Bound)
			}
		}
	}
}

// lineNames returns the names of the lines of the bench.
func lineNames() []string {
	names := []string{
		"PeakMemory/characters-1000", "Start/plugins-list", "Start/first-step-512", "MatrixProduct/portable-64x512x2048-nn",
		"Checkpoint/characters-512/wait", "Checkpoint/characters-512/step-beside",
	}
	for _, size := range allInferences() {
		for _, network := range size.networks {
			for _, precision := range activations {
				names = append(names, fmt.Sprintf("Inference/%s-%d/%s", network.weights, size.units, precision))
			}
		}
	}
	for _, quantizer := range scorings {
		names = append(names, "Scoring/asic-512/"+quantizer)
	}
	for _, step := range evaluations() {
		names = append(names, step.name)
	}
	for _, quantizer := range togethers {
		names = append(names, "Scoring/cpu-2000/"+quantizer)
	}
	for _, step := range slices.Concat(timedSteps(), bfloat16Steps()) {
		names = append(names, step.name)
	}
	for _, p := range matrixProducts() {
		names = append(names, "MatrixProduct/"+p.name())
	}
	return names
}

func TestGoalsRefuseMistakes(t *testing.T) {
	t.Parallel()
	const header = "line,against,bound,unit,zen5\n"
	for _, row := range []string{
		"a,PyTorch,<,,2",
		"a,PyTorch,≤,,2",      // a peer: ours must be at least so many times as fast
		"a,the floor,≥,,2",    // the floor: ours takes at most so many times its time
		"a,,≤,,2",             // an absolute bound without a unit
		"a,PyTorch,≥,s,2",     // a ratio with one
		"a,PyTorch,≥,,faster", // no number
		"a,PyTorch,≥",
	} {
		if goals, err := readGoals(header + row + "\n"); err == nil {
			t.Errorf("%s: got %v, want an error", row, goals)
		}
	}
	goals, err := readGoals(header + "a,PyTorch,≥,,2\nb,,≤,MB,450\nc,,≤,s,\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Goals{{"a", "PyTorch", true, 2}, {"b", "", false, 450e6}}
	if !slices.Equal(goals["zen5"], want) {
		t.Errorf("got %+v, want %+v", goals["zen5"], want)
	}
}
