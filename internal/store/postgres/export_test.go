package postgres

import "time"

// LockWait is how long one waits for the lock of those who write, until told.
func LockWait(d time.Duration) (undo func()) {
	before := lockWait
	lockWait = d
	return func() { lockWait = before }
}

var Array = array
