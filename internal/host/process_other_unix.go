//go:build unix && !linux

package host

import (
	"os/exec"
	"syscall"
)

// isolate puts a plugin into a process group of its own. Ctrl-C then reaches only the host,
// which decides what is saved first.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
