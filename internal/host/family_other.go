//go:build !linux

package host

import "os/exec"

// startChild starts a plugin.
func startChild(cmd *exec.Cmd, limits Limits, _ string) error { return limits.start(cmd) }

// waitChild waits until a plugin ends. The processes that it leaves behind are found only on
// Linux; on other systems they live on, without pipes to the host.
func waitChild(cmd *exec.Cmd) error { return cmd.Wait() }
