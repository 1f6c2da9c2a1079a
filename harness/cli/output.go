package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bittern/harness/internal/runfolder"
	"bittern/plugins"
)

// standardOutput is the value of --output that stands for standard output.
const standardOutput = "-"

// temporaryPrefix is the prefix of files and folders that are made beside an output until it is
// complete.
const temporaryPrefix = ".bittern-output-"

// checkFile returns an error if a path cannot be written as a file.
func checkFile(path string) error {
	_, err := fileTarget(path)
	if err == nil {
		err = checkParent(path)
	}
	return unwritten(err, path)
}

// writeFile writes a file completely or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	target, err := fileTarget(path)
	if err != nil {
		return unwritten(err, path)
	}
	folder, err := os.OpenRoot(filepath.Dir(target))
	if err != nil {
		return unwritten(err, path)
	}
	defer folder.Close()
	return unwritten(runfolder.Replace(folder, filepath.Base(target), write), path)
}

// fileTarget returns the file that a path leads to, through links. A folder or a device is an
// error, since neither must be replaced.
func fileTarget(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", plugins.Problemf("%s is a folder; name a file with --output", path)
	case !info.Mode().IsRegular():
		return "", plugins.Problemf("%s is no regular file; name another with --output, or leave it out to write to standard output", path)
	}
	return filepath.EvalSymlinks(path)
}

// checkFolder returns an error if a report cannot make a folder at the path. A folder that is
// not empty is an error too.
func checkFolder(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unwritten(checkParent(path), path)
	case errors.Is(err, syscall.ENOTDIR):
		return plugins.Problemf("%s is a file, and this format writes a folder; name one with --output", path)
	case err != nil:
		return unwritten(err, path)
	case len(entries) > 0:
		return plugins.Problemf("the folder %s is not empty, and nothing in it is overwritten; remove it, or name another with --output", path)
	}
	return unwritten(checkParent(path), path)
}

// writeFolder makes a folder and fills it, completely or not at all.
func writeFolder(path string, write func(*os.Root) error) (err error) {
	if err := checkFolder(path); err != nil {
		return err
	}
	target, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(target), temporaryPrefix)
	if err != nil {
		return unwritten(err, path)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	made := filepath.Join(temporary, "report") // a new folder, with the permissions of the user's umask
	if err := os.Mkdir(made, 0o777); err != nil {
		return unwritten(err, path)
	}
	folder, err := os.OpenRoot(made)
	if err != nil {
		return unwritten(err, path)
	}
	if err := errors.Join(write(folder), folder.Close()); err != nil {
		return unwritten(err, path)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) { // removes it if it is an empty folder
		return unwritten(err, path)
	}
	return unwritten(os.Rename(made, target), path)
}

// checkParent returns an error if nothing can be made beside a path.
func checkParent(path string) error {
	target, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	probe, err := os.MkdirTemp(filepath.Dir(target), temporaryPrefix)
	if err != nil {
		return err
	}
	return os.Remove(probe)
}

// unwritten returns the error for a place that cannot be written, with what to do. Nothing is
// lost: all outputs can be written again from the run store.
func unwritten(err error, path string) error {
	var problem *plugins.Problem
	if err == nil || errors.As(err, &problem) {
		return err
	}
	for _, reason := range []error{fs.ErrPermission, fs.ErrNotExist, fs.ErrExist, syscall.EROFS, syscall.ENOTDIR, syscall.ENOTEMPTY, syscall.EBUSY, syscall.ENAMETOOLONG, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, reason) {
			return plugins.Problemf("%s cannot be written (%s); name another place with --output, what was run is kept", path, reason)
		}
	}
	return err
}
