package wire

import (
	"bittern/internal/arena"
	pluginv1 "bittern/internal/wire/bittern/plugin/v1"
)

// In the contract a nil slice says that there is no tensor. On the wire the field is then left
// out.

// Locate returns the handle of a slice, which must lie in the arena already.
func Locate[T arena.Element](a *arena.Arena, slice []T, shape ...int) (*pluginv1.Tensor, error) {
	if slice == nil {
		return nil, nil
	}
	tensor, err := arena.Locate(a, slice, shape...)
	if err != nil {
		return nil, err
	}
	return encodeTensor(tensor), nil
}

// Copy copies a slice into the arena and returns the handle of the copy.
func Copy[T arena.Element](a *arena.Arena, slice []T) (*pluginv1.Tensor, error) {
	if slice == nil {
		return nil, nil
	}
	shared, err := arena.Make[T](a, len(slice))
	if err != nil {
		return nil, err
	}
	copy(shared, slice)
	return Locate(a, shared)
}

// View returns the slice that a handle describes, without copying it.
func View[T arena.Element](m *arena.Mapping, tensor *pluginv1.Tensor) ([]T, error) {
	if tensor == nil {
		return nil, nil
	}
	return arena.View[T](m, decodeTensor(tensor))
}

// Read returns a copy of the slice that a handle describes.
func Read[T arena.Element](r *arena.Reader, tensor *pluginv1.Tensor) ([]T, error) {
	if tensor == nil {
		return nil, nil
	}
	return arena.Read[T](r, decodeTensor(tensor))
}

func encodeTensor(t arena.Tensor) *pluginv1.Tensor {
	return &pluginv1.Tensor{File: t.File, Offset: t.Offset, Type: pluginv1.Type(t.Type), Shape: Int64s(t.Shape)}
}

func decodeTensor(m *pluginv1.Tensor) arena.Tensor {
	return arena.Tensor{File: m.GetFile(), Offset: m.GetOffset(), Type: arena.Type(m.GetType()), Shape: Ints(m.GetShape())}
}

// Int64s returns the wire form of a shape.
func Int64s(shape []int) []int64 {
	sizes := make([]int64, len(shape))
	for i, size := range shape {
		sizes[i] = int64(size)
	}
	return sizes
}

// Ints is the inverse of Int64s.
func Ints(sizes []int64) []int {
	shape := make([]int, len(sizes))
	for i, size := range sizes {
		shape[i] = int(size)
	}
	return shape
}
