package dataset

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	c := Copy{Symbols: 3, Delay: 2, Seed: 1}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	counts := make([]int, CopyClasses)
	inputs, targets := make([]int32, c.Steps()), make([]int32, c.Steps())
	for i := range uint64(1_000) {
		for j := range inputs {
			inputs[j], targets[j] = 99, 99 // to be overwritten
		}
		c.Example(i, inputs, targets)
		s := inputs[:3]
		if want := slices.Concat(s, []int32{CopyBlank, CopyMark, 0, 0, 0}); !cmp.Equal(inputs, want) {
			t.Fatalf("inputs %v, want %v", inputs, want)
		}
		if want := slices.Concat([]int32{0, 0, 0, 0, 0}, s); !cmp.Equal(targets, want) {
			t.Fatalf("targets %v, want %v", targets, want)
		}
		for _, symbol := range s {
			counts[symbol]++
		}
	}
	for symbol, n := range counts {
		if symbol == CopyBlank || symbol == CopyMark {
			if n != 0 {
				t.Errorf("the symbols to copy hold %d times %d", n, symbol)
			}
		} else if n < 300 || n > 450 { // 375 expected, 18 the deviation
			t.Errorf("symbol %d occurs %d times of 3000, want about 375", symbol, n)
		}
	}
	first := slices.Clone(inputs)
	c.Example(999, inputs, targets)
	if !cmp.Equal(first, inputs) {
		t.Errorf("example 999 is once %v and once %v", first, inputs)
	}
	Copy{Symbols: 3, Delay: 2, Seed: 5}.Example(999, inputs, targets)
	if cmp.Equal(first, inputs) {
		t.Errorf("seeds 1 and 5 both give %v", first)
	}
	for _, bad := range []Copy{{0, 1, 0}, {1, 0, 0}, {-1, 1, 0}, {1 << 19, 1, 0}, {1, 1 << 62, 0}} {
		wantProblem(t, bad.Check(), "copying task", "at least 1")
	}
}

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
