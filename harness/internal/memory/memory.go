// Package memory reads how much memory a process uses.
package memory

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PeakResident returns the largest resident set that a process has had, in bytes (VmHWM of
// proc(5)). It includes memory that the process shares with others. On a system without /proc
// the error is [os.ErrNotExist].
func PeakResident(pid int) (int64, error) { return status(pid, "VmHWM:") }

// Private returns the resident memory that a process shares with no other process and no file,
// in bytes (RssAnon of proc(5)). On a system without /proc the error is [os.ErrNotExist].
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
