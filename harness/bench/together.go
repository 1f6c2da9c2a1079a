package bench

import (
	"context"
	"fmt"

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
		name := fmt.Sprintf("Scoring/cpu-%d/%s", units, quantizer)
		if !b.wants(name) {
			continue
		}
		many, one, err := b.timeTogether(ctx, quantizer, units, symbols)
		if err != nil {
			return nil, fmt.Errorf("scoring %s: %w", quantizer, err)
		}
		line := newLine(name, many)
		line.compare(single, one, "")
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
	cpu, err := b.cpu(ctx, network, plugins.Values{"threads": "1", "timed-sequences": "3"})
	if err != nil {
		return many, one, err
	}
	text := random{characterShape(symbols, sequences, length)}
	batch := text.shape.Allocate()
	alone := oneSequence(cpu, length)
	defer closeAll(&err, alone)
	if err := text.Fill(0, batch); err != nil {
		return many, one, err
	}
	alone.who = fmt.Sprintf("%s in place of %d", single, sequences)
	samples, err := b.inTurn(ctx, &contestant{who: "bittern", turn: timed(func() error {
		_, err := cpu.Execute(ctx, backend.Execute{Batch: batch})
		return err
	})}, alone)
	if err != nil {
		return many, one, err
	}
	return each(samples[0], sequences*length), samples[1], nil
}
