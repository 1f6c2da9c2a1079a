package program_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"bittern/accel/backends/asichighspeed"
	"bittern/accel/backends/asiclowpower"
	"bittern/accel/backends/cpu"
	"bittern/accel/backends/mcu"
	"bittern/accel/backends/systolic"
	graphs "bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	networks "bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// backends run programs through this package, with how far their logits may be from
// exact ones: the root mean square, in units of that of the exact logits.
var backends = map[string]struct {
	create     func() backend.Backend
	options    plugins.Values
	difference float64
}{
	"cpu, exact":     {cpu.New, plugins.Values{"activations": "exact", "timed-sequences": "1", "threads": "1"}, 1e-6},
	"cpu, int14":     {cpu.New, plugins.Values{"timed-sequences": "1", "threads": "3"}, 2e-4},
	"asic-lowpower":  {asiclowpower.New, nil, 0.02},
	"asic-highspeed": {asichighspeed.New, nil, 0.02},
	"systolic":       {systolic.New, nil, 0.02},
	"mcu":            {mcu.New, plugins.Values{"part": "stm32l4r5"}, 0.02},
}

func deploy(t *testing.T, name string, n network.Network, weights map[string]packed.Matrix) backend.Backend {
	t.Helper()
	b := backends[name].create()
	_, err := b.Deploy(t.Context(), backend.Deploy{Options: backends[name].options, Network: n, Weights: weights})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// execute runs a batch and returns the logits, from room that was full of NaN.
func execute(t *testing.T, b backend.Backend, n network.Network, batch network.Batch) (network.Score, []float32) {
	t.Helper()
	outputs := slices.Repeat([]float32{float32(math.NaN())}, len(batch.Targets)*n.Classes())
	score, err := b.Execute(t.Context(), backend.Execute{Batch: batch, Outputs: outputs})
	if err != nil {
		t.Fatal(err)
	}
	return score, outputs
}

// scoreOf scores logits sequence after sequence, each in the order of time.
func scoreOf(n network.Network, batch network.Batch, logits []float32) network.Score {
	var sum network.Score
	for i := range batch.Sequences {
		var score network.Score
		for at := i; at < len(batch.Targets); at += batch.Sequences {
			score.Target(logits[at*n.Classes():][:n.Classes()], batch.Targets[at], batch.Candidates(n.Inputs, i))
		}
		sum.Add(score)
	}
	return sum
}

// rounds says that a network rounds hidden states.
func rounds(n network.Network) bool {
	for _, s := range n.Stages {
		for _, node := range s.Graph.Nodes {
			if node.Op == stepgraph.Round {
				return true
			}
		}
	}
	return false
}

// Every backend runs every program as the reference does, batch
// after batch, and its score is that of its logits, whether they are asked for or not.
func TestPrograms(t *testing.T) {
	t.Parallel()
	const sequences, batches = 37, 3
	for name, b := range backends {
		for _, p := range networks.Programs() {
			machine := deploy(t, name, p.Network, p.Weights)
			t.Run(name+"/"+p.Name, func(t *testing.T) {
				t.Parallel()
				reference, err := network.NewReference(p.Network, p.Weights)
				if err != nil {
					t.Fatal(err)
				}
				silent := deploy(t, name, p.Network, p.Weights)
				var errors, squares float64
				for number := range batches {
					batch := p.Batch(sequences, number)
					want, err := reference.Run(batch)
					if err != nil {
						t.Fatal(err)
					}
					score, got := execute(t, machine, p.Network, batch)
					for i, v := range got {
						d := float64(v) - want[i]
						if want[i] == 0 && v != 0 || math.IsNaN(d) {
							t.Fatalf("batch %d: logit %d is %v, want %v", number, i, v, want[i])
						}
						errors, squares = errors+d*d, squares+want[i]*want[i]
					}
					if want := scoreOf(p.Network, batch, got); score != want {
						t.Errorf("batch %d: the score is %+v, that of the logits %+v", number, score, want)
					}
					again, err := silent.Execute(t.Context(), backend.Execute{Batch: batch})
					if err != nil || again != score {
						t.Errorf("batch %d: without outputs the score is %+v, %v, want %+v", number, again, err, score)
					}
					if _, err := machine.Cost(t.Context(), backend.CostRequest{Steps: p.Steps}); err != nil {
						t.Error(err) // and it disturbs nothing that is carried
					}
				}
				off, most := math.Sqrt(errors/squares), b.difference
				if strings.HasPrefix(name, "asic") && rounds(p.Network) {
					most *= 7 // near the middle between two levels 12 bits may take the other one
				}
				t.Logf("logits are off by %.2g", off)
				if off > most {
					t.Errorf("logits are off by %.2g of their root mean square, want at most %.2g", off, most)
				}
			})
		}
	}
}

// lstm is a language model whose tables have nine rows.
func lstm() (network.Network, map[string]packed.Matrix) {
	g, weights := graphs.LSTM{Units: 13, Inputs: 7, Outputs: 7, Steps: 9, Format: graphs.Binary, Seed: 1}.Build()
	return network.Scanned("test", g), weights
}

// Three windows in a row are one long sequence, to the bit: states and the row of
// the tables go on, for each place by itself.
func TestWindowsAreOneSequence(t *testing.T) {
	t.Parallel()
	n, weights := lstm()
	const sequences, steps, windows = 5, 4, 3
	shape := n.Shape(sequences, map[string]int{"sequence": windows * steps}, true)
	whole := shape.Allocate()
	for i := range whole.Targets {
		whole.Int32["x"][i], whole.Targets[i] = int32(i*i%7), int32(i%7)
	}
	for i := range whole.Fresh {
		whole.Fresh[i] = 1
	}
	for name := range backends {
		_, want := execute(t, deploy(t, name, n, weights), n, whole)
		b := deploy(t, name, n, weights)
		for window := range windows {
			part, from := whole, window*steps*sequences
			part.Steps = map[string]int{"sequence": steps}
			part.Int32 = map[string][]int32{"x": whole.Int32["x"][from:][:steps*sequences]}
			part.Targets = whole.Targets[from:][:steps*sequences]
			part.Fresh = slices.Repeat([]int32{int32(1 - min(1, window))}, sequences)
			if window == 1 {
				part.Fresh[3] = 1 // this one begins again
			}
			_, got := execute(t, b, n, part)
			for i, v := range got {
				if restarted := window > 0 && i/7%sequences == 3; !restarted && v != want[from*7+i] {
					t.Fatalf("%s, window %d: logit %d of sequence %d is %v, want %v", name, window, i%7, i/7%sequences, v, want[from*7+i])
				}
			}
			if window == 1 {
				alone := part
				alone.Fresh = slices.Repeat([]int32{1}, sequences)
				_, fresh := execute(t, deploy(t, name, n, weights), n, alone)
				for i, v := range got {
					if i/7%sequences == 3 && v != fresh[i] {
						t.Fatalf("%s: a sequence that starts fresh among others gives %v, by itself %v", name, v, fresh[i])
					}
				}
			}
		}
	}
}

// Two layers are the same as one graph and as two stages, to the bit: the second
// reads what the first gave in the format that it has.
func TestStagesAreOneGraph(t *testing.T) {
	t.Parallel()
	for _, format := range []graphs.Format{graphs.Binary, {Planes: [][]float32{{-3, -1, 0.5, 2}}}} {
		lower, weights := graphs.LSTM{Units: 9, Inputs: 7, Steps: 3, Format: format, Seed: 2}.Build()
		upper, more := graphs.LSTM{Units: 5, Inputs: 9, Dense: true, Outputs: 4, Steps: 3, Format: format, Seed: 3}.Build()
		for name, m := range more {
			weights["upper."+name] = m
		}
		above := func(name string) string { return "upper " + name }
		one := stepgraph.Graph{Inputs: lower.Inputs, States: slices.Clone(lower.States), Nodes: slices.Clone(lower.Nodes), Output: above(upper.Output)}
		for i, node := range upper.Nodes {
			if node.Weight != "" {
				upper.Nodes[i].Weight = "upper." + node.Weight
			}
			node = upper.Nodes[i]
			node.Name, node.Inputs = above(node.Name), slices.Clone(node.Inputs)
			for k, in := range node.Inputs {
				if node.Inputs[k] = above(in); in == "x" {
					node.Inputs[k] = lower.Output
				}
			}
			one.Nodes = append(one.Nodes, node)
		}
		for _, s := range upper.States {
			s.Name, s.Next = above(s.Name), above(s.Next)
			one.States = append(one.States, s)
		}
		single := network.Scanned("test", one)
		staged := network.Scanned("test", lower)
		staged.Stages = append(staged.Stages, network.Stage{Name: "upper", Op: network.Scan, Inputs: []string{"scan"}, Graph: upper})
		staged.Output = "upper"
		batch := single.Shape(40, map[string]int{"sequence": 6}, false).Allocate()
		for i := range batch.Targets {
			batch.Int32["x"][i] = int32(i * i % 7)
		}
		for name := range backends {
			want, logits := execute(t, deploy(t, name, single, weights), single, batch)
			got, others := execute(t, deploy(t, name, staged, weights), staged, batch)
			if got != want || !slices.Equal(logits, others) {
				t.Errorf("%s, %v: two stages give %+v, one graph %+v", name, format, got, want)
			}
		}
	}
}

// Logits of 10,000 classes are never in memory for more than a step at a time unless
// they are asked for. (Not parallel: allocations are counted for the process.)
func TestManyClasses(t *testing.T) {
	const classes, steps, sequences = 10_000, 800, 3 // 96 MB of logits
	g, weights := graphs.LSTM{Units: 3, Inputs: 5, Outputs: classes, Steps: 1, Format: graphs.Binary, Seed: 4}.Build()
	n := network.Scanned("test", g)
	batch := n.Shape(sequences, map[string]int{"sequence": steps}, true).Allocate()
	for i := range batch.Targets {
		if batch.Targets[i] = int32(i); i%8 > 0 {
			batch.Targets[i] = -1
		}
	}
	for name := range backends {
		b := deploy(t, name, n, weights)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		score, err := b.Execute(t.Context(), backend.Execute{Batch: batch})
		runtime.ReadMemStats(&after)
		if err != nil || score.Count != steps*sequences/8 || math.IsNaN(score.LossSum) {
			t.Errorf("%s: the score is %+v, %v", name, score, err)
		}
		if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 4<<20 {
			t.Errorf("%s: Execute allocates %d bytes, want less than 4 MB", name, bytes)
		}
	}
}

// An Execute that is cancelled leaves what is carried as it was.
func TestCancelledExecuteCarriesNothingOn(t *testing.T) {
	t.Parallel()
	n, weights := lstm()
	batch := n.Shape(3, map[string]int{"sequence": 2}, true).Allocate()
	batch.Fresh[0], batch.Fresh[1], batch.Fresh[2] = 1, 1, 1
	next := batch
	next.Fresh = make([]int32, 3)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name := range backends {
		steady, broken := deploy(t, name, n, weights), deploy(t, name, n, weights)
		execute(t, steady, n, batch)
		execute(t, broken, n, batch)
		if _, err := broken.Execute(cancelled, backend.Execute{Batch: next}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want %v", name, err, context.Canceled)
		}
		want, _ := execute(t, steady, n, next)
		if got, _ := execute(t, broken, n, next); got != want {
			t.Errorf("%s: after a cancelled call the score is %+v, want %+v", name, got, want)
		}
	}
}

// A batch that does not say which sequences start fresh leaves nothing to go on from.
func TestNothingIsCarriedFromABatchWithoutFresh(t *testing.T) {
	t.Parallel()
	n, weights := lstm()
	steps := map[string]int{"sequence": 4}
	plain, carried := n.Shape(3, steps, false).Allocate(), n.Shape(3, steps, true).Allocate()
	for i := range plain.Targets {
		plain.Int32["x"][i], plain.Targets[i] = int32(i*i%7), int32(i%7)
	}
	copy(carried.Int32["x"], plain.Int32["x"])
	copy(carried.Targets, plain.Targets)
	for name := range backends {
		machine := deploy(t, name, n, weights)
		want, _ := execute(t, machine, n, plain)
		if got, _ := execute(t, machine, n, carried); got != want {
			t.Errorf("%s: the batch after it scores %+v, want %+v as from the start", name, got, want)
		}
		if got, _ := execute(t, machine, n, carried); got == want {
			t.Errorf("%s: the batch after a carried one scores %+v as from the start", name, got)
		}
	}
}
