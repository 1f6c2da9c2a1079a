// Package arena holds tensors that several processes share. They lie in files in memory that
// each process maps. Messages between the processes carry handles ([Tensor]), never elements.
//
// An [Arena] makes tensors and owns the files. A [Mapping] views tensors in place. A [Reader]
// copies tensors out of files that it does not trust. Only the user can read the files (mode
// 0600), which lie in a folder of the user's own ([Folder]). Closing the arena removes them. The
// owner of a file keeps it locked while it lives, so [Sweep] can tell the files of killed
// processes from those in use. Process numbers, which are given again, would not tell.
//
// A process that may write to a file may also cut it short. Another process that touches the
// missing part of its mapping then dies of SIGBUS. Linux can seal a file against that, but only
// one without a name (memfd). Others can open such a file only through /proc/<pid>/fd and only
// if they may trace its owner, which a sandbox forbids. So files are not sealed; instead
// [Arena.Guard] turns the fault into an error.
package arena

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"bittern/plugins"
)

// ErrOutside says that a slice does not lie in the arena.
var ErrOutside = errors.New("the slice does not lie in the arena")

// ErrTruncated says that another process cut short a file that is mapped here, so that tensors
// are gone.
var ErrTruncated = errors.New("the file of shared tensors was cut short by another process")

var errClosed = errors.New("the arena is closed")

const (
	prefix = "bittern-arena-"
	// alignment is the size of a cache line and of the widest vector register (AVX-512), in
	// bytes.
	alignment = 64
	// leastSegment is the size of the smallest file, so that an arena of many small tensors does
	// not have many files.
	leastSegment = 64 << 10
)

// Arena makes tensors. Several goroutines may use it.
type Arena struct {
	folder string

	mu       sync.Mutex
	segments []*segment
	total    int
	closed   bool
}

// segment is one file of an arena. The first used bytes of memory, its content, are allocated.
type segment struct {
	file   *os.File
	memory mmap.MMap
	used   int
}

// Create makes an arena in a folder, or in [Folder] if folder is empty. It reserves size bytes
// at once; 0 reserves nothing. A machine without that much memory is a *plugins.Problem here,
// and not a crash in the middle of a run. An arena that needs more makes further files.
func Create(folder string, size int) (*Arena, error) {
	if folder == "" {
		var err error
		if folder, err = Folder(); err != nil {
			return nil, err
		}
	}
	folder, err := filepath.Abs(folder) // other processes may have another working directory
	if err != nil {
		return nil, fmt.Errorf("create a tensor arena: %w", err)
	}
	a := &Arena{folder: folder}
	if size > 0 {
		if err := a.grow(size); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Reserve reserves size more bytes at once, even if there is room left. It is for an arena that
// is made before its size is known.
func (a *Arena) Reserve(size int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errClosed
	}
	if size <= 0 {
		return nil
	}
	return a.grow(size)
}

// Folder returns the folder of the arena's files.
func (a *Arena) Folder() string { return a.folder }

// Files returns the paths of the arena's files.
func (a *Arena) Files() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	files := make([]string, len(a.segments))
	for i, s := range a.segments {
		files[i] = s.file.Name()
	}
	return files
}

// Size returns how many bytes all files of the arena have; 0 if a is nil.
func (a *Arena) Size() int {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// Close unmaps and removes the files. Slices that were made in the arena must not be used
// afterwards.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, s := range a.segments {
		errs = append(errs, s.memory.Unmap(), discard(s.file))
	}
	a.segments, a.total, a.closed = nil, 0, true
	return errors.Join(errs...)
}

func (a *Arena) allocate(size int) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosed
	}
	for _, s := range a.segments {
		if memory, ok := s.take(size); ok {
			return memory, nil
		}
	}
	// Each file is as large as all before it together, so there are few.
	if err := a.grow(max(size, a.total, leastSegment)); err != nil {
		return nil, err
	}
	memory, _ := a.segments[len(a.segments)-1].take(size)
	return memory, nil
}

// start is the address of the segment's first byte.
func (s *segment) start() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s.memory))) }

func (s *segment) take(size int) ([]byte, bool) {
	if size > len(s.memory)-s.used {
		return nil, false
	}
	memory := s.memory[s.used : s.used+size : s.used+size]
	s.used += (size + alignment - 1) / alignment * alignment
	s.used = min(s.used, len(s.memory))
	return memory, true
}

func (a *Arena) grow(size int) (err error) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	file, err := createLocked(a.folder)
	if err != nil {
		return plugins.Problemf("cannot create a tensor arena in %s (%v); set %s to a folder that can be written", a.folder, err, FolderVariable)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(file))
		}
	}()
	if err := reserve(file, int64(size)); err != nil {
		return plugins.Problemf("no room for a tensor arena of %s in %s (%v); free space there or set %s to a folder with more", binarySize(size), a.folder, err, FolderVariable)
	}
	memory, err := mmap.Map(file, mmap.RDWR, 0)
	if err != nil {
		return fmt.Errorf("map the arena %s: %w", file.Name(), err)
	}
	adviseHugePages(memory)
	a.segments = append(a.segments, &segment{file: file, memory: memory})
	a.total += size
	return nil
}

// createLocked makes an empty arena file and locks it. If a sweep has removed the file between
// the two steps, it makes another one.
func createLocked(folder string) (*os.File, error) {
	for {
		file, err := os.CreateTemp(folder, fmt.Sprintf("%s%d-*", prefix, os.Getpid()))
		if err != nil {
			return nil, err
		}
		if err := lock(file); err != nil {
			return nil, errors.Join(err, discard(file))
		}
		mine, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, discard(file))
		}
		if named, err := os.Stat(file.Name()); err == nil && os.SameFile(mine, named) {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

// discard closes and removes a file. It may be gone already: a reader of an answer removes its
// file as soon as it has read it.
func discard(file *os.File) error {
	closing := file.Close()
	removing := os.Remove(file.Name())
	if errors.Is(removing, os.ErrNotExist) {
		removing = nil
	}
	return errors.Join(closing, removing)
}

func (a *Arena) find(start unsafe.Pointer, size int) (file string, offset int64, ok bool) {
	if a == nil { // no arena has this slice
		return "", 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.segments {
		base := s.start()
		if address := uintptr(start); address >= base && address+uintptr(size) <= base+uintptr(len(s.memory)) {
			return s.file.Name(), int64(address - base), true
		}
	}
	return "", 0, false
}

// binarySize writes a size in MiB, or in KiB if it is below one MiB.
func binarySize(bytes int) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

// Mapping views tensors that other processes made. Only one goroutine may use it at a time.
type Mapping struct{ files map[string]mmap.MMap }

// Close unmaps every file. Slices that were viewed through the mapping must not be used
// afterwards.
func (m *Mapping) Close() error {
	var errs []error
	for _, memory := range m.files {
		errs = append(errs, memory.Unmap())
	}
	m.files = nil
	return errors.Join(errs...)
}

// Files returns the paths of the files that are mapped.
func (m *Mapping) Files() []string {
	files := make([]string, 0, len(m.files))
	for path := range m.files {
		files = append(files, path)
	}
	return files
}

func (m *Mapping) file(path string) (mmap.MMap, error) {
	if memory, ok := m.files[path]; ok {
		return memory, nil
	}
	memory, err := mapExisting(path)
	if err != nil {
		return nil, fmt.Errorf("map the arena %s: %w", path, err)
	}
	adviseHugePages(memory)
	if m.files == nil {
		m.files = make(map[string]mmap.MMap)
	}
	m.files[path] = memory
	return memory, nil
}

func mapExisting(path string) (mmap.MMap, error) {
	file, _, err := openExisting(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	memory, err := mmap.Map(file, mmap.RDWR, 0)
	return memory, errors.Join(err, file.Close())
}

// openExisting opens the arena file that another process named. It refuses pipes, links and
// everything else that is not a regular file.
func openExisting(path string, how int) (*os.File, os.FileInfo, error) {
	if !isName(filepath.Base(path)) {
		return nil, nil, errors.New("this is not the name of an arena")
	}
	file, err := os.OpenFile(path, how|plainly, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("this is no plain file")
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}
