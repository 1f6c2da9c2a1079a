//go:build unix

package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// killGroup kills a plugin together with the processes it started.
func killGroup(process *os.Process) error {
	err := unix.Kill(-process.Pid, unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
