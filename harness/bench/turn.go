package bench

import (
	"context"
	"errors"
	"time"
)

// contestant is something that is timed in turn with others.
type contestant struct {
	who string
	// turn takes one turn and returns its seconds.
	turn  func(context.Context) (float64, error)
	polls bool // its threads may poll for more work after a turn, and so hold up the next
	close func() error
}

// rest is how long nothing is timed after the turn of a contestant that polls. A thread of OpenBLAS polls
// until OPENBLAS_THREAD_TIMEOUT: by default it kept a core busy for 100 ms (Zen 5, OpenBLAS 0.3.21).
const rest = 150 * time.Millisecond

// inTurn lets the contestants take turns, one of each a round, so that changes in the machine's
// speed affect all alike. Value i of every sample is of round i. The first round is not counted,
// since it maps and fills memory. A nil contestant has no values.
func (b *Bench) inTurn(ctx context.Context, contestants ...*contestant) ([]Sample, error) {
	samples := make([]Sample, len(contestants))
	for round := range b.Runs + 1 {
		for i, c := range contestants {
			if c == nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			seconds, err := c.turn(ctx)
			if err != nil {
				return nil, err
			}
			if samples[i].Who = c.who; round > 0 {
				samples[i].Values = append(samples[i].Values, seconds)
			}
			if c.polls {
				time.Sleep(rest)
			}
		}
	}
	return samples, nil
}

// closeAll closes contestants and joins their errors with err.
func closeAll(err *error, contestants ...*contestant) {
	for _, c := range contestants {
		if c != nil && c.close != nil {
			*err = errors.Join(*err, c.close())
		}
	}
}

// warmUp is how long a turn of little work goes on before it is timed. Cores that have rested need some
// milliseconds until they are as fast as they can be. pytorch.py has the same.
const warmUp = 20 * time.Millisecond

// timed is a turn that does the work once or, for as long as warmUp, more often, and then times it, so
// that caches and cores that another contestant has left cold do not count.
func timed(work func() error) func(context.Context) (float64, error) {
	return func(context.Context) (float64, error) {
		start := time.Now()
		for warm := false; !warm; warm = time.Since(start) >= warmUp {
			if err := work(); err != nil {
				return 0, err
			}
		}
		start = time.Now()
		err := work()
		return time.Since(start).Seconds(), err
	}
}

// each divides the values of count repetitions by count.
func each(s Sample, count int) Sample {
	out := Sample{Who: s.Who, Values: make([]float64, s.N())}
	for i, value := range s.Values {
		out.Values[i] = value / float64(count)
	}
	return out
}
