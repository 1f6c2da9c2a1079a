package runfolder

import "errors"

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("another process has the lock")

// LockKind says which locks other processes may have of the file at the same time.
type LockKind int

// The kinds of locks.
const (
	Exclusive LockKind = iota // none
	Shared                    // shared ones
)
