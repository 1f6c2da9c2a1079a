package host

import (
	"runtime"

	"bittern/plugins"
)

// Limits are what a plugin's process, and each process that it starts, may use. 0 is no limit.
// Only Linux can set them.
type Limits struct {
	// Memory is how many bytes of its own the process may use: heap and writable data, but
	// neither shared tensors nor reserved addresses. The system refuses more to a plugin, which
	// then usually crashes. The limit is set as soon as the executable has been loaded. A Go
	// plugin may exceed it once: its runtime turns reserved addresses into memory, which the
	// kernel counts only at the next request.
	// the kernel counts only when something else is asked for.
	Memory int64
	// Processors is how many of the host's processors the process runs on.
	// Plugins that run together are spread over all of them.
	Processors int
}

// check returns an error if this machine cannot set the limits.
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
