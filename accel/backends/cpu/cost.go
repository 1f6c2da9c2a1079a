package cpu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"bittern/accel/kernels/isa"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// Cost times whole sequences on one thread. Their inputs are random, the same at every
// call; they have all the steps of the streams, every class is a candidate, and each
// starts fresh. Seconds is the median of the times. The quartiles are the medians of the
// lower and of the upper half; an odd number of times puts the middle one into both.
func (p *processor) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	if p.network == nil {
		return backend.Cost{}, errNothingDeployed
	}
	shape := p.network.Shape(1, request.Steps, false)
	if err := shape.Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	n := p.options.Int(timed)
	seconds, err := p.network.time(ctx, randomBatch(shape), n)
	if err != nil {
		return backend.Cost{}, err
	}
	low, middle, high := quartiles(seconds)
	return backend.Cost{
		Seconds:    &middle,
		SecondsLow: &low, SecondsHigh: &high,
		Memory:   p.network.memoryParts(request.Steps),
		Measured: true,
		N:        n,
		Missing: map[string]string{
			"cycles": "the clock changes while it runs and is not read",
			"energy": "no power meter is read",
			"area":   "the processor does more than this network",
		},
		Substitutions: p.network.weights.substitutions,
		Notes: []string{
			fmt.Sprintf("timed on %s, one thread, activations %s", isa.Features(), p.options.Text(activations)),
			"memory is as laid out here: codes and tables with their padding, and the workspace of one sequence",
		},
	}, nil
}

// time runs one sequence again and again and returns the seconds of each run.
func (d *deployed) time(ctx context.Context, batch network.Batch, sequences int) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	worker, job, first := d.program.NewWorker(1, batch.Steps), d.program.NewJob(batch), []int{0}
	var seconds []float64
	for i := -max(1, sequences/4); i < sequences; i++ {
		start := time.Now()
		if err := worker.Run(ctx, job, first); err != nil {
			return nil, err
		}
		if i >= 0 {
			seconds = append(seconds, time.Since(start).Seconds())
		}
	}
	return seconds, nil
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
