package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"bittern/harness/internal/memory"
)

// betweenLooks is how long memory is not looked at. A look walks all pages of the processes.
const betweenLooks = 20 * time.Millisecond

// memoryLines trains on Penn Treebank characters with 1000 units, for a few steps and a checkpoint,
// and finds the largest memory of the harness and its plugins together. It is the proportional set
// size (PSS), in which a page that several processes share counts once.
//
// A look reads one process after another. If a second process maps a page of the first between the
// two, the page counts as a whole in the first and as a half in the second. So only as much counts
// as two looks in turn both have.
func (b *Bench) memoryLines(ctx context.Context) ([]Line, error) {
	line := newLine("PeakMemory/characters-1000", Sample{Who: "bittern"})
	line.Unit = Bytes
	if !b.wants(line.Name) {
		return nil, nil
	}
	for range b.Runs {
		var peak, before int64
		var last time.Time
		look := func(pid int) error {
			if time.Since(last) < betweenLooks {
				return nil
			}
			bytes, err := memory.Together(pid)
			peak, before, last = max(peak, min(before, bytes)), bytes, time.Now()
			return err
		}
		_, reason, err := b.run(ctx, observedRun{task: "ptb-char", units: 1000, steps: 3}, look)
		if errors.Is(err, os.ErrNotExist) {
			err, reason = nil, "this system has no /proc/PID/smaps_rollup"
		}
		if err != nil {
			return nil, err
		}
		if reason != "" {
			line.Missing[""] = reason
			return []Line{line}, nil
		}
		line.Ours.Values = append(line.Ours.Values, float64(peak))
	}
	b.Progress(line.Name)
	return []Line{line}, nil
}
