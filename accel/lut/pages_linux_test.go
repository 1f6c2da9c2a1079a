package lut

import (
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// edge returns n zero elements whose last byte is the last before a page that
// must not be touched: a kernel that reads or writes beyond them ends the test.
func edge[E any](t *testing.T, n int) []E {
	t.Helper()
	page := unix.Getpagesize()
	size := n * int(unsafe.Sizeof(*new(E)))
	pages := (size + page - 1) / page * page
	memory, err := unix.Mmap(-1, 0, pages+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mprotect(memory[pages:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&memory[pages-size])), n)
}

// Kernels touch nothing behind their slices, not even to read.
func TestNothingBehindSlices(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kernels) {
		for n := 1; n <= 50; n++ {
			x, y := edge[float32](t, n), edge[float32](t, n)
			k.largest(x)
			k.fromIntegers(y, 1)
			k.fromIntegersScaleShift(y, 1, x, x)
			for levels := 2; levels <= 3; levels++ {
				plane := (n + 63) / 64 * 8
				bits := edge[byte](t, (levels-1)*plane)
				k.choose[levels-2](y, bits, plane, edge[float32](t, levels*n), n, 1)
				k.choose[levels-2](y, bits, plane, edge[float32](t, levels*repeats), repeats, 0)
			}
			columns := n%7 + 1
			k.dense(y, edge[float32](t, (n+k.lanes-1)/k.lanes*k.lanes*columns), edge[float32](t, columns))
		}
		for chunks := 1; chunks <= 3; chunks++ {
			whole := 16 * chunks
			k.quantize(edge[int16](t, whole), edge[float32](t, whole), 1)
			edges(t, &k.integer, chunks)
			edges(t, &k.exact, chunks)
		}
	})
}

func edges[Activation int16 | float32, Sum int32 | float32](t *testing.T, s *summation[Activation, Sum], chunks int) {
	t.Helper()
	tables := edge[byte](t, chunks*s.tableBytes)
	s.tables(tables, edge[Activation](t, chunks*s.chunk))
	for blocks := 1; blocks <= 2; blocks++ {
		for planes := 1; planes <= 2; planes++ {
			dst := edge[Sum](t, blocks*blockRows)
			s.sums[planes-1](dst, edge[byte](t, blocks*chunks*planes*s.bytes()), tables, chunks)
			for r, sum := range dst {
				if sum != 0 {
					t.Fatal(fmt.Errorf("row %d of %d with activations of 0: got %v, want 0", r, len(dst), sum))
				}
			}
		}
	}
}
