package team

import (
	"runtime"
	"testing"
	"time"
)

// Who has waited in vain polls for less long the next time, and longer again once a wait
// was short.
func TestPatienceFollowsTheWaits(t *testing.T) {
	t.Parallel()
	const most = 1024 * time.Nanosecond
	var g gate
	g.init(most)
	want := func(when string, want time.Duration) {
		t.Helper()
		if got := time.Duration(g.patience.Load()); got != want {
			t.Errorf("%s: a patience of %v, want %v", when, got, want)
		}
	}
	long := func() {
		opened, done := g.opened.Load(), make(chan struct{})
		go func() {
			defer close(done)
			g.pass(opened)
		}()
		for g.asleep.Load() == 0 {
			runtime.Gosched()
		}
		g.open()
		<-done
	}
	short := func() { g.pass(g.opened.Load() - 1) } // it is open
	short()
	want("after a short wait", most)
	long()
	want("after a long wait", most/4)
	long()
	long()
	want("after several", most/16)
	short()
	want("after a short wait then", most/8)
	for range 3 {
		short()
	}
	want("after more short waits", most)

	for g.vain.Load()%retry != retry-1 {
		long()
	}
	want("after many long waits", most/16)
	long()
	want("in the wait that tries again", most)
	short()
	want("after that was short", most)

	g.init(0) // of a team with more workers than cores
	long()
	short()
	want("of none", 0)
}
