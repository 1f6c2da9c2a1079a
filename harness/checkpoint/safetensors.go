package checkpoint

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/nlpodyssey/safetensors"
)

// WriteTensors writes tensors in the safetensors format with metadata for people and other
// programs, whatever their order always the same bytes. Beside the tensors it needs memory
// for one of them.
func WriteTensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	views, err := named(tensors)
	if err != nil {
		return err
	}
	return safetensors.SerializeToWriter(views, metadata, w)
}

// ReadTensors reads every tensor of a safetensors file of the given size, ordered
// by name. It never allocates more than the size of the file.
func ReadTensors(r io.ReaderAt, size int64) ([]Tensor, error) {
	found, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	var tensors []Tensor
	for _, name := range slices.Sorted(maps.Keys(found)) {
		s := found[name]
		t, err := allocate(name, s.dtype, s.shape, s.count)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
	}
	views, err := named(tensors)
	if err != nil {
		return nil, err
	}
	return tensors, found.read(r, views)
}

// FillTensors fills tensors from a safetensors file of the given size, which must hold those
// tensors, with their shapes and types, and no others. If it does not, they are left unchanged.
func FillTensors(r io.ReaderAt, size int64, tensors []Tensor) error {
	wanted, err := named(tensors)
	if err != nil {
		return err
	}
	found, err := readHeader(r, size)
	if err == nil {
		err = found.match(wanted)
	}
	if err != nil {
		return err
	}
	return found.read(r, wanted)
}

// contents says where in a file the tensors lie, by name. The package
// safetensors reads that only from a file held entirely in memory, so the
// checks of the format are made here.
type contents map[string]stored

// stored is one tensor in a file.
type stored struct {
	dtype  safetensors.DType
	shape  []int
	count  int   // elements
	offset int64 // from the beginning of the file
	bytes  int64
}

const (
	lengthBytes    = 8           // the header's length, little-endian
	maxHeaderBytes = 100_000_000 // the bound of the reference implementation
)

func readHeader(r io.ReaderAt, size int64) (contents, error) {
	var prefix [lengthBytes]byte
	if size < lengthBytes {
		return nil, fmt.Errorf("it has %d bytes", size)
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeaderBytes || int64(length) > size-lengthBytes {
		return nil, fmt.Errorf("its header claims %d bytes of the file's %d", length, size)
	}
	text := make([]byte, length)
	if _, err := r.ReadAt(text, lengthBytes); err != nil && !(errors.Is(err, io.EOF) && lengthBytes+int64(length) == size) {
		return nil, err
	}
	var metadata safetensors.Metadata
	if err := json.Unmarshal(text, &metadata); err != nil {
		return nil, fmt.Errorf("its header cannot be read: %w", err)
	}
	return place(metadata.Tensors(), lengthBytes+int64(length), size)
}

// place checks that the tensors fill the file from begin to size without holes
// or overlaps, as the format demands.
func place(infos map[string]*safetensors.TensorInfo, begin, size int64) (contents, error) {
	names := slices.SortedFunc(maps.Keys(infos), func(a, b string) int {
		return cmp.Or(slices.Compare(infos[a].DataOffsets[:], infos[b].DataOffsets[:]), cmp.Compare(a, b))
	})
	found := make(contents, len(names))
	end := uint64(0)
	for _, name := range names {
		info := infos[name]
		shape, count, err := dimensions(info.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		from, to := info.DataOffsets[0], info.DataOffsets[1]
		if from != end || to < from || to > uint64(size-begin) || uint64(count) != (to-from)/info.DType.Size() || (to-from)%info.DType.Size() != 0 {
			return nil, fmt.Errorf("tensor %q of %d elements of type %s claims the bytes %d to %d of %d", name, count, info.DType, from, to, size-begin)
		}
		found[name] = stored{dtype: info.DType, shape: shape, count: count, offset: begin + int64(from), bytes: int64(to - from)}
		end = to
	}
	if end != uint64(size-begin) {
		return nil, fmt.Errorf("its tensors take %d of %d bytes", end, size-begin)
	}
	return found, nil
}

func dimensions(dims []uint64) (shape []int, count int, err error) {
	shape, count = make([]int, len(dims)), 1
	for i, n := range dims {
		if n > math.MaxInt || (count > 0 && n > uint64(math.MaxInt/count)) {
			return nil, 0, fmt.Errorf("the shape %v is too large", dims)
		}
		shape[i] = int(n)
		count *= int(n)
	}
	return shape, count, nil
}

// match checks that the file holds the wanted tensors and no others.
func (c contents) match(wanted map[string]elements) error {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		e := wanted[name]
		s, ok := c[name]
		if !ok {
			return fmt.Errorf("tensor %q is missing", name)
		}
		if s.dtype != e.dtype || !slices.Equal(s.shape, e.shape) {
			return fmt.Errorf("tensor %q is %s %v instead of %s %v", name, s.dtype, s.shape, e.dtype, e.shape)
		}
	}
	if len(c) != len(wanted) {
		return fmt.Errorf("it holds %d tensors instead of %d", len(c), len(wanted))
	}
	return nil
}

// read fills tensors that match.
func (c contents) read(r io.ReaderAt, wanted map[string]elements) error {
	for name, e := range wanted {
		s := c[name]
		if err := e.decode(io.NewSectionReader(r, s.offset, s.bytes)); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return nil
}
