// Package team runs one function on a fixed number of workers that meet at
// barriers: the shape of a recurrent sweep whose hidden units are split over
// cores.
package team

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Team is a fixed set of workers. Worker 0 is the caller of Run; the others
// are goroutines that wait between runs without using a core for long.
type Team struct {
	size    int
	work    func(worker int)
	start   []chan struct{}
	done    sync.WaitGroup
	arrived atomic.Int32
	phase   atomic.Uint32
}

// New starts a team of size workers (at least 1).
func New(size int) *Team {
	t := &Team{size: max(1, size)}
	t.start = make([]chan struct{}, t.size)
	for worker := 1; worker < t.size; worker++ {
		start := make(chan struct{}, 1)
		t.start[worker] = start
		go func() {
			for range start {
				t.work(worker)
				t.done.Done()
			}
		}()
	}
	return t
}

// Size is the number of workers.
func (t *Team) Size() int { return t.size }

// Run calls work once for every worker, at the same time, and returns when all
// have returned. It does not allocate. Runs do not nest.
func (t *Team) Run(work func(worker int)) {
	if t.size == 1 {
		work(0)
		return
	}
	t.work = work
	t.done.Add(t.size - 1)
	for worker := 1; worker < t.size; worker++ {
		t.start[worker] <- struct{}{}
	}
	work(0)
	t.done.Wait()
}

// spins is how often a waiting worker looks before it lets others run: long
// enough for the other half of an even split, short enough not to starve a
// machine with fewer cores than workers.
const spins = 1 << 14

// Barrier returns once every worker of the current run has called it.
func (t *Team) Barrier() {
	if t.size == 1 {
		return
	}
	phase := t.phase.Load()
	if int(t.arrived.Add(1)) == t.size {
		t.arrived.Store(0)
		t.phase.Add(1)
		return
	}
	for i := 0; t.phase.Load() == phase; i++ {
		if i >= spins {
			runtime.Gosched()
		}
	}
}

// Split returns worker's part [from, to) of n items in chunks of a multiple of
// grain, as even as that allows.
func (t *Team) Split(worker, n, grain int) (from, to int) {
	chunks := (n + grain - 1) / grain
	from = chunks * worker / t.size * grain
	to = chunks * (worker + 1) / t.size * grain
	return min(from, n), min(to, n)
}

// Close ends the workers. The team must not be used after.
func (t *Team) Close() {
	for worker := 1; worker < t.size; worker++ {
		close(t.start[worker])
	}
}
