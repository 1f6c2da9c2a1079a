package team

import (
	"sync/atomic"
	"testing"
)

// TestTasksAreHandedOutOnce has more workers than cores take tasks in three rounds, each up to a
// limit, and then all anew.
func TestTasksAreHandedOutOnce(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		workers := New(size)
		var tasks Tasks
		for range 2 {
			const all = 1000
			var taken [all]atomic.Int32
			tasks.Restart()
			for _, limit := range []int{0, 300, all} {
				workers.Run(func(int) {
					for {
						task, ok := tasks.Next(limit)
						if !ok {
							return
						}
						taken[task].Add(1)
					}
				})
				for task := range taken {
					want := int32(0)
					if task < limit {
						want = 1
					}
					if got := taken[task].Load(); got != want {
						t.Fatalf("size %d: task %d was handed out %d times up to the limit %d", size, task, got, limit)
					}
				}
			}
		}
		workers.Close()
	}
}
