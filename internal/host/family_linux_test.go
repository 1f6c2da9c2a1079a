package host_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"bittern/internal/host"
	"bittern/plugins/quantizer"
)

// These plugins leave a process behind that holds the pipes to the host.
func init() {
	for name, litter := range map[string]func() (int, error){
		"litters-in-its-group":   func() (int, error) { return background(&syscall.SysProcAttr{}) },
		"litters-in-a-session":   func() (int, error) { return background(&syscall.SysProcAttr{Setsid: true}) },
		"litters-without-parent": daemon,
	} {
		served["quantizer/"+name] = func() {
			serveQuantizer(name, func(f *faulty) error {
				if f.calls == 2 {
					os.Exit(3)
				}
				pid, err := litter()
				return errors.Join(err, fmt.Errorf("left %d", pid))
			})
		}
	}
}

func background(attributes *syscall.SysProcAttr) (int, error) {
	cmd := exec.Command("sleep", "600")
	cmd.Stdout, cmd.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
	cmd.SysProcAttr = attributes
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// daemon starts a process whose parent then ends, and returns its number.
func daemon() (int, error) {
	reading, writing, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("sh", "-c", "sleep 600 & echo $! >&3")
	cmd.Stdout, cmd.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
	cmd.ExtraFiles = []*os.File{writing}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	var pid int
	_, err = fmt.Fscan(reading, &pid)
	return pid, err
}

// TestWhatAPluginLeavesBehind checks that such a process ends with the plugin, whatever group it
// is in, and that the host does not wait for it.
func TestWhatAPluginLeavesBehind(t *testing.T) {
	t.Parallel()
	for name := range served {
		if !strings.HasPrefix(name, "quantizer/litters") {
			continue
		}
		for end, crash := range map[string]bool{"closed": false, "crashed": true} {
			t.Run(strings.TrimPrefix(name, "quantizer/")+"/"+end, func(t *testing.T) {
				t.Parallel()
				q, _ := open(t, strings.TrimPrefix(name, "quantizer/"), host.Settings{})
				err := q.Quantize(t.Context(), quantizer.Draw{})
				failure, ok := errors.AsType[*host.Failure](err)
				if !ok {
					t.Fatalf("Quantize = %v, want a *host.Failure", err)
				}
				var pid int
				if _, err := fmt.Sscanf(failure.Detail, "left %d", &pid); err != nil {
					t.Fatalf("Detail = %q: %v", failure.Detail, err)
				}
				if !running(t, pid) {
					t.Fatalf("process %d does not run before the plugin ends", pid)
				}
				t.Cleanup(func() {
					if running(t, pid) {
						_ = syscall.Kill(pid, syscall.SIGKILL) // fails if it has ended just now
					}
				})
				if crash {
					err := q.Quantize(t.Context(), quantizer.Draw{})
					if failure, ok := errors.AsType[*host.Failure](err); !ok || failure.Reason != host.Crashed || failure.Detail != "exit status 3" {
						t.Errorf("Quantize = %v, want a crash with exit status 3", err)
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
					t.Fatal("Close has not returned after a minute")
				}
				// It must be reaped too, since it is now a child of this process.
				if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
					t.Errorf("process %d is still there after Close", pid)
				}
			})
		}
	}
}
