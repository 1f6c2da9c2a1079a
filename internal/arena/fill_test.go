package arena

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFill covers the way that systems without fallocate reserve space.
func TestFill(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "zeros"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const size = 100_003
	if err := fill(file, size); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(content) != size {
		t.Errorf("the file has %d bytes, want %d", len(content), size)
	}
	for i, b := range content {
		if b != 0 {
			t.Fatalf("byte %d = %d, want 0", i, b)
		}
	}
}
