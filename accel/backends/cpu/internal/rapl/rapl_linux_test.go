package rapl

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Since 2020 Linux lets only root read the counters. The user is told what to do.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := domain(t, folder, "intel-rapl:0", "package-0", "1", "2")
	if err := os.Chmod(filepath.Join(path, "energy_uj"), 0); err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{filepath.Dir(folder), folder} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	failed := make(chan error)
	go func() {
		// The thread ends with the goroutine, and with it what it gave up: root may read all.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if _, err := unix.SetfsuidRetUid(65534); err != nil {
				t.Error(err)
			}
		}
		_, err := Open(folder)
		failed <- err
	}()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "run chmod a+r "+folder) {
		t.Errorf("%v, want that the administrator is to run chmod", err)
	}
}
