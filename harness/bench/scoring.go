package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bittern/harness/artifact"
	"bittern/harness/experiment"
	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
)

// scorings are the quantizers of a character model whose text a simulated accelerator scores, in
// batches of many sequences.
var scorings = []string{"stochastic-binary", "stochastic-ternary", "fixed-point"}

// scoringLines times the scoring of text.
func (b *Bench) scoringLines(ctx context.Context) ([]Line, error) {
	simulated, err := b.simulatedLines(ctx)
	if err != nil {
		return nil, err
	}
	together, err := b.togetherLines(ctx)
	if err != nil {
		return simulated, err
	}
	evaluation, err := b.evaluationLines(ctx)
	return slices.Concat(simulated, together, evaluation), err
}

// simulatedLines times the scoring of one symbol of text by simulated accelerators, on all threads.
func (b *Bench) simulatedLines(ctx context.Context) ([]Line, error) {
	const units, symbols, sequences, length = 512, 87, 64, 100
	products := []product{
		{m: sequences, n: 4 * units, k: units, count: length, reused: true},
		{m: sequences * length, n: symbols, k: units, count: 1},
	}
	batch := random{characterShape(symbols, sequences, length)}
	var lines []Line
	for _, quantizer := range scorings {
		name := fmt.Sprintf("Scoring/asic-%d/%s", units, quantizer)
		if !b.wants(name) {
			continue
		}
		ours, alone, err := b.timeScoring(ctx, quantizer, units, batch, products)
		if err != nil {
			return nil, fmt.Errorf("scoring %s: %w", quantizer, err)
		}
		line := newLine(name, each(ours, sequences*length))
		line.compare(floor, each(alone, sequences*length), "")
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// timeScoring times a batch and the products alone, in turn.
func (b *Bench) timeScoring(ctx context.Context, quantizer string, units int, text random, products []product) (ours, alone Sample, err error) {
	network, err := b.characterNetwork(ctx, quantizer, units, text.shape.Classes)
	if err != nil {
		return ours, alone, err
	}
	const name = "asic-lowpower" // all simulated accelerators compute alike
	var plugin experiment.Plugin
	if plugin, err = b.plugin(ctx, plugins.ID{Kind: plugins.KindBackend, Name: name}, nil); err != nil {
		return ours, alone, err
	}
	machine, err := b.Catalogue.Backend(ctx, name, host.Settings{Deadline: b.Deadline})
	if err != nil {
		return ours, alone, err
	}
	defer func() { err = errors.Join(err, machine.Close()) }()
	if _, err := machine.Deploy(ctx, backend.Deploy{Options: plugin.Options, Network: network.Program, Weights: network.Weights}); err != nil {
		return ours, alone, err
	}
	batch := text.shape.Allocate()
	if err := text.Fill(0, batch); err != nil {
		return ours, alone, err
	}
	scored := &contestant{who: "bittern", turn: timed(func() error {
		_, err := machine.Execute(ctx, backend.Execute{Batch: batch})
		return err
	})}
	floor := b.alone(products)
	defer closeAll(&err, floor)
	samples, err := b.inTurn(ctx, scored, floor)
	if err != nil {
		return ours, alone, err
	}
	samples[1].Who = aloneBy + samples[1].Who
	return samples[0], samples[1], nil
}

// characterNetwork is an untrained character model, as it is deployed.
func (b *Bench) characterNetwork(ctx context.Context, quantizer string, units, symbols int) (artifact.Network, error) {
	trial, err := b.trial(ctx, timedStep{
		name: "scoring", shape: characterShape(symbols, 4, 10), // the exported network is all that is needed
		options:  plugins.Values{"units": fmt.Sprint(units)},
		training: suite.Training{Optimiser: model.SGD, ValidationCalibration: 1},
	}, quantizer)
	if err != nil {
		return artifact.Network{}, err
	}
	network, err := trial.Network(ctx, 1)
	return network, errors.Join(err, trial.Close())
}
