//go:build !unix

package rtl

import "os/exec"

// together leaves an interrupted tool to end alone where there are no groups of processes.
func together(*exec.Cmd) {}
