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
	weights   string // as the name of the line has them
	quantizer string
	// format, if it has planes, replaces the format of the quantizer's recurrent weights. Codes
	// are then random, since no time depends on them.
	format graphs.Format
}

// inferences are the networks of one size, which are timed in turn.
type inferences struct {
	units, symbols int
	networks       []inference
}

func allInferences() []inferences {
	binary := inference{weights: "stochastic-binary", quantizer: "stochastic-binary"}
	ternary := inference{weights: "stochastic-ternary", quantizer: "stochastic-ternary"}
	return []inferences{
		{512, 87, []inference{binary, ternary}},
		{1000, 50, []inference{
			binary, ternary,
			// The other formats of up to two bits.
			{weights: "binary-rows", quantizer: binary.quantizer, format: graphs.PerRow(graphs.Binary)},
			{weights: "two-planes-rows", quantizer: binary.quantizer, format: graphs.PerRow(graphs.TwoPlanes)},
			{weights: "ternary-two-scales", quantizer: binary.quantizer, format: graphs.Asymmetric},
		}},
		{2000, 27, []inference{binary, ternary}},
	}
}

// activations are the precisions of activations in the cpu backend. Goals are for the first,
// which is as precise as the peer.
var activations = []string{"int8", "int14"}

const (
	inferenceLength    = 100 // time steps of a timed sequence, as in the paper
	inferenceSequences = 15  // of a turn, whose median counts
)

func (b *Bench) inferenceLines(ctx context.Context) ([]Line, error) {
	var lines []Line
	for _, size := range allInferences() {
		if !b.wants(size.lines()...) {
			continue
		}
		found, err := b.inferencesOfSize(ctx, size)
		if err != nil {
			return nil, fmt.Errorf("inference at %d units: %w", size.units, err)
		}
		lines = append(lines, found...)
	}
	return lines, nil
}

func (b *Bench) inferencesOfSize(ctx context.Context, size inferences) (_ []Line, err error) {
	var all []*contestant
	defer func() { closeAll(&err, all...) }()
	for _, network := range size.networks {
		deployed, err := b.packed(ctx, network, size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", network.weights, err)
		}
		for _, precision := range activations {
			c, err := b.deploy(ctx, deployed, plugins.Values{"activations": precision})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", network.weights, err)
			}
			all = append(all, c)
		}
	}
	ours := len(all)
	peers := []struct{ against, precision, reason string }{{onnxInt8, "int8", ""}, {onnxFloat, "float32", ""}}
	for i := range peers {
		p := &peers[i]
		var c *contestant
		if c, p.reason, err = b.Peers.onnx(ctx, "--units", strconv.Itoa(size.units), "--symbols", strconv.Itoa(size.symbols),
			"--precision", p.precision, "--steps", strconv.Itoa(inferenceLength), "--sequences", strconv.Itoa(inferenceSequences), "--threads", "1"); err != nil {
			return nil, err
		}
		if c != nil {
			c.who += " " + p.precision
		}
		all = append(all, c)
	}
	samples, err := b.inTurn(ctx, all...)
	if err != nil {
		return nil, err
	}
	var lines []Line
	names := size.lines()
	for i, sample := range samples[:ours] {
		line := newLine(names[i], sample)
		for n, p := range peers {
			line.compare(p.against, samples[ours+n], p.reason)
		}
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// lines returns the names of the lines of a size.
func (i inferences) lines() (names []string) {
	for _, network := range i.networks {
		for _, precision := range activations {
			names = append(names, fmt.Sprintf("Inference/%s-%d/%s", network.weights, i.units, precision))
		}
	}
	return names
}

// packed makes a new network and packs its weights.
func (b *Bench) packed(ctx context.Context, i inference, size inferences) (_ artifact.Network, err error) {
	// A small batch will do, because the exported network does not depend on it.
	trial, err := b.trial(ctx, timedStep{
		name:     "inference",
		shape:    characterShape(size.symbols, 4, inferenceLength),
		options:  plugins.Values{"units": strconv.Itoa(size.units)},
		training: suite.Training{Optimiser: model.SGD, ValidationCalibration: 1},
	}, i.quantizer)
	if err != nil {
		return artifact.Network{}, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	deployed, err := trial.Network(ctx, 1)
	if err != nil {
		return artifact.Network{}, err
	}
	// The peer is one LSTM layer without a softmax layer, so ours must be one too.
	if err := recurrentPart(&deployed); err != nil {
		return artifact.Network{}, err
	}
	if len(i.format.Planes) > 0 {
		rng := rand.New(rand.NewPCG(1, 1))
		for name, m := range deployed.Weights { // all weights are recurrent now
			deployed.Weights[name] = i.format.Pack(rng, m.Rows, m.Cols, func(int) float32 { return (0.5 + rng.Float32()) / float32(size.units) })
		}
	}
	return deployed, nil
}

// deploy starts the cpu backend with a network, to be timed by sequences of inferenceLength.
func (b *Bench) deploy(ctx context.Context, deployed artifact.Network, options plugins.Values) (*contestant, error) {
	options["timed-sequences"] = strconv.Itoa(inferenceSequences)
	cpu, err := b.cpu(ctx, deployed, options)
	if err != nil {
		return nil, err
	}
	return oneSequence(cpu, inferenceLength), nil
}

// cpu starts the cpu backend with a network.
func (b *Bench) cpu(ctx context.Context, deployed artifact.Network, options plugins.Values) (*host.Backend, error) {
	plugin, err := b.plugin(ctx, plugins.ID{Kind: plugins.KindBackend, Name: "cpu"}, options)
	if err != nil {
		return nil, err
	}
	cpu, err := b.Catalogue.Backend(ctx, "cpu", host.Settings{Deadline: b.Deadline})
	if err != nil {
		return nil, err
	}
	if _, err := cpu.Deploy(ctx, backend.Deploy{Options: plugin.Options, Network: deployed.Program, Weights: deployed.Weights}); err != nil {
		return nil, errors.Join(err, cpu.Close())
	}
	return cpu, nil
}

// oneSequence is a backend that runs a sequence by itself. The time of a turn is that of one time
// step: the backend's median time of a sequence, divided by its length.
func oneSequence(cpu *host.Backend, length int) *contestant {
	return &contestant{
		who: "bittern",
		turn: func(ctx context.Context) (float64, error) {
			cost, err := cpu.Cost(ctx, backend.CostRequest{Steps: map[string]int{stream: length}})
			if err != nil {
				return 0, err
			}
			if cost.Seconds == nil || !cost.Measured {
				return 0, fmt.Errorf("the cpu backend timed nothing")
			}
			return *cost.Seconds / float64(length), nil
		},
		close: cpu.Close,
	}
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
