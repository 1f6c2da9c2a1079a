package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"bittern/harness/internal/diskfault"
	"bittern/harness/internal/runfolder"
	"bittern/plugins"
)

const lockName = "lock"

// Lock is the right to write what belongs to one experiment: its folder, its row and its
// deployments. Only one process at a time has it.
//
// It is a flock(2), or what Windows has of that, on the file RUNS/ID/lock, which the system releases when the process
// ends, however it ends; the file itself stays. Between machines it works on file systems
// that pass such locks on: NFS on Linux does (from version 2.6.12 on, unless it is mounted
// with nolock or local_lock), SMB and cluster file systems do where they are set up to. On
// others, such as sshfs, two machines do not notice each other: give each a folder of
// runs of its own.
type Lock struct {
	file *os.File
}

// Holder is who has a lock, as the lock's file says.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// Held says that another process is running an experiment.
type Held struct {
	Experiment string // its ID
	Holder     Holder // zero where the file does not say
}

func (h *Held) Error() string {
	if h.Holder.PID == 0 {
		return fmt.Sprintf("experiment %s is being run by another process", h.Experiment)
	}
	return fmt.Sprintf("experiment %s is being run by process %d on host %s since %s",
		h.Experiment, h.Holder.PID, h.Holder.Host, h.Holder.Since.Local().Format(time.DateTime))
}

// Unwrap returns a *plugins.Problem that says what to do, for callers that cannot wait.
func (h *Held) Unwrap() error {
	return plugins.Problemf("%s; run the same command again when that has ended, or name another folder with --runs", h.Error())
}

// Lock takes the lock of an experiment and makes its folder if that does not exist. It does
// not wait: if another process has the lock, the error is a [*Held].
func (s *Store) Lock(ctx context.Context, id string) (*Lock, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	path := s.ExperimentDir(id)
	folder, err := runfolder.Make(path)
	if err != nil {
		return nil, diskfault.Explain(err, path)
	}
	defer folder.Close()
	file, err := runfolder.OpenFile(folder, lockName, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, diskfault.Explain(err, filepath.Join(path, lockName))
	}
	if err := flock(file, runfolder.Exclusive, id); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC()})
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		return nil, errors.Join(diskfault.Explain(err, filepath.Join(path, lockName)), unlock(file))
	}
	return &Lock{file: file}, nil
}

// ReadLocked calls read while no process is running the experiment, and keeps others from
// starting it meanwhile. If one is running it, the error is a [*Held]. It writes nothing,
// so that the folder and the file of the lock need not exist.
func ReadLocked(experimentDir string, read func() error) (err error) {
	folder, err := runfolder.Open(experimentDir)
	if errors.Is(err, fs.ErrNotExist) {
		return read()
	}
	if err != nil {
		return diskfault.Explain(err, experimentDir)
	}
	defer folder.Close()
	file, err := runfolder.OpenFile(folder, lockName, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return read()
	}
	if err != nil {
		return diskfault.Explain(err, filepath.Join(experimentDir, lockName))
	}
	if err := flock(file, runfolder.Shared, filepath.Base(experimentDir)); err != nil {
		return errors.Join(err, file.Close())
	}
	defer func() { err = errors.Join(err, unlock(file)) }()
	return read()
}

// ReadHolder reads who has the lock of the experiment in this folder, without touching
// the lock. It is zero where nobody has it, nobody ever had, or the file is being written
// at this moment. A process that was killed still stands there; see [Holder.Alive].
func ReadHolder(experimentDir string) (Holder, error) {
	folder, err := runfolder.Open(experimentDir)
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, nil
	}
	if err != nil {
		return Holder{}, diskfault.Explain(err, experimentDir)
	}
	defer folder.Close()
	file, err := runfolder.OpenFile(folder, lockName, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, nil
	}
	if err != nil {
		return Holder{}, diskfault.Explain(err, filepath.Join(experimentDir, lockName))
	}
	defer file.Close()
	return readHolder(file), nil
}

// Alive says whether the process may still be running. Of a process on another host
// nothing else is known, so it counts as alive.
func (h Holder) Alive() bool {
	if h.PID == 0 {
		return false
	}
	if host, err := os.Hostname(); err != nil || host != h.Host {
		return true
	}
	process, err := os.FindProcess(h.PID)
	if err != nil {
		return false
	}
	return !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// flock takes a lock on the file of an experiment without waiting.
func flock(file *os.File, kind runfolder.LockKind, id string) error {
	err := runfolder.TryLock(file, kind)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, runfolder.ErrLocked):
		return &Held{Experiment: id, Holder: readHolder(file)}
	}
	return plugins.Problemf("%s cannot be locked (%s); name a folder with --runs on a file system that has locks", file.Name(), err)
}

// Release gives the lock up.
func (l *Lock) Release() error {
	// The name of the last holder would be no harm, but would look like one.
	err := l.file.Truncate(0)
	return diskfault.Explain(errors.Join(err, unlock(l.file)), l.file.Name())
}

// unlock gives up the lock of a file and closes it. To close it alone is not enough: a
// process that is just being started has the file open too until it has become another
// program, and the lock is theirs together.
func unlock(file *os.File) error {
	return errors.Join(runfolder.Unlock(file), file.Close())
}

// readHolder reads who has the lock. The holder is empty if the file is just being written.
func readHolder(file *os.File) Holder {
	var h Holder
	const longest = 1 << 12
	text, err := io.ReadAll(io.NewSectionReader(file, 0, longest))
	if err != nil || json.Unmarshal(text, &h) != nil {
		return Holder{}
	}
	return h
}
