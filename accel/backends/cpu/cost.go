package cpu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"bittern/accel/kernels/isa"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// Cost times whole sequences on one thread. Their inputs are random, the same at every
// call; they have all the steps of the streams, every class is a candidate, and each
// starts fresh. Seconds is the median of the times. The quartiles are the medians of the
// lower and of the upper half; an odd number of times puts the middle one into both. Energy
// is the mean over the sequences that ran while it was counted.
func (d *deployed) Cost(ctx context.Context, steps map[string]int) (backend.Cost, error) {
	n := d.options.Int(timed)
	meter, noMeter := d.processor.open(ctx)
	if err := ctx.Err(); err != nil {
		return backend.Cost{}, err
	}
	ran, err := d.time(ctx, randomBatch(d.Shape(1, steps, false)), n, meter)
	if err != nil {
		return backend.Cost{}, err
	}
	low, middle, high := quartiles(ran.seconds)
	cost := backend.Cost{
		Seconds:    &middle,
		SecondsLow: &low, SecondsHigh: &high,
		Memory:   d.memoryParts(steps),
		Measured: true,
		N:        n,
		Missing: map[string]string{
			"cycles": "the clock changes while it runs and is not read",
			"area":   "the processor does more than this network",
		},
		Substitutions: d.weights.substitutions,
		Notes: []string{
			fmt.Sprintf("timed on %s, one thread, activations %s", isa.Features(), d.options.Text(activations)),
			"memory is as laid out here: codes and tables with their padding, and the workspace of one sequence",
		},
	}
	switch watts := d.options.Float(power); {
	case meter != nil:
		cost.Energy = ran.energyParts(meter.idle)
		cost.Notes = append(cost.Notes, meter.note(ran.runs))
	case watts > 0:
		cost.Energy = []backend.Part{{Name: assumedPart, Value: watts * middle, Static: true, Assumed: true}}
		cost.Notes = append(cost.Notes, fmt.Sprintf("energy is an assumption: %g W, which the option %s states, times the time; it is not measured: %v", watts, power, noMeter))
	default:
		cost.Missing["energy"] = fmt.Sprintf("%v; or state what the processor draws with the option %s", noMeter, power)
	}
	return cost, nil
}

// timing is what was measured of sequences that ran one after the other.
type timing struct {
	seconds []float64 // of each
	runs    int       // whose energy was counted: they, and as many more as the window takes
	elapsed float64   // seconds, of these runs
	joules  float64   // of these runs
}

// time runs one sequence again and again. Where there is a meter it goes on for as long as
// that takes.
func (d *deployed) time(ctx context.Context, batch network.Batch, sequences int, meter *meter) (timing, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	worker, job, first := d.program.NewWorker(1, batch.Steps), d.program.NewJob(batch), []int{0}
	for range max(1, sequences/4) { // to warm up
		if err := worker.Run(ctx, job, first); err != nil {
			return timing{}, err
		}
	}
	var t timing
	begin, window := time.Now(), time.Duration(0)
	if meter != nil {
		if _, err := meter.Joules(); err != nil {
			return timing{}, err
		}
		begin, window = time.Now(), meter.window
	}
	for t.runs < sequences || time.Since(begin) < window {
		start := time.Now()
		if err := worker.Run(ctx, job, first); err != nil {
			return timing{}, err
		}
		if t.runs < sequences {
			t.seconds = append(t.seconds, time.Since(start).Seconds())
		}
		t.runs++
	}
	t.elapsed = time.Since(begin).Seconds()
	var err error
	if meter != nil {
		t.joules, err = meter.Joules()
	}
	return t, err
}

// randomBatch returns a batch of random inputs without targets.
func randomBatch(shape network.Shape) network.Batch {
	rng, batch := rand.New(rand.NewPCG(1, 1)), shape.Allocate()
	for _, in := range shape.Inputs {
		ints, floats := batch.Int32[in.Name], batch.Float32[in.Name]
		for i := range floats {
			floats[i] = rng.Float32()
		}
		for i := range ints {
			switch in.Role {
			case network.Tokens:
				ints[i] = rng.Int32N(int32(in.Size))
			case network.Lengths:
				ints[i] = int32(shape.Steps[in.Stream])
			case network.Candidates:
				ints[i] = 1
			}
		}
	}
	for i := range batch.Targets {
		batch.Targets[i] = -1
	}
	return batch
}

// quartiles sorts the values, at least one, and returns the quartiles and the median.
func quartiles(values []float64) (low, middle, high float64) {
	slices.Sort(values)
	half := (len(values) + 1) / 2
	return median(values[:half]), median(values), median(values[len(values)-half:])
}

// median returns the median of ascending values.
func median(values []float64) float64 {
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// memoryParts is what the network keeps in memory for a sequence with so many steps,
// in bytes; the package comment says how each part is counted.
func (d *deployed) memoryParts(steps map[string]int) []backend.Part {
	bytes := map[string]int{backend.PartWorkspace: d.program.KeptBytes(steps)}
	counted := map[string]bool{}
	for _, g := range d.graphs {
		bytes[backend.PartTables] += g.TableBytes()
		bytes[backend.PartState] += g.StateBytes()
		bytes[backend.PartWorkspace] += g.newSession().bytes()
		for _, node := range g.Nodes {
			if key := string(node.Op) + node.Weight; node.Weight != "" && !counted[key] {
				counted[key] = true
				d.weights.count(node, bytes)
			}
		}
	}
	var parts []backend.Part
	for _, part := range []string{
		backend.PartCodes, backend.PartFloats, backend.PartLevels, backend.PartTables, backend.PartState,
		backend.PartEmbedding, backend.PartOutputLayer, backend.PartWorkspace,
	} {
		parts = append(parts, backend.Part{Name: part, Value: float64(bytes[part])})
	}
	return parts
}

// count adds the bytes of a node's weight to their parts.
func (w *weights) count(node stepgraph.Node, bytes map[string]int) {
	part := backend.PartOutputLayer
	var float32s bool
	var weights, values int
	if node.Op == stepgraph.Lookup {
		part = backend.PartEmbedding
		float32s = w.columns[node.Weight].Float32()
		weights, values = w.columns[node.Weight].Bytes()
	} else {
		float32s = w.matrices[node.Weight].Float32()
		weights, values = w.matrices[node.Weight].Bytes()
	}
	switch {
	case node.Recurrent && float32s:
		part = backend.PartFloats
	case node.Recurrent:
		part = backend.PartCodes
	}
	bytes[part] += weights
	bytes[backend.PartLevels] += values
}
