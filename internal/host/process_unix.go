//go:build unix

package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// killGroup kills a plugin and the processes of its group.
func killGroup(process *os.Process) error {
	err := unix.Kill(-process.Pid, unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
