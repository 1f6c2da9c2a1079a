//go:build unix

package rtl

import (
	"os/exec"
	"syscall"
)

// together makes an interrupted tool end with all that it started: make does not take its
// compilers along.
func together(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
