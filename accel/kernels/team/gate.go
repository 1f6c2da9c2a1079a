package team

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"
)

// patience is how long a waiting worker polls a gate before it sleeps. Being woken takes 40 to 80 µs (Zen 5),
// and the step after it up to 200 more: the worker often wakes on another core, whose caches have nothing of
// what it reads. Whoever waits for it must not fall asleep meanwhile, and be waited for in turn: one sleep
// would make tens of steps that follow end in sleep. The patience also outlasts the work of other processes
// between two calls of a training: against 150 µs, a validation of War & Peace took 0.92 of the time and
// training 0.98 (two cores of Zen 5, n = 3 to 7). At 1.5 ms there is no more to gain, and two trainings of two
// threads each on these cores take 1.26 times as long, where they take 1.05 at this.
const patience = 500 * time.Microsecond

// looks is how many times a worker looks at a gate between two looks at the clock, which cost more.
const looks = 16

// After waits that ended in sleep the patience falls to its leastShare-th part. The wait
// after every retry-th of them has all of the patience again: else a gate whose waits became
// short, but longer than what is left, would sleep for ever.
const (
	leastShare = 16
	retry      = 16
)

// gate makes goroutines wait until it opens; it is used again and again. A goroutine
// that waits first polls, because that needs no wake-up, and then sleeps, so that its
// core is free if the goroutine it waits for has lost its own core to another process.
// On a busy machine that is so most of the time, and polling only keeps the core from
// others: after a wait that ended in sleep the next ones poll for less long, until one is
// short again.
type gate struct {
	opened   atomic.Uint32 // how many times
	_        cpu.CacheLinePad
	most     time.Duration // of polling before sleeping
	patience atomic.Int64  // of the next wait, a time.Duration
	vain     atomic.Uint32 // waits that ended in sleep
	asleep   atomic.Int32
	mutex    sync.Mutex
	wake     sync.Cond
}

func (g *gate) init(patience time.Duration) {
	g.most = patience
	g.patience.Store(int64(patience))
	g.wake.L = &g.mutex
}

// pass returns once the gate has opened more than the given number of times.
func (g *gate) pass(opened uint32) {
	patience := time.Duration(g.patience.Load())
	if g.poll(opened, patience) {
		if patience < g.most {
			g.patience.Store(int64(min(2*patience, g.most)))
		}
		return
	}
	next := max(patience/4, g.most/leastShare)
	if g.vain.Add(1)%retry == 0 {
		next = g.most
	}
	g.patience.Store(int64(next))
	g.mutex.Lock()
	g.asleep.Add(1)
	for g.opened.Load() == opened {
		g.wake.Wait()
	}
	g.asleep.Add(-1)
	g.mutex.Unlock()
}

// poll looks at the gate for as long as patience, and reports whether it has opened.
func (g *gate) poll(opened uint32, patience time.Duration) bool {
	if g.opened.Load() != opened {
		return true
	}
	if patience == 0 {
		return false
	}
	for start := time.Now(); time.Since(start) < patience; {
		for range looks {
			pause()
			if g.opened.Load() != opened {
				return true
			}
		}
	}
	return false
}

// open lets all waiting goroutines pass. No wake-up is lost: a goroutine announces its sleep before
// it looks at the gate for the last time, so either open sees the announcement or it sees the gate open.
func (g *gate) open() {
	g.opened.Add(1)
	if g.asleep.Load() > 0 {
		g.mutex.Lock()
		g.wake.Broadcast()
		g.mutex.Unlock()
		// The goroutine just woken is next in line on this core, and the scheduler lets another core take it
		// only after a sleep: some 100 µs. Making way takes 40.
		runtime.Gosched()
	}
}
