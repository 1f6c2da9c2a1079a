package bench

import (
	"context"
	"errors"
	"fmt"

	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// togethers are the quantizers of a character model that the cpu backend runs with one sequence,
// and with many side by side: a weight that is read serves all of them.
var togethers = []string{"stochastic-binary", "stochastic-ternary", "none"}

// togetherLines times a time step of a sequence on one thread.
func (b *Bench) togetherLines(ctx context.Context) ([]Line, error) {
	const units, symbols = 2000, 27
	var lines []Line
	for _, quantizer := range togethers {
		many, one, err := b.timeTogether(ctx, quantizer, units, symbols)
		if err != nil {
			return nil, fmt.Errorf("scoring %s: %w", quantizer, err)
		}
		line := newLine(fmt.Sprintf("Scoring/cpu-%d/%s", units, quantizer), many)
		line.compare(single, one, "")
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// timeTogether times a batch of many sequences, and the sequences that the backend times one by
// one, in turn.
func (b *Bench) timeTogether(ctx context.Context, quantizer string, units, symbols int) (many, one Sample, err error) {
	const sequences, length = 32, 10
	network, err := b.characterNetwork(ctx, quantizer, units, symbols)
	if err != nil {
		return many, one, err
	}
	plugin, err := b.plugin(ctx, plugins.ID{Kind: plugins.KindBackend, Name: "cpu"}, plugins.Values{"threads": "1", "timed-sequences": "3"})
	if err != nil {
		return many, one, err
	}
	cpu, err := b.Catalogue.Backend(ctx, "cpu", host.Settings{Deadline: b.Deadline})
	if err != nil {
		return many, one, err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	if _, err := cpu.Deploy(ctx, backend.Deploy{Options: plugin.Options, Network: network.Program, Weights: network.Weights}); err != nil {
		return many, one, err
	}
	text := random{characterShape(symbols, sequences, length)}
	batch := text.shape.Allocate()
	if err := text.Fill(0, batch); err != nil {
		return many, one, err
	}
	together := &contestant{who: "bittern", turn: timed(func() error {
		_, err := cpu.Execute(ctx, backend.Execute{Batch: batch})
		return err
	})}
	alone := &contestant{who: fmt.Sprintf("%s in place of %d", single, sequences), turn: func(ctx context.Context) (float64, error) {
		cost, err := cpu.Cost(ctx, backend.CostRequest{Steps: map[string]int{stream: length}})
		if err != nil {
			return 0, err
		}
		if cost.Seconds == nil || !cost.Measured {
			return 0, errors.New("the cpu backend timed nothing")
		}
		return *cost.Seconds, nil
	}}
	samples, err := b.inTurn(ctx, together, alone)
	if err != nil {
		return many, one, err
	}
	return each(samples[0], sequences*length), each(samples[1], length), nil
}
