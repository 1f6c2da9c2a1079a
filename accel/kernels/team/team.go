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
	size     int
	work     func(worker int)        // nil once the team is closed
	panicked atomic.Pointer[failure] // the first panic of the run; nil as long as there is none
	start    gate                    // opens for each run
	barrier  meeting                 // of the calls of Barrier
	end      meeting                 // of a run
}

// failure is what a worker panicked with.
type failure struct{ value any }

// New starts a team of size workers (at least 1).
func New(size int) *Team {
	t := &Team{size: max(1, size)}
	most := patience
	if runtime.GOMAXPROCS(0) < t.size {
		most = 0 // whoever is waited for needs this core
	}
	for _, g := range []*gate{&t.start, &t.barrier.gate, &t.end.gate} {
		g.init(most)
	}
	for worker := 1; worker < t.size; worker++ {
		go func() {
			for run := uint32(0); ; run++ {
				t.start.pass(run)
				if t.work == nil {
					return
				}
				t.share(worker)
			}
		}()
	}
	return t
}

// Size is the number of workers.
func (t *Team) Size() int { return t.size }

// Run calls work once for every worker, at the same time, and returns when all
// have returned. It does not allocate. Runs do not nest.
//
// Where work panics, on whichever worker, the others leave it at their next
// barrier and Run panics with the value of the first: the caller can recover from
// it, and the team can run again.
func (t *Team) Run(work func(worker int)) {
	t.work = work
	t.start.open()
	t.share(0)
	if failed := t.panicked.Load(); failed != nil {
		t.panicked.Store(nil)
		t.barrier.arrived.Store(0) // of those that left
		panic(failed.value)
	}
}

// share is a worker's part of a run.
func (t *Team) share(worker int) {
	t.try(worker)
	t.end.meet(t.size)
}

// try calls work and records its panic.
func (t *Team) try(worker int) {
	defer t.catch()
	t.work(worker)
}

// catch records a panic and releases the workers that wait at the barrier for the one
// that panicked.
func (t *Team) catch() {
	if value := recover(); value != nil && t.panicked.CompareAndSwap(nil, &failure{value}) {
		t.barrier.gate.open()
	}
}

// abandoned is the panic by which a worker leaves its work after another one panicked.
const abandoned = "team: another worker panicked"

// Barrier returns once every worker of the current run has called it. Where one of
// them panicked, Barrier panics too, and [Team.Run] recovers that.
func (t *Team) Barrier() {
	// A worker that panics says so before it opens the gate: a worker that does not see
	// it here finds the gate open and does not wait.
	opened := t.barrier.opened.Load()
	if t.panicked.Load() != nil {
		panic(abandoned)
	}
	t.barrier.meetAfter(opened, t.size)
	if t.panicked.Load() != nil {
		panic(abandoned)
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
	t.work = nil
	t.start.open()
}
