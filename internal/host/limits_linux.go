package host

import (
	"fmt"
	"math/bits"
	"os/exec"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// processors returns how many processors this process may use; ok is false if the system does
// not say.
func processors() (n int, ok bool) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, false
	}
	return all.Count(), true
}

// turn is where the next plugin with a limit on processors begins, so that plugins are spread
// over all.
var turn atomic.Uint32

// start starts a process under the limits. The caller must have locked the goroutine to its
// thread, because the process inherits the processors of the thread that starts it.
func (l Limits) start(cmd *exec.Cmd) (err error) {
	if l.Processors > 0 {
		var all, some unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return fmt.Errorf("limit the processors: %w", err)
		}
		var at []int
		for cpu := range len(all) * bits.UintSize {
			if all.IsSet(cpu) {
				at = append(at, cpu)
			}
		}
		first := int(turn.Add(uint32(l.Processors))) - l.Processors
		for i := range l.Processors {
			some.Set(at[(first+i)%len(at)])
		}
		if err := unix.SchedSetaffinity(0, &some); err != nil {
			return fmt.Errorf("limit the processors: %w", err)
		}
		defer func() {
			if restoring := unix.SchedSetaffinity(0, &all); err == nil && restoring != nil {
				err = fmt.Errorf("limit the processors: %w", restoring)
			}
		}()
	}
	if err := cmd.Start(); err != nil || l.Memory == 0 {
		return err
	}
	// It is RLIMIT_DATA and not RLIMIT_AS, because Go reserves a gigabyte of addresses that it
	// never uses, and the shared memory of the arena belongs to the host.
	var limit unix.Rlimit
	err = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, nil, &limit)
	if err == nil {
		limit.Max = min(limit.Max, uint64(l.Memory))
		limit.Cur = limit.Max
		err = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, &limit, nil)
	}
	if err != nil {
		_ = killGroup(cmd.Process) // it runs without its limits
		_ = cmd.Wait()             // the error says that a signal ended it
		return fmt.Errorf("limit the memory: %w", err)
	}
	return nil
}
