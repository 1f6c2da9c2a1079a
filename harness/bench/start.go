package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// startLines times what a user waits for: a command that lists the plugins, and the time from
// starting a run until its first training step is done, for War & Peace with 512 units. Both are
// done once before, so that the program and the text are in the cache.
func (b *Bench) startLines(ctx context.Context) ([]Line, error) {
	const listName, stepName = "Start/plugins-list", "Start/first-step-512"
	if !b.wants(listName, stepName) {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	list := &contestant{who: "bittern", turn: func(ctx context.Context) (float64, error) {
		start := time.Now()
		if text, err := exec.CommandContext(ctx, self, "plugins", "list").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("bittern plugins list: %w: %s", err, lastLine(string(text)))
		}
		return time.Since(start).Seconds(), nil
	}}
	var reason string
	step := &contestant{who: "bittern", turn: func(ctx context.Context) (seconds float64, err error) {
		if reason != "" {
			return 0, nil
		}
		seconds, reason, err = b.run(ctx, observedRun{task: "warpeace", units: 512, steps: 1}, nil)
		return seconds, err
	}}
	samples, err := b.inTurn(ctx, list, step)
	if err != nil {
		return nil, err
	}
	lines := []Line{newLine(listName, samples[0]), newLine(stepName, samples[1])}
	if reason != "" {
		lines[1].Ours.Values, lines[1].Missing[""] = nil, reason
	}
	for _, line := range lines {
		b.Progress(line.Name)
	}
	return lines, nil
}
