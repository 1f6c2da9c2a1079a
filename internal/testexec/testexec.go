// Package testexec writes executables that tests start.
package testexec

import (
	"os"
	"syscall"
	"testing"
)

// Write writes an executable file. No process is started meanwhile: a child of this process
// would have the file open for writing until it executes its own program, and Linux refuses
// to execute a file that is open so (ETXTBSY; https://go.dev/issue/22315).
func Write(t testing.TB, path string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, content, 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

// Wait waits for the processes that are being started. After that, no child of this process
// has an executable open for writing that something else than [Write] has written before.
func Wait() {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
}
