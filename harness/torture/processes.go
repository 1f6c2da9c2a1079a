//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// process is a process that /proc lists.
type process struct {
	pid, parent int
	name        string
	zombie      bool
}

// descendants returns the living children of a process, their children and so on.
func descendants(ancestor int) ([]process, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]process)
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	var list []process
	for open := []int{ancestor}; len(open) > 0; open = open[1:] {
		for _, child := range children[open[0]] {
			open = append(open, child.pid)
			if !child.zombie {
				list = append(list, child)
			}
		}
	}
	return list, nil
}

func processes() ([]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var list []process
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		p, err := parseStat(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// parseStat parses "PID (NAME) STATE PARENT …" (proc_pid_stat(5)). The name may have any
// characters, parentheses too.
func parseStat(text []byte) (process, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("%q is no process status", text)
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 2 {
		return process{}, fmt.Errorf("%q is no process status", text)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	if err != nil {
		return process{}, err
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return process{}, err
	}
	return process{pid: pid, parent: parent, name: string(text[open+1 : end]), zombie: string(fields[0]) == "Z"}, nil
}

// kill kills a descendant of this process with SIGKILL, and reports whether there was one. After
// the process has ended, its number may belong to another process. So kill opens a file
// descriptor of the process first, and then checks again that it is a descendant.
func kill(pid int) (killed bool, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("kill process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	ours, err := descendants(os.Getpid())
	if err != nil {
		return false, err
	}
	for _, p := range ours {
		if p.pid != pid {
			continue
		}
		err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		if errors.Is(err, unix.ESRCH) {
			return false, nil
		}
		return err == nil, err
	}
	return false, nil
}
