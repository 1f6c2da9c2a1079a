package experiment

import "sync"

// Quiet lets a backend time this machine while no experiment of the same runner
// computes: what computes takes turns with what times. It knows nothing of
// other programs on the machine, another run of Bittern among them.
//
// Neither of its two calls may be made within the other or within itself.
type Quiet struct{ turn sync.RWMutex }

// compute does a piece of work beside others: a training step, a validation.
// It waits while something is timed, or is waiting to be.
func (q *Quiet) compute(work func() error) error {
	q.turn.RLock()
	defer q.turn.RUnlock()
	return work()
}

// alone waits for the pieces of work under way, and does work while no other
// begins.
func (q *Quiet) alone(work func() error) error {
	q.turn.Lock()
	defer q.turn.Unlock()
	return work()
}
