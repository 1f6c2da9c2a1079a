package host

import (
	"fmt"
	"math/bits"
	"os/exec"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// processors returns how many processors this process may run on.
func processors() (n int, ok bool) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, false
	}
	return all.Count(), true
}

// turn spreads plugins with few processors over all there are.
var turn atomic.Uint32

// start starts a process under the limits. The caller has locked the thread:
// the process inherits the processors of the thread that starts it.
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
	// RLIMIT_DATA and not RLIMIT_AS: Go reserves a gigabyte of addresses that it
	// never uses, and the arena's shared memory is the host's.
	var limit unix.Rlimit
	err = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, nil, &limit)
	if err == nil {
		limit.Max = min(limit.Max, uint64(l.Memory))
		limit.Cur = limit.Max
		err = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, &limit, nil)
	}
	if err != nil {
		_ = killGroup(cmd.Process) // it never ran as it should have
		_ = cmd.Wait()             // it reports the signal
		return fmt.Errorf("limit the memory: %w", err)
	}
	return nil
}
