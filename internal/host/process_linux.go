package host

import (
	"os/exec"
	"syscall"
)

// isolate puts a plugin into a process group of its own, so that Ctrl-C reaches
// the host alone and the host decides what is saved first; and has the kernel
// kill the plugin when the thread that started it ends.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
