//go:build unix

package guard

import (
	"syscall"
	"testing"
	"unsafe"
)

// pages returns n float32 that end where a page without access begins.
func pages(t testing.TB, n int) []float32 {
	t.Helper()
	page := syscall.Getpagesize()
	used := (4*n + page - 1) / page * page
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
	return unsafe.Slice((*float32)(unsafe.Pointer(&memory[used-4*n])), n)
}
