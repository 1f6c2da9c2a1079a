// Package memory reads how much memory a process uses.
package memory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Together returns how many bytes of memory a process and all its descendants have now. It is the
// sum of their proportional set sizes (Pss of proc(5)), in which a page that several processes
// share counts once. Processes that end meanwhile do not count. On a system that does not tell
// this, the error is [os.ErrNotExist].
func Together(pid int) (int64, error) {
	if _, err := os.Stat("/proc/self/smaps_rollup"); err != nil {
		return 0, err
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); err != nil {
		return 0, err
	}
	var sum int64
	for family := []int{pid}; len(family) > 0; family = family[1:] {
		bytes, err := proportional(family[0])
		if err != nil {
			return 0, err
		}
		children, err := children(family[0])
		if err != nil {
			return 0, err
		}
		sum += bytes
		family = append(family, children...)
	}
	return sum, nil
}

// proportional returns the proportional set size of a process, 0 if it has ended.
func proportional(pid int) (int64, error) {
	bytes, err := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
	if ended(err) {
		return 0, nil
	}
	return bytes, err
}

// children returns the processes that a process has started and that have not ended.
func children(pid int) ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var all []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if ended(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				return nil, err
			}
			all = append(all, child)
		}
	}
	return all, nil
}

// ended returns whether a file of a process could not be read because the process has ended.
func ended(err error) bool { return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// Private returns the resident memory that a process shares with no other process and no file,
// in bytes (RssAnon of proc(5)). On a system without /proc the error is [os.ErrNotExist].
func Private(pid int) (int64, error) { return field(fmt.Sprintf("/proc/%d/status", pid), "RssAnon:") }

// field returns the bytes that a line of a file of /proc names in kB.
func field(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("%s names no %s", file, strings.TrimSuffix(name, ":"))
}
