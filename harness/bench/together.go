package bench

import (
	"context"
	"errors"
	"fmt"

	"bittern/internal/host"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// together is a character model that the cpu backend runs with one sequence, and with many side
// by side: a weight that is read serves all of them.
type together struct {
	quantizer string
	faster    float64 // goal
}

var togethers = []together{{"stochastic-binary", 2}, {"stochastic-ternary", 2}, {"none", 4}}

// single is what many sequences are compared with.
const single = "one sequence"

// togetherLines times a time step of a sequence on one thread.
func (b *Bench) togetherLines(ctx context.Context) ([]Line, error) {
	const units, symbols = 2000, 27
	var lines []Line
	for _, t := range togethers {
		many, one, err := b.timeTogether(ctx, t.quantizer, units, symbols)
		if err != nil {
			return nil, fmt.Errorf("scoring %s: %w", t.quantizer, err)
		}
		line := newLine(fmt.Sprintf("Scoring/cpu-%d/%s", units, t.quantizer), many)
		line.hold(single, one, "", Goal{Faster: t.faster})
		lines = append(lines, line)
		b.Progress(line.Name)
	}
	return lines, nil
}

// timeTogether times a batch of many sequences, and the sequences that the backend times one by
// one, in turn.
func (b *Bench) timeTogether(ctx context.Context, quantizer string, units, symbols int) (many, one Sample, err error) {
	const sequences, length = 32, 20
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
	many.Who, one.Who = "bittern", fmt.Sprintf("%s in place of %d", single, sequences)
	for range b.Runs {
		took, err := times(ctx, 1, func() error {
			_, err := cpu.Execute(ctx, backend.Execute{Batch: batch})
			return err
		})
		if err != nil {
			return many, one, err
		}
		cost, err := cpu.Cost(ctx, backend.CostRequest{Steps: map[string]int{stream: length}})
		if err != nil {
			return many, one, err
		}
		if cost.Seconds == nil || !cost.Measured {
			return many, one, errors.New("the cpu backend timed nothing")
		}
		many.Seconds, one.Seconds = append(many.Seconds, took...), append(one.Seconds, *cost.Seconds)
	}
	many.Seconds, one.Seconds = each(many.Seconds, sequences*length), each(one.Seconds, length)
	return many, one, nil
}
