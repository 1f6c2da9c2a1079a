package team

import "sync/atomic"

// meeting is a place where all workers wait for each other, again and again.
type meeting struct {
	arrived atomic.Int32
	gate    // opens when all have arrived
}

// meet returns once as many workers as the size have called it.
func (m *meeting) meet(size int) { m.meetAfter(m.opened.Load(), size) }

// meetAfter is meet for a worker that has read how often the gate has opened so far.
func (m *meeting) meetAfter(opened uint32, size int) {
	if int(m.arrived.Add(1)) < size {
		m.pass(opened)
		return
	}
	m.arrived.Store(0)
	m.open()
}
