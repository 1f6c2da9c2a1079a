package experiment

import "sync"

// Quiet gives a backend that is timed on this machine the machine to itself: while it is
// timed, no experiment of the same runner starts a plugin, trains, validates, freezes,
// deploys or executes. Other programs go on, another run of Bittern among them.
//
// Neither of its two calls may be made within the other or within itself.
type Quiet struct{ turn sync.RWMutex }

// compute does a piece of work beside others, such as a training step or a validation. It
// waits while something is timed, and while something waits to be.
func (q *Quiet) compute(work func() error) error {
	q.turn.RLock()
	defer q.turn.RUnlock()
	return work()
}

// alone waits until the pieces of work under way have ended, and does work before others
// begin.
func (q *Quiet) alone(work func() error) error {
	q.turn.Lock()
	defer q.turn.Unlock()
	return work()
}
