// Package team runs one function on a fixed number of workers that meet at
// barriers: the shape of a recurrent sweep whose hidden units are split over
// cores.
package team

import (
	"runtime"
	"sync/atomic"
)

// Team is a fixed set of workers. Worker 0 is the caller of Run; the others
// are goroutines that wait between runs without using a core for long.
type Team struct {
	size    int
	work    func(worker int) // nil once the team is closed
	start   gate             // opens for each run
	arrived atomic.Int32     // workers at the barrier
	barrier gate             // opens when all have arrived
}

// New starts a team of size workers (at least 1).
func New(size int) *Team {
	t := &Team{size: max(1, size)}
	patience := patience
	if runtime.GOMAXPROCS(0) < t.size {
		patience = 0 // whoever is waited for needs this core
	}
	t.start.init(patience)
	t.barrier.init(patience)
	for worker := 1; worker < t.size; worker++ {
		go func() {
			for run := uint32(0); ; run++ {
				t.start.pass(run)
				if t.work == nil {
					return
				}
				t.work(worker)
				t.Barrier()
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
	t.work = work
	t.start.open()
	work(0)
	t.Barrier()
}

// Barrier returns once every worker of the current run has called it.
func (t *Team) Barrier() {
	meeting := t.barrier.opened.Load()
	if int(t.arrived.Add(1)) < t.size {
		t.barrier.pass(meeting)
		return
	}
	t.arrived.Store(0)
	t.barrier.open()
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
	t.work = nil
	t.start.open()
}
