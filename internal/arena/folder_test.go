package arena

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWithoutSharedMemory makes an arena on a system where /dev/shm does not exist or is no
// folder.
func TestWithoutSharedMemory(t *testing.T) {
	t.Parallel()
	missing, file := filepath.Join(t.TempDir(), "shm"), filepath.Join(t.TempDir(), "shm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{missing, file} {
		got := sharedMemory(folder)
		if got != os.TempDir() {
			t.Errorf("sharedMemory(%s) = %s, want the folder for temporary files, %s", folder, got, os.TempDir())
		}
		a, err := Create(got, 0)
		if err != nil {
			t.Fatal(err)
		}
		tensor, err := Make[float32](a, 3, 5)
		if err != nil {
			t.Fatal(err)
		}
		tensor[14] = 7
		handle, err := Locate(a, tensor, 3, 5)
		if err != nil {
			t.Fatal(err)
		}
		var mapping Mapping
		view, err := View[float32](&mapping, handle)
		if err != nil || len(view) != 15 || view[14] != 7 {
			t.Errorf("the tensor seen through a mapping = %v (error %v), want 15 elements, the last 7", view, err)
		}
		if err := mapping.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}
