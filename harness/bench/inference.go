package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"bittern/harness/artifact"
	"bittern/harness/suite"
	"bittern/internal/host"
	graphs "bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// inference is a time step of a packed LSTM, with one sequence on one thread.
type inference struct {
	weights        string // as the name of the line has them
	units, symbols int
	float, int8    float64 // goals; 0 is none

	quantizer string
	// format, if it has planes, replaces the format of the quantizer's recurrent weights. Codes
	// are then random, since no time depends on them.
	format graphs.Format
}

func inferences() []inference {
	const binary, ternary = "stochastic-binary", "stochastic-ternary"
	return []inference{
		{weights: binary, units: 512, symbols: 87, float: 10, int8: 3, quantizer: binary},
		{weights: binary, units: 1000, symbols: 50, float: 15, int8: 4, quantizer: binary},
		{weights: binary, units: 2000, symbols: 27, float: 40, int8: 6, quantizer: binary},
		{weights: ternary, units: 512, symbols: 87, int8: 2, quantizer: ternary},
		{weights: ternary, units: 1000, symbols: 50, int8: 2.5, quantizer: ternary},
		{weights: ternary, units: 2000, symbols: 27, int8: 4, quantizer: ternary},
		// The other formats of up to two bits.
		{weights: "binary-rows", units: 1000, symbols: 50, int8: 1.5, quantizer: binary, format: graphs.PerRow(graphs.Binary)},
		{weights: "two-planes-rows", units: 1000, symbols: 50, int8: 1.5, quantizer: binary, format: graphs.PerRow(graphs.TwoPlanes)},
		{weights: "ternary-two-scales", units: 1000, symbols: 50, int8: 1.5, quantizer: binary, format: graphs.Asymmetric},
	}
}

// activations are the precisions of activations in the cpu backend. Goals are for the first,
// which is as precise as the peer.
var activations = []string{"int8", "int14"}

// inferenceLength is how many time steps a timed sequence has, as in the paper.
const inferenceLength = 100

func (b *Bench) inferenceLines(ctx context.Context) ([]Line, error) {
	// The float and int8 peers of a size are the same for all weights.
	type key struct {
		units     int
		precision string
	}
	type timed struct {
		sample Sample
		reason string
	}
	peers := map[key]timed{}
	var lines []Line
	for _, i := range inferences() {
		ours, err := b.timeInference(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("%s at %d units: %w", i.weights, i.units, err)
		}
		first := len(lines)
		for n, sample := range ours {
			lines = append(lines, newLine(fmt.Sprintf("Inference/%s-%d/%s", i.weights, i.units, activations[n]), sample))
		}
		for _, p := range []struct {
			against, precision string
			faster             float64
		}{{onnxInt8, "int8", i.int8}, {onnxFloat, "float32", i.float}} {
			known, ok := peers[key{i.units, p.precision}]
			if !ok {
				known.sample, known.reason, err = b.Peers.onnx(ctx, "--units", strconv.Itoa(i.units), "--symbols", strconv.Itoa(i.symbols),
					"--precision", p.precision, "--steps", strconv.Itoa(inferenceLength), "--runs", strconv.Itoa(b.Runs), "--threads", "1")
				if err != nil {
					return nil, err
				}
				known.sample.Who += " " + p.precision
				peers[key{i.units, p.precision}] = known
			}
			for n := range ours {
				if n == 0 && p.faster != 0 {
					lines[first+n].hold(p.against, known.sample, known.reason, Goal{Faster: p.faster})
				} else {
					lines[first+n].hold(p.against, known.sample, known.reason)
				}
			}
		}
		b.Progress(fmt.Sprintf("Inference/%s-%d", i.weights, i.units))
	}
	return lines, nil
}

// timeInference deploys a new network on the cpu backend, once for each of activations. A time
// is that of one time step: the backend's median time of a sequence, divided by its time steps.
func (b *Bench) timeInference(ctx context.Context, i inference) (_ []Sample, err error) {
	// A small batch will do, because the exported network does not depend on it.
	trial, err := b.trial(ctx, timedStep{
		name:     "inference",
		shape:    characterShape(i.symbols, 4, inferenceLength),
		options:  plugins.Values{"units": strconv.Itoa(i.units)},
		training: suite.Training{Optimiser: model.SGD, ValidationCalibration: 1},
	}, i.quantizer)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	deployed, err := trial.Network(ctx, 1)
	if err != nil {
		return nil, err
	}
	// The peer is one LSTM layer without a softmax layer, so ours must be one too.
	if err := recurrentPart(&deployed); err != nil {
		return nil, err
	}
	if len(i.format.Planes) > 0 {
		rng := rand.New(rand.NewPCG(1, 1))
		for name, m := range deployed.Weights { // all weights are recurrent now
			deployed.Weights[name] = i.format.Pack(rng, m.Rows, m.Cols, func(int) float32 { return (0.5 + rng.Float32()) / float32(i.units) })
		}
	}
	samples := make([]Sample, len(activations))
	for n, precision := range activations {
		if samples[n], err = b.timeDeployed(ctx, deployed, plugins.Values{"activations": precision}); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// timeDeployed times a network on the cpu backend with these options.
func (b *Bench) timeDeployed(ctx context.Context, deployed artifact.Network, options plugins.Values) (_ Sample, err error) {
	plugin, err := b.plugin(ctx, plugins.ID{Kind: plugins.KindBackend, Name: "cpu"}, options)
	if err != nil {
		return Sample{}, err
	}
	cpu, err := b.Catalogue.Backend(ctx, "cpu", host.Settings{Deadline: b.Deadline})
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	if _, err := cpu.Deploy(ctx, backend.Deploy{Options: plugin.Options, Network: deployed.Program, Weights: deployed.Weights}); err != nil {
		return Sample{}, err
	}
	sample := Sample{Who: "bittern"}
	for range b.Runs {
		cost, err := cpu.Cost(ctx, backend.CostRequest{Steps: map[string]int{stream: inferenceLength}})
		if err != nil {
			return Sample{}, err
		}
		if cost.Seconds == nil || !cost.Measured {
			return Sample{}, fmt.Errorf("the cpu backend timed nothing")
		}
		sample.Seconds = append(sample.Seconds, *cost.Seconds)
	}
	sample.Seconds = each(sample.Seconds, inferenceLength)
	return sample, nil
}

// recurrentPart removes the output layer. The state that this layer reads becomes the output.
func recurrentPart(n *artifact.Network) error {
	at := slices.IndexFunc(n.Program.Stages, func(s network.Stage) bool { return s.Name == n.Program.Output })
	g := &n.Program.Stages[at].Graph
	next := map[string]bool{}
	for _, s := range g.States {
		next[s.Next] = true
	}
	at = slices.IndexFunc(g.Nodes, func(n stepgraph.Node) bool {
		return n.Op == stepgraph.MatVec && !n.Recurrent && next[n.Inputs[0]]
	})
	if at < 0 {
		return fmt.Errorf("the network of %s has no output layer that reads a state", n.Program.Model)
	}
	g.Output = g.Nodes[at].Inputs[0]
	for _, dropped := range g.Nodes[at:] {
		delete(n.Weights, dropped.Weight)
	}
	g.Nodes = g.Nodes[:at]
	return nil
}
