package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"

	"bittern/plugins"
)

// executable is the file that serves a plugin. It is opened once, and its checksum is taken of
// the open file. A system with /proc starts the open file, whatever the path leads to by then;
// other systems start the path. [executable.check] finds out afterwards whether the content has
// changed or, without /proc, the path leads to another file.
//
// A script that is started as an open file finds /proc/self/fd/3 as its own path.
type executable struct {
	entry  Entry
	file   *os.File // nil for a built-in plugin: the code that runs already cannot change
	before fs.FileInfo
	sum    string // SHA-256 of the file, in hexadecimal
}

// openExecutable opens the executable of a plugin. want is its checksum; empty allows any. A
// file that cannot be read or has another checksum is a *plugins.Problem.
func openExecutable(entry Entry, want string) (_ *executable, err error) {
	if digest, err := hex.DecodeString(want); want != "" && (err != nil || len(digest) != sha256.Size) {
		return nil, plugins.Problemf("the checksum %q of %s is no SHA-256; give 64 hexadecimal digits", want, entry.ID)
	}
	e := &executable{entry: entry}
	switch {
	case !entry.Builtin:
		err = e.open()
	case want != "":
		e.sum, err = ownChecksum()
	}
	if err == nil && want != "" && !strings.EqualFold(want, e.sum) {
		err = plugins.Problemf("%s (%s) has the SHA-256 %s, but the suite asks for %s; install that version or change the suite", entry.ID, entry.Path, e.sum, strings.ToLower(want))
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *executable) open() (err error) {
	if e.file, err = os.Open(e.entry.Path); err != nil {
		return plugins.Problemf("%s (%s) cannot be read (%v), but its checksum is taken before it is started; make it readable", e.entry.ID, e.entry.Path, reason(err))
	}
	if e.before, err = e.file.Stat(); err == nil {
		e.sum, err = checksum(e.file)
	}
	if err != nil {
		return fmt.Errorf("take the checksum of %s: %w", e.entry.ID, err)
	}
	return nil
}

// checksum returns the SHA-256 of a file, in hexadecimal.
func checksum(file *os.File) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(file, 0, math.MaxInt64)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// ownChecksum returns the checksum of this executable. It is taken once, since the file is
// large.
var ownChecksum = sync.OnceValues(func() (sum string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("take the checksum of this executable: %w", err)
	}
	file, err := os.Open(running(self))
	if err != nil {
		return "", fmt.Errorf("take the checksum of this executable: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return checksum(file)
})

// command returns the command that starts the plugin.
func (e *executable) command() *exec.Cmd {
	cmd := exec.Command(e.entry.Path, e.entry.args()...)
	switch {
	case e.entry.Builtin:
		cmd.Path = running(e.entry.Path)
	case byDescriptor:
		cmd.Path = "/proc/self/fd/3" // the first of the extra files
		cmd.ExtraFiles = []*os.File{e.file}
	}
	return cmd
}

// check returns an error if the file that was started may be another than the one that the
// checksum was taken of.
func (e *executable) check() error {
	if e.entry.Builtin {
		return nil
	}
	after, err := e.file.Stat()
	if err != nil {
		return fmt.Errorf("check the executable of %s: %w", e.entry.ID, err)
	}
	same := after.Size() == e.before.Size()
	if same && !untouched(e.before, after) {
		sum, err := checksum(e.file)
		if err != nil {
			return fmt.Errorf("check the executable of %s: %w", e.entry.ID, err)
		}
		same = sum == e.sum
	}
	if same && !byDescriptor {
		now, err := os.Stat(e.entry.Path)
		same = err == nil && os.SameFile(now, after)
	}
	if !same {
		return plugins.Problemf("%s (%s) was changed while it was being started; try again once it is installed", e.entry.ID, e.entry.Path)
	}
	return nil
}

func (e *executable) close() error {
	if e.file == nil {
		return nil
	}
	return e.file.Close()
}

// byDescriptor says whether the system can start an open file.
var byDescriptor = exists("/proc/self/fd")

// running returns a path of this executable. With /proc, it leads to this executable even if
// another one has been installed in its place.
func running(path string) string {
	const link = "/proc/self/exe"
	if exists(link) {
		return link
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// reason returns the cause of an error without the path, which the sentence around it has.
func reason(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}
