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
	"bittern/plugins/stepgraph"
)

// Cost times whole sequences of random inputs, the same at every call, on one
// thread. Seconds is the median over sequences of a sequence's mean time step, and
// its quartiles are the medians of the lower and of the upper half, both with the
// middle one where there is one.
func (p *processor) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	if p.network == nil {
		return backend.Cost{}, errNothingDeployed
	}
	if request.Length < 1 {
		return backend.Cost{}, plugins.Problemf("a sequence of %d steps has no cost: give a length of at least 1", request.Length)
	}
	n := p.options.Int(timed)
	seconds, err := p.network.time(ctx, request.Length, n)
	if err != nil {
		return backend.Cost{}, err
	}
	low, middle, high := quartiles(seconds)
	return backend.Cost{
		Seconds:    &middle,
		SecondsLow: &low, SecondsHigh: &high,
		Memory:   p.network.memoryParts(),
		Measured: true,
		N:        n,
		Missing: map[string]string{
			"cycles": "the clock changes while it runs and is not read",
			"energy": "no power meter is read",
			"area":   "the processor does more than this network",
		},
		Substitutions: p.network.substitutions,
		Notes: []string{
			fmt.Sprintf("timed on %s, one thread, activations %s", isa.Features(), p.options.Text(activations)),
			"memory is as laid out here: codes and tables with their padding, and the workspace of one sequence",
		},
	}, nil
}

// time times sequences, each in seconds a time step.
func (n *network) time(ctx context.Context, length, sequences int) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	inputs := n.randomInputs(length)
	session := n.newSession()
	var steps []float64
	for i := -max(1, sequences/4); i < sequences; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		session.sequence(inputs, 0)
		if i >= 0 {
			steps = append(steps, time.Since(start).Seconds()/float64(length))
		}
	}
	return steps, nil
}

// randomInputs is one sequence and room for its outputs.
func (n *network) randomInputs(length int) backend.Execute {
	in, rng := n.graph.Input, rand.New(rand.NewPCG(1, 1))
	request := backend.Execute{Sequences: 1, Length: length, Outputs: make([]float32, length*n.outputSize())}
	if in.Token {
		for range length {
			request.Tokens = append(request.Tokens, rng.Int32N(int32(in.Size)))
		}
		return request
	}
	for range length * in.Size {
		request.Dense = append(request.Dense, rng.Float32())
	}
	return request
}

// quartiles sorts the values, of which there is at least one.
func quartiles(values []float64) (low, middle, high float64) {
	slices.Sort(values)
	half := (len(values) + 1) / 2
	return median(values[:half]), median(values), median(values[len(values)-half:])
}

// median is of ascending values.
func median(values []float64) float64 {
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// memoryParts is what the network keeps in memory, in bytes; the package comment
// says how each part is counted.
func (n *network) memoryParts() []backend.Part {
	bytes := map[string]int{
		backend.PartTables:    n.graph.TableBytes(),
		backend.PartState:     n.graph.StateBytes(),
		backend.PartWorkspace: n.newSession().bytes(),
	}
	counted := map[string]bool{}
	for _, node := range n.graph.Nodes {
		key := string(node.Op) + node.Weight
		if node.Weight == "" || counted[key] {
			continue
		}
		counted[key] = true
		var part string
		var weights, values int
		var float32s bool
		if node.Op == stepgraph.Lookup {
			part = backend.PartEmbedding
			float32s = n.columns[node.Weight].Float32()
			weights, values = n.columns[node.Weight].Bytes()
		} else {
			part = backend.PartOutputLayer
			float32s = n.matrices[node.Weight].Float32()
			weights, values = n.matrices[node.Weight].Bytes()
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
	var parts []backend.Part
	for _, part := range []string{
		backend.PartCodes, backend.PartFloats, backend.PartLevels, backend.PartTables, backend.PartState,
		backend.PartEmbedding, backend.PartOutputLayer, backend.PartWorkspace,
	} {
		parts = append(parts, backend.Part{Name: part, Value: float64(bytes[part])})
	}
	return parts
}

// bytes is the memory of a session.
func (s *session) bytes() int {
	bytes := 4 * len(s.memory)
	for _, a := range s.activations {
		bytes += a.Bytes()
	}
	return bytes
}
