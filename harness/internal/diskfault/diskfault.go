// Package diskfault says what a user can do about a disk that is full, or a folder that cannot
// be written.
package diskfault

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"bittern/plugins"
)

// Explain turns an error that occurred while writing path into a [*plugins.Problem] if the user
// can do something about it. To other errors it adds the path. It returns nil and Problems as
// they are.
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

// Full returns the Problem for a full disk.
func Full(path string) error {
	return plugins.Problemf("the disk is full: %s could not be written; free some space and run the same command again to go on where it stopped", path)
}

// Unwritable returns the Problem for a path that cannot be written, for this reason.
func Unwritable(path, reason string) error {
	return plugins.Problemf("%s cannot be written (%s); make it writable or name another folder with --runs", path, reason)
}
