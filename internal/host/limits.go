package host

import (
	"runtime"

	"bittern/plugins"
)

// Limits are what a plugin's process, and each process that it starts, may use;
// 0 is no limit. Linux alone can set them.
type Limits struct {
	// Memory is how many bytes of its own the process may use: heap and
	// writable data, not the shared tensors nor reserved addresses. A plugin
	// that wants more is refused it by the system and usually crashes. The
	// limit is set as soon as the executable has been loaded. A Go plugin may
	// overstep it once: its runtime turns reserved addresses into memory, which
	// the kernel counts only when something else is asked for.
	Memory int64
	// Processors is how many of the host's processors the process runs on.
	// Plugins that run together are spread over all of them.
	Processors int
}

// check refuses what this machine cannot do.
func (l Limits) check(owner plugins.ID) error {
	if l.Memory < 0 || l.Processors < 0 {
		return plugins.Problemf("%s: memory and processors must not be negative", owner)
	}
	if l == (Limits{}) {
		return nil
	}
	at, ok := processors()
	if !ok {
		return plugins.Problemf("%s: memory and processors of a plugin can be limited on Linux alone, not on %s; take memory_mib and processors out of the suite", owner, runtime.GOOS)
	}
	if l.Processors > at {
		return plugins.Problemf("%s: it is to run on %d processors, but only %d are at hand; lower its processors", owner, l.Processors, at)
	}
	return nil
}
