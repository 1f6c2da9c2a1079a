package arena

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Intact returns an error that wraps ErrTruncated if a file of the arena is shorter than its
// mapping. Tensors may then be touched only under [Arena.Guard].
func (a *Arena) Intact() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.segments {
		info, err := s.file.Stat()
		if err != nil {
			return fmt.Errorf("look at the arena %s: %w", s.file.Name(), err)
		}
		if info.Size() < int64(len(s.memory)) {
			return fmt.Errorf("%w: %d of %d bytes are left of %s", ErrTruncated, info.Size(), len(s.memory), s.file.Name())
		}
	}
	return nil
}

// Guard makes a function survive that its arena is cut short: where it touches a
// tensor that is gone it returns ErrTruncated, and the process lives on. It
// covers the goroutine that calls it, and is used so:
//
//	func work(a *arena.Arena) (err error) {
//		defer a.Guard(&err)()
func (a *Arena) Guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		cause := recover()
		if cause == nil {
			return
		}
		fault, ok := cause.(interface {
			runtime.Error
			Addr() uintptr
		})
		if !ok || !a.covers(fault.Addr()) {
			panic(cause)
		}
		if *err = a.Intact(); *err == nil { // the file has its size, but there was no memory for a hole in it
			*err = ErrTruncated
		}
	}
}

// covers reports whether an address lies in the arena.
func (a *Arena) covers(address uintptr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.segments {
		if start := s.start(); address >= start && address-start < uintptr(len(s.memory)) {
			return true
		}
	}
	return false
}
