package runfolder

import "errors"

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("another process has the lock")

// LockKind is what others may have of a file at the same time.
type LockKind int

// The kinds of locks.
const (
	Exclusive LockKind = iota // no other lock
	Shared                    // other shared locks
)
