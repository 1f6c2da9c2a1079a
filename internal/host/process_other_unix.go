//go:build unix && !linux

package host

import (
	"os/exec"
	"syscall"
)

// isolate puts a plugin into a process group of its own, so that Ctrl-C reaches
// the host alone and the host decides what is saved first.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
