package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"github.com/nlpodyssey/safetensors"
)

// Tensor is a named array. Exactly one of the slices is not nil and holds as many
// elements as the product of Shape, in row-major order; the product of no
// dimensions is 1.
type Tensor struct {
	Name    string
	Shape   []int
	Float32 []float32
	Int32   []int32
	Uint16  []uint16
	Uint8   []uint8
}

// elements is the view of a tensor that is common to all element types.
type elements struct {
	dtype  safetensors.DType
	shape  []int
	length int
	encode func() []byte           // little-endian; not to be changed
	decode func(r io.Reader) error // fills the tensor
}

// Bytes is the size of the elements.
func (t Tensor) Bytes() int {
	return 4*(len(t.Float32)+len(t.Int32)) + 2*len(t.Uint16) + len(t.Uint8)
}

func (t Tensor) elements() (elements, error) {
	var found []elements
	if t.Float32 != nil {
		found = append(found, numbers(safetensors.F32, t.Float32))
	}
	if t.Int32 != nil {
		found = append(found, numbers(safetensors.I32, t.Int32))
	}
	if t.Uint16 != nil {
		found = append(found, numbers(safetensors.U16, t.Uint16))
	}
	if t.Uint8 != nil {
		found = append(found, elements{
			dtype: safetensors.U8, length: len(t.Uint8),
			encode: func() []byte { return t.Uint8 },
			decode: func(r io.Reader) error { _, err := io.ReadFull(r, t.Uint8); return err },
		})
	}
	if len(found) != 1 {
		return elements{}, fmt.Errorf("tensor %q has %d slices of elements instead of one", t.Name, len(found))
	}
	count := 1
	for _, n := range t.Shape {
		if n < 0 {
			return elements{}, fmt.Errorf("tensor %q has the shape %v", t.Name, t.Shape)
		}
		count *= n
	}
	if count != found[0].length {
		return elements{}, fmt.Errorf("tensor %q of shape %v has %d elements instead of %d", t.Name, t.Shape, found[0].length, count)
	}
	found[0].shape = t.Shape
	return found[0], nil
}

// named checks tensors and views them by name.
func named(tensors []Tensor) (map[string]elements, error) {
	views := make(map[string]elements, len(tensors))
	for _, t := range tensors {
		e, err := t.elements()
		if err != nil {
			return nil, err
		}
		if _, twice := views[t.Name]; twice || t.Name == "__metadata__" {
			return nil, fmt.Errorf("two tensors are named %q, or the name is reserved", t.Name)
		}
		views[t.Name] = e
	}
	return views, nil
}

// The methods of [safetensors.View], which encodes one tensor at a time.

func (e elements) DType() safetensors.DType { return e.dtype }
func (e elements) Data() []byte             { return e.encode() }
func (e elements) DataLen() uint64          { return uint64(e.length) * e.dtype.Size() }

func (e elements) Shape() []uint64 {
	shape := make([]uint64, len(e.shape))
	for i, n := range e.shape {
		shape[i] = uint64(n)
	}
	return shape
}

func numbers[E float32 | int32 | uint16](dtype safetensors.DType, values []E) elements {
	return elements{
		dtype: dtype, length: len(values),
		encode: func() []byte { return littleEndian(values) },
		decode: func(r io.Reader) error { return binary.Read(r, binary.LittleEndian, values) },
	}
}

// littleEndian returns the bytes of values: their own memory where this machine has that order,
// a copy elsewhere.
func littleEndian[E float32 | int32 | uint16](values []E) []byte {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), binary.Size(values))
	}
	encoded, err := binary.Append(make([]byte, 0, binary.Size(values)), binary.LittleEndian, values)
	if err != nil {
		panic(err) // only for types without a fixed size
	}
	return encoded
}

// allocate makes a tensor for what a file holds.
func allocate(name string, dtype safetensors.DType, shape []int, count int) (Tensor, error) {
	t := Tensor{Name: name, Shape: slices.Clone(shape)}
	switch dtype {
	case safetensors.F32:
		t.Float32 = make([]float32, count)
	case safetensors.I32:
		t.Int32 = make([]int32, count)
	case safetensors.U16:
		t.Uint16 = make([]uint16, count)
	case safetensors.U8:
		t.Uint8 = make([]uint8, count)
	default:
		return Tensor{}, fmt.Errorf("tensor %q has elements of type %s, which this program does not read", name, dtype)
	}
	return t, nil
}
