package team

import (
	"sync/atomic"

	"golang.org/x/sys/cpu"
)

// Tasks hands out the numbers 0, 1, 2, … to the workers that ask for them, each to one worker.
type Tasks struct {
	_    cpu.CacheLinePad
	next atomic.Int64
	_    cpu.CacheLinePad
}

// Restart begins again at 0. No worker may ask meanwhile.
func (t *Tasks) Restart() { t.next.Store(0) }

// Next returns the next number if it is below limit.
func (t *Tasks) Next(limit int) (number int, ok bool) {
	for {
		next := t.next.Load()
		if next >= int64(limit) {
			return 0, false
		}
		if t.next.CompareAndSwap(next, next+1) {
			return int(next), true
		}
	}
}
