package arena

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Type is the element type of a tensor in an arena. The numbers are those of
// bittern.plugin.v1.Type on the wire.
type Type int

// The element types. All are little-endian.
const (
	Float32 Type = 1
	Int32   Type = 2
	Uint16  Type = 3
	Uint8   Type = 4
)

func (t Type) String() string {
	switch t {
	case Float32:
		return "float32"
	case Int32:
		return "int32"
	case Uint16:
		return "uint16"
	case Uint8:
		return "uint8"
	}
	return fmt.Sprintf("type %d", int(t))
}

// Element is what a tensor may hold.
type Element interface {
	float32 | int32 | uint16 | uint8
}

func typeOf[T Element]() Type {
	switch any(*new(T)).(type) {
	case float32:
		return Float32
	case int32:
		return Int32
	case uint16:
		return Uint16
	default:
		return Uint8
	}
}

func sizeOf[T Element]() int { return int(unsafe.Sizeof(*new(T))) }

// Tensor is a handle: it says where a tensor lies. Processes send it to each other instead of
// the elements.
type Tensor struct {
	File   string // path of the arena file; empty if there are no elements
	Offset int64  // bytes from the start of the file
	Type   Type
	Shape  []int // row-major
}

// elements returns the product of a shape. A negative size is an error, and so is a shape whose
// bytes no machine can address.
func elements(shape []int) (int, error) {
	n := 1
	for _, size := range shape {
		if size < 0 {
			return 0, fmt.Errorf("the shape %v has a negative size", shape)
		}
		if size > 0 && n > math.MaxInt/8/size {
			return 0, fmt.Errorf("the shape %v is too large to address", shape)
		}
		n *= size
	}
	return n, nil
}

// Make allocates a zeroed tensor that starts on a cache line (64 bytes), and
// returns its elements. The slice is valid until the arena is closed.
func Make[T Element](a *Arena, shape ...int) ([]T, error) {
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return []T{}, nil
	}
	memory, err := a.allocate(n * sizeOf[T]())
	if err != nil {
		return nil, err
	}
	return cast[T](memory), nil
}

// Locate returns the handle of a slice that lies in the arena. Its shape is the given one, or
// that of a vector if none is given. A slice elsewhere is ErrOutside; a shape that does not have
// the slice's number of elements is an error.
func Locate[T Element](a *Arena, slice []T, shape ...int) (Tensor, error) {
	if len(shape) == 0 {
		shape = []int{len(slice)}
	}
	n, err := elements(shape)
	if err != nil {
		return Tensor{}, err
	}
	if n != len(slice) {
		return Tensor{}, fmt.Errorf("a tensor of shape %v needs %d elements, but the slice has %d", shape, n, len(slice))
	}
	tensor := Tensor{Type: typeOf[T](), Shape: slices.Clone(shape)}
	if n == 0 {
		return tensor, nil
	}
	file, offset, ok := a.find(unsafe.Pointer(unsafe.SliceData(slice)), n*sizeOf[T]())
	if !ok {
		return Tensor{}, ErrOutside
	}
	tensor.File, tensor.Offset = file, offset
	return tensor, nil
}

// View returns the elements of a tensor that another process made, mapping its
// file at first use. The slice is valid until the mapping is closed.
func View[T Element](m *Mapping, tensor Tensor) ([]T, error) {
	n, err := tensor.elements(typeOf[T]())
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return []T{}, nil
	}
	memory, err := m.file(tensor.File)
	if err != nil {
		return nil, err
	}
	size := int64(n * sizeOf[T]())
	if err := tensor.within(size, sizeOf[T](), int64(len(memory))); err != nil {
		return nil, err
	}
	return cast[T](memory[tensor.Offset : tensor.Offset+size]), nil
}

// elements returns how many elements there are. If they are not of the wanted type, it is an
// error.
func (t Tensor) elements(want Type) (int, error) {
	if t.Type != want {
		return 0, fmt.Errorf("the tensor holds %s where %s is wanted", t.Type, want)
	}
	return elements(t.Shape)
}

// within returns an error if a tensor of size bytes, whose elements have width bytes, does not
// lie within a file of so many bytes, or is not aligned to its elements.
func (t Tensor) within(size int64, width int, file int64) error {
	if t.Offset < 0 || t.Offset%int64(width) != 0 || t.Offset > file-size {
		return fmt.Errorf("a tensor of %d bytes at offset %d does not lie within the %d bytes of %s", size, t.Offset, file, t.File)
	}
	return nil
}

func cast[T Element](memory []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/sizeOf[T]())
}
