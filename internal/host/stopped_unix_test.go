//go:build unix

package host_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bittern/internal/host"
	"bittern/internal/null"
	"bittern/plugins/quantizer"
)

// TestStoppedProcess checks that a process which answers nothing, not even the request to end,
// is killed, and that its host does not wait for it.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]bool{"at a call": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, _ := open(t, null.Name, host.Settings{Deadline: patience})
			if err := unix.Kill(q.Pid(), unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if !closing {
				// The signal takes effect some time after it is sent. Until then calls are
				// answered.
				var err error
				for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); {
					err = q.Quantize(t.Context(), quantizer.Draw{})
				}
				if failure, ok := errors.AsType[*host.Failure](err); !ok || failure.Reason != host.Deadline {
					t.Errorf("Quantize = %v, want a failure that says deadline", err)
				}
			}
			closed := make(chan error, 1)
			go func() { closed <- q.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("Close: %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("Close has not returned after a minute")
			}
		})
	}
}
