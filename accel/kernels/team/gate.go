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

// gate holds goroutines back until it opens, again and again. Those that wait look
// for a while, which costs no wake-up, and then sleep, so that a core whose
// owner was put off it by another process is free for the one they wait for.
type gate struct {
	opened   atomic.Uint32 // how many times
	_        cpu.CacheLinePad
	patience int
	asleep   atomic.Int32
	mutex    sync.Mutex
	wake     sync.Cond
}

func (g *gate) init(patience int) {
	g.patience = patience
	g.wake.L = &g.mutex
}

// pass returns once the gate has opened more than the given number of times.
func (g *gate) pass(opened uint32) {
	for range g.patience {
		if g.opened.Load() != opened {
			return
		}
	}
	g.mutex.Lock()
	g.asleep.Add(1)
	for g.opened.Load() == opened {
		g.wake.Wait()
	}
	g.asleep.Add(-1)
	g.mutex.Unlock()
}

// open lets everyone pass who waits for it. Either it sees that a goroutine sleeps, or that one sees
// the gate open after it said so.
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
