package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bittern/plugins"
)

const (
	socketPrefix = "bittern-plugin-"
	// longestSocket is how many bytes the path of a socket may have: with the zero at its end,
	// 104 on macOS and 108 on Linux.
	longestSocket = 103
	// socketName has the length of the names that go-plugin gives to sockets.
	socketName = "plugin1234567890"
)

// socketFolder is a folder among the temporary files for the socket of one plugin. The host
// keeps it locked while it lives, so that the folders of killed hosts can be told from those in
// use.
type socketFolder struct {
	path string
	lock *os.File // nil if the system locks no folders
}

func newSocketFolder() (*socketFolder, error) {
	for {
		path, err := os.MkdirTemp("", socketPrefix)
		if err != nil {
			return nil, plugins.Problemf("cannot make a folder for the sockets of plugins in %s (%v); set TMPDIR to a folder that exists and can be written", os.TempDir(), reason(err))
		}
		f := &socketFolder{}
		if f.path, err = filepath.Abs(path); err != nil {
			return nil, fmt.Errorf("make a folder for the sockets of plugins: %w", err)
		}
		var free bool
		if f.lock, free, err = lockFolder(f.path); err == nil && free && exists(f.path) {
			if len(filepath.Join(f.path, socketName)) > longestSocket {
				_ = f.remove() // it is empty
				return nil, plugins.Problemf("the name of the folder for temporary files, %s, is too long for the sockets of plugins; set TMPDIR to a shorter one", os.TempDir())
			}
			return f, nil
		}
		// A sweep took the folder for one left behind before it was locked.
		if removing := f.remove(); err != nil || removing != nil {
			return nil, fmt.Errorf("make a folder for the sockets of plugins: %w", errors.Join(err, removing))
		}
	}
}

// remove removes the folder and its lock. It may be called more than once.
func (f *socketFolder) remove() error {
	err := os.RemoveAll(f.path)
	if f.lock != nil {
		_ = f.lock.Close() // nothing was written; the second time it is closed already
	}
	return err
}

// sweepSockets removes the socket folders that killed hosts of this user have left behind in a
// folder for temporary files. It leaves what it cannot look at or remove to a later call.
func sweepSockets(folder string) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, file := range files {
		if !file.IsDir() || !strings.HasPrefix(file.Name(), socketPrefix) {
			continue
		}
		path := filepath.Join(folder, file.Name())
		if lock, free, err := lockFolder(path); err == nil && free {
			_ = (&socketFolder{path: path, lock: lock}).remove()
		}
	}
}
