// Package runfolder opens the files of a run store without following a symbolic link out of its
// folders, and replaces files as a whole.
//
// A folder is opened as an [os.Root], so everything that is opened through it lies in it. Links,
// pipes and devices are refused even if they point inside, because Bittern makes none. The error
// is then a [*plugins.Problem].
package runfolder

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
)

// Open opens the folder at path. The path may lead through links, but its last element must not
// be one. If there is no such folder, the error is [fs.ErrNotExist].
func Open(path string) (*os.Root, error) {
	parent, name, err := above(path)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	info, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, refuse(path, info, "folder")
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	// The folder that was checked must be the one that was opened.
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(info, opened) {
		err = refuse(path, info, "folder")
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// Make is like [Open], but makes the folder and those above it if they do not exist.
func Make(path string) (*os.Root, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	parent, name, err := above(path)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := parent.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Open(path)
}

func above(path string) (parent *os.Root, name string, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, "", err
	}
	parent, err = os.OpenRoot(filepath.Dir(absolute))
	return parent, filepath.Base(absolute), err
}

// OpenFile opens a file of the folder with the flags of [os.OpenFile].
func OpenFile(folder *os.Root, name string, flag int) (*os.File, error) {
	info, err := folder.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, refuse(filepath.Join(folder.Name(), name), info, "file")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return folder.OpenFile(name, flag, 0o644)
}

// ReadFile reads a file of the folder.
func ReadFile(folder *os.Root, name string) ([]byte, error) {
	file, err := OpenFile(folder, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	return content, errors.Join(err, file.Close())
}

func refuse(path string, info fs.FileInfo, want string) error {
	what := "not a regular " + want
	if info.Mode()&fs.ModeSymlink != 0 {
		what = "a symbolic link"
	}
	if want == "folder" && info.Mode().IsRegular() {
		return plugins.Problemf("a file stands where the folder %s is needed; remove it, or name another folder with --runs", path)
	}
	return plugins.Problemf("%s is %s, which is never followed inside a folder of runs; remove it, or name another folder with --runs", path, what)
}

// Replace writes a file of the folder anew. Until Replace returns nil, the file has its old
// content; then it is complete on disk. A process that is killed leaves a temporary file, which
// [Sweep] removes.
func Replace(folder *os.Root, name string, write func(io.Writer) error) (err error) {
	temporary := temporaryPrefix(name) + rand.Text()
	file, err := folder.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.Remove(temporary))
		}
	}()
	buffered := bufio.NewWriterSize(file, 64<<10)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return folder.Rename(temporary, name)
}

func temporaryPrefix(name string) string { return "." + name }

// Sync waits until the names in the folder are on disk.
func Sync(folder *os.Root) error {
	opened, err := folder.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(opened), opened.Close())
}

// Sweep removes the temporary files that a [Replace] left behind when its process was killed,
// for files whose names are these or begin with them. No process may write to the folder.
func Sweep(folder *os.Root, names ...string) error {
	return RemoveIf(folder, func(name string) bool {
		for _, n := range names {
			if strings.HasPrefix(name, temporaryPrefix(n)) {
				return true
			}
		}
		return false
	})
}

// RemoveIf removes the files of the folder for which doomed returns true. It removes a link
// itself, not its target.
func RemoveIf(folder *os.Root, doomed func(name string) bool) error {
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if doomed(entry.Name()) {
			if err := folder.Remove(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
