// Package diskfault tells a user what to do about a disk that is full or a
// folder that cannot be written.
package diskfault

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"bittern/plugins"
)

// Explain turns an error met while writing path into a [*plugins.Problem] where
// the user can mend it, and otherwise adds the path to it. A nil error and a
// Problem pass through.
func Explain(err error, path string) error {
	var problem *plugins.Problem
	switch {
	case err == nil || errors.As(err, &problem):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Full(path)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return Unwritable(path, "permission denied")
	case errors.Is(err, syscall.ENOTDIR):
		return Unwritable(path, "a file stands where a folder is needed")
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// Full is the Problem of a full disk.
func Full(path string) error {
	return plugins.Problemf("the disk is full: %s could not be written; free some space and run the same command again to go on where it stopped", path)
}

// Unwritable is the Problem of a place that refuses to be written.
func Unwritable(path, reason string) error {
	return plugins.Problemf("%s cannot be written (%s); make it writable or name another folder with --runs", path, reason)
}
