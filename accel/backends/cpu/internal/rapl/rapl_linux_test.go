package rapl

import (
	"errors"
	"fmt"
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
	for name, mode := range map[string]os.FileMode{folder: 0o755, filepath.Join(path, "energy_uj"): 0} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	// The other user may not enter the folders above it, so it is named by a descriptor.
	opened, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	folder = fmt.Sprintf("/proc/self/fd/%d", opened.Fd())
	const nobody = 65534
	cannot := errors.New("root cannot become another user here")
	answer := make(chan error)
	go func() {
		// Root may read everything, so this thread becomes another user. It ends with the
		// goroutine, as nothing unlocks it.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			unix.SetfsuidRetUid(nobody)
			if now, err := unix.SetfsuidRetUid(-1); err != nil || now != nobody {
				answer <- cannot
				return
			}
		}
		_, err := Open(folder)
		answer <- err
	}()
	err = <-answer
	if err == cannot {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "run chmod a+r "+folder) {
		t.Errorf("%v, want that the administrator is to run chmod", err)
	}
}
