package graph

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bittern/accel/kernels/team"
)

// double is y = 2x, or whatever failure says.
type double struct {
	output   []float32
	failure  func() error
	backward int
}

func (f *double) Key() string    { return "double" }
func (f *double) Output() Tensor { return Tensor{Shape: []int{len(f.output)}, Float32: f.output} }

func (f *double) Forward(in []Tensor) error {
	for i, v := range in[0].Float32 {
		f.output[i] = 2 * v
	}
	if f.failure != nil {
		return f.failure()
	}
	return nil
}

func (f *double) Backward(_ []Tensor, gradient []float32, gradients [][]float32) error {
	f.backward++
	for i, v := range gradient {
		gradients[0][i] = 2 * v
	}
	return nil
}

// sum is the scalar Σx.
type sum struct{ output [1]float32 }

func (f *sum) Key() string    { return "sum" }
func (f *sum) Output() Tensor { return Tensor{Float32: f.output[:]} }

func (f *sum) Forward(in []Tensor) error {
	f.output[0] = 0
	for _, v := range in[0].Float32 {
		f.output[0] += v
	}
	return nil
}

func (f *sum) Backward(_ []Tensor, gradient []float32, gradients [][]float32) error {
	for i := range gradients[0] {
		gradients[0][i] = gradient[0]
	}
	return nil
}

// TestRunsInCallersMemory changes the parameter between runs and finds values
// and gradients where it left them, whatever ran before.
func TestRunsInCallersMemory(t *testing.T) {
	t.Parallel()
	value, gradient := []float32{1, 2, 3}, []float32{9, 9, 9}
	first, second := &double{output: make([]float32, 3)}, &double{output: make([]float32, 3)}
	g := New()
	x := g.Parameter("x", Tensor{Shape: []int{3}, Float32: value}, gradient)
	y := g.Apply(second, g.Apply(first, x))
	total := &sum{}
	loss := g.Apply(total, y)
	forward, err := g.Compile()
	if err != nil {
		t.Fatal(err)
	}
	training, err := g.Differentiate(loss)
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Run(); err != nil {
		t.Fatal(err)
	}
	if first.backward != 0 || gradient[0] != 9 {
		t.Errorf("the forward program ran %d backward passes and left gradient %v", first.backward, gradient)
	}
	for run := range 3 {
		value[0] = float32(run)
		if err := training.Run(); err != nil {
			t.Fatal(err)
		}
		if want := 4 * (float32(run) + 5); total.output[0] != want {
			t.Errorf("run %d: loss %v, want %v", run, total.output[0], want)
		}
		if want := []float32{4, 4, 4}; !slices.Equal(gradient, want) {
			t.Errorf("run %d: gradient %v, want %v", run, gradient, want)
		}
		if first.backward != run+1 || second.backward != run+1 {
			t.Errorf("run %d: %d and %d backward passes", run, first.backward, second.backward)
		}
	}
}

func TestFailuresAreErrors(t *testing.T) {
	t.Parallel()
	wanted := errors.New("no more paper")
	workers := team.New(2)
	t.Cleanup(workers.Close)
	for name, test := range map[string]struct {
		failure func() error
		want    string
	}{
		"error": {func() error { return wanted }, "no more paper"},
		"panic": {func() error { panic("out of ink") }, "out of ink"},
		"panic of a worker": {func() error {
			workers.Run(func(worker int) {
				if worker == 1 {
					panic("out of staples")
				}
				workers.Barrier()
			})
			return nil
		}, "out of staples"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New()
			x := g.Parameter("x", Tensor{Shape: []int{2}, Float32: make([]float32, 2)}, make([]float32, 2))
			f := &double{output: make([]float32, 2), failure: test.failure}
			program, err := g.Differentiate(g.Apply(&sum{}, g.Apply(f, x)))
			if err != nil {
				t.Fatal(err)
			}
			err = program.Run()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "double") {
				t.Errorf("got error %v, want one that names double and says %q", err, test.want)
			}
			f.failure = nil
			if err := program.Run(); err != nil {
				t.Errorf("the run after a failed one: %v", err)
			}
		})
	}
}

func TestMistakesInBuilding(t *testing.T) {
	t.Parallel()
	tensor := Tensor{Shape: []int{2}, Float32: make([]float32, 2)}
	for name, test := range map[string]struct {
		build func(g *Graph) *Node
		want  string
	}{
		"shape": {func(g *Graph) *Node {
			return g.Input("x", Tensor{Shape: []int{3}, Float32: make([]float32, 2)})
		}, "shape [3] has 2 elements"},
		"gradient": {func(g *Graph) *Node {
			return g.Parameter("x", tensor, make([]float32, 5))
		}, "x has 2 values and 5 gradients"},
		"used twice": {func(g *Graph) *Node {
			x := g.Parameter("x", tensor, make([]float32, 2))
			g.Apply(&sum{}, x)
			return g.Apply(&sum{}, x)
		}, "x is already the input of a function"},
		"no scalar": {func(g *Graph) *Node {
			return g.Apply(&double{output: make([]float32, 2)}, g.Parameter("x", tensor, make([]float32, 2)))
		}, "scalar"},
		"other graph": {func(g *Graph) *Node {
			return g.Apply(&sum{}, New().Parameter("x", tensor, make([]float32, 2)))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New()
			_, err := g.Differentiate(test.build(g))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one that says %q", err, test.want)
			}
		})
	}
}
