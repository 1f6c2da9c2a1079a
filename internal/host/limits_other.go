//go:build !linux

package host

import "os/exec"

func processors() (n int, ok bool) { return 0, false }

// start starts a process. There are no limits here: check has refused them.
func (Limits) start(cmd *exec.Cmd) error { return cmd.Start() }
