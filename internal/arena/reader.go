package arena

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"
)

// Reader copies tensors out of files that other processes made. It maps nothing: if a file is
// cut short, reading it is an error and not a fault. Only one goroutine may use it at a time.
type Reader struct {
	// Limit is how many bytes may be copied in all; 0 is no limit. A file can be larger than the
	// memory of any machine, since holes take no space.
	Limit int64

	files map[string]*os.File
	read  int64
}

// Close closes every file.
func (r *Reader) Close() error {
	var errs []error
	for _, file := range r.files {
		errs = append(errs, file.Close())
	}
	r.files = nil
	return errors.Join(errs...)
}

// Files returns the paths of the files that were read.
func (r *Reader) Files() []string {
	files := make([]string, 0, len(r.files))
	for path := range r.files {
		files = append(files, path)
	}
	return files
}

func (r *Reader) file(path string) (*os.File, error) {
	if file, ok := r.files[path]; ok {
		return file, nil
	}
	file, _, err := openExisting(path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open the arena %s: %w", path, err)
	}
	if r.files == nil {
		r.files = make(map[string]*os.File)
	}
	r.files[path] = file
	return file, nil
}

// Read returns a copy of a tensor that another process made. A file that was cut short is
// ErrTruncated; a tensor of another type, one that does not lie within its file, or one beyond
// Limit is an error too.
func Read[T Element](r *Reader, tensor Tensor) ([]T, error) {
	n, err := tensor.elements(typeOf[T]())
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return []T{}, nil
	}
	file, err := r.file(tensor.File)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := int64(n * sizeOf[T]())
	if err := tensor.within(size, sizeOf[T](), info.Size()); err != nil {
		return nil, err
	}
	if r.Limit > 0 && size > r.Limit-r.read {
		return nil, fmt.Errorf("a tensor of %d bytes makes more than the %d that an answer may have", size, r.Limit)
	}
	r.read += size
	values := make([]T, n)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), size)
	if _, err := file.ReadAt(memory, tensor.Offset); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrTruncated
		}
		return nil, err
	}
	return values, nil
}
