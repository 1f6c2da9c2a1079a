package isa

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// An instruction of SSE on a register whose upper part is in use costs a Xeon of family 6, model
// 207, 300 cycles, so kernels use the AVX form of each (VMOVD, not MOVD).
func TestAssemblyHasNoSSE(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*/*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files of assembly, %v", len(files), err)
	}
	sse := regexp.MustCompile(`(?m)^\t[A-JL-UW-Z][A-Z0-9]* .*\bX[0-9]`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range sse.FindAll(text, -1) {
			t.Errorf("%s has the SSE instruction %q", name, line)
		}
	}
}
