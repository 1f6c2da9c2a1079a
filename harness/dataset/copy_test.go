package dataset

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDelayedCopy(t *testing.T) {
	t.Parallel()
	c := DelayedCopy{Length: 5, Delay: 2, Seed: 1}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	counts := make([]int, DelayedCopyClasses)
	inputs, targets := make([]int32, 5), make([]int32, 5)
	for i := range uint64(1_000) {
		for j := range inputs {
			inputs[j], targets[j] = 99, 99 // to be overwritten
		}
		c.Example(i, inputs, targets)
		if want := []int32{-1, -1, inputs[0], inputs[1], inputs[2]}; !cmp.Equal(targets, want) {
			t.Fatalf("targets %v of inputs %v, want %v", targets, inputs, want)
		}
		for _, symbol := range inputs {
			counts[symbol]++
		}
	}
	for symbol, n := range counts {
		if n < 530 || n > 720 { // 625 expected, 23 the deviation
			t.Errorf("symbol %d occurs %d times of 5000, want about 625", symbol, n)
		}
	}
	for _, bad := range []DelayedCopy{{5, 0, 0}, {5, 5, 0}, {1 << 21, 1, 0}} {
		wantProblem(t, bad.Check(), "delayed copying task", "at least 1")
	}
}
