// Package memory reads what a process takes of the machine's memory.
package memory

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PeakResident is the largest resident set that a process has had, in bytes
// (VmHWM of proc(5)). It counts what the process shares with others. The error is
// [os.ErrNotExist] on a system that has no /proc.
func PeakResident(pid int) (int64, error) { return status(pid, "VmHWM:") }

// Private is the resident memory of a process that it shares with no other and no
// file, in bytes (RssAnon of proc(5)). The error is [os.ErrNotExist] on a system
// that has no /proc.
func Private(pid int) (int64, error) { return status(pid, "RssAnon:") }

func status(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status names no %s", pid, strings.TrimSuffix(field, ":"))
}
