//go:build !linux

package host

import "os/exec"

// startChild starts a plugin.
func startChild(cmd *exec.Cmd, limits Limits, _ string) error { return limits.start(cmd) }

// waitChild waits for a plugin to end. What it has left behind is only found on
// Linux; here it lives on, without the pipes to its host.
func waitChild(cmd *exec.Cmd) error { return cmd.Wait() }
