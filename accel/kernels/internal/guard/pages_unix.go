//go:build unix

package guard

import (
	"syscall"
	"testing"
	"unsafe"
)

// Slice returns n zero elements that end where a page without access begins. It
// lives as long as the test.
func Slice[E any](t testing.TB, n int) []E {
	t.Helper()
	page, size := syscall.Getpagesize(), n*int(unsafe.Sizeof(*new(E)))
	used := (size + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, used+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mapping %d bytes of guarded memory: %v", used+page, err)
	}
	if err := syscall.Mprotect(memory[used:], syscall.PROT_NONE); err != nil {
		t.Fatalf("protecting a page: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Errorf("unmapping guarded memory: %v", err)
		}
	})
	return unsafe.Slice((*E)(unsafe.Pointer(&memory[used-size])), n)
}
