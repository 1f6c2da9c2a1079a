// Package parallel splits the work of quantizers over the cores.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls work once for every part from 0 to parts − 1, on as many goroutines as
// may run at once, and returns when all calls have returned. Which goroutine gets
// which part is left to chance. So a sum over parts must be kept part by part and added in
// their order; then it does not depend on the number of goroutines.
func Each(parts int, work func(part int)) {
	workers := min(runtime.GOMAXPROCS(0), parts)
	if workers == 1 {
		for part := range parts {
			work(part)
		}
		return
	}
	var next atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for {
				part := int(next.Add(1)) - 1
				if part >= parts {
					return
				}
				work(part)
			}
		})
	}
	running.Wait()
}
