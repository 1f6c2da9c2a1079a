package cpu

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bittern/accel/backends/cpu/internal/rapl"
	"bittern/plugins/backend"
)

// The parts of the energy: of a measured one, what the processor draws while it computes
// nothing, and what is more; or the whole of an assumed one.
const (
	idlePart      = "idle processor"
	computingPart = "computing"
	assumedPart   = "assumed power × time"
)

// window is how long energy is counted at least: a hundred times the millisecond after
// which the counters are renewed.
const window = 100 * time.Millisecond

// counter counts energy.
type counter interface {
	Joules() (float64, error) // since the call before
	Domains() []string        // that it counts
}

// meter measures the energy of sequences.
type meter struct {
	counter
	window time.Duration
	idle   float64 // watts, while nothing is computed
}

// newMeter waits for a window to find what the processor draws while idle.
func newMeter(c counter, window time.Duration, wait func(time.Duration)) (*meter, error) {
	if _, err := c.Joules(); err != nil {
		return nil, err
	}
	start := time.Now()
	wait(window)
	joules, err := c.Joules()
	if err != nil {
		return nil, err
	}
	if joules == 0 {
		return nil, errors.New("the energy counters of this computer stand still")
	}
	return &meter{c, window, joules / time.Since(start).Seconds()}, nil
}

// open returns the meter, which is the same for all networks, or why there is none.
func (p *processor) open(ctx context.Context) (*meter, error) {
	if p.meter != nil {
		return p.meter, nil
	}
	c, err := rapl.Open(p.counters)
	if err != nil {
		return nil, err
	}
	m, err := newMeter(c, window, func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	})
	if err == nil {
		err = ctx.Err() // it did not wait for long enough
	}
	if err != nil {
		return nil, err
	}
	p.meter = m
	return m, nil
}

// energyParts are of a sequence. Their sum is what was counted.
func (t timing) energyParts(idleWatts float64) []backend.Part {
	whole := t.joules / float64(t.runs)
	idle := min(whole, idleWatts*t.elapsed/float64(t.runs))
	return []backend.Part{{Name: idlePart, Value: idle, Static: true}, {Name: computingPart, Value: whole - idle}}
}

func (m *meter) note(runs int) string {
	return fmt.Sprintf("energy is that of %s by RAPL, the mean over %d sequences; all that runs on the computer is in it. %q is the %.3g W that they drew while nothing was computed, times the time",
		strings.Join(m.Domains(), ", "), runs, idlePart, m.idle)
}
