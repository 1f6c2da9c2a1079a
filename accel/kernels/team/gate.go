package team

import (
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/cpu"
)

// patience is how often a waiting worker looks at a gate before it sleeps. At half a nanosecond a look
// (Zen 5, 4 GHz) it is 65 µs: longer than the serial work between two runs of a training step, and
// no longer than it takes to be woken (40 to 80 µs there), so that at worst it doubles a wait.
const patience = 1 << 17

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
	most     int32         // looks before sleeping, at most
	patience atomic.Int32  // looks before sleeping, in the next wait
	vain     atomic.Uint32 // waits that ended in sleep
	asleep   atomic.Int32
	mutex    sync.Mutex
	wake     sync.Cond
}

func (g *gate) init(patience int32) {
	g.most = patience
	g.patience.Store(patience)
	g.wake.L = &g.mutex
}

// pass returns once the gate has opened more than the given number of times.
func (g *gate) pass(opened uint32) {
	patience := g.patience.Load()
	for range patience {
		if g.opened.Load() != opened {
			if patience < g.most {
				g.patience.Store(min(2*patience, g.most))
			}
			return
		}
	}
	next := max(patience/4, g.most/leastShare)
	if g.vain.Add(1)%retry == 0 {
		next = g.most
	}
	g.patience.Store(next)
	g.mutex.Lock()
	g.asleep.Add(1)
	for g.opened.Load() == opened {
		g.wake.Wait()
	}
	g.asleep.Add(-1)
	g.mutex.Unlock()
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
