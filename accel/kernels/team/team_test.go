package team

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// sizes go beyond the cores of any machine the tests are likely to meet: workers that have
// no core of their own must still arrive.
var sizes = []int{1, 2, 3, 5, 16}

func TestRunCallsEachWorkerOnce(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		workers := New(size)
		calls := make([]int, size) // no atomics: Run itself must order the writes
		for run := 1; run <= 200; run++ {
			workers.Run(func(worker int) { calls[worker]++ })
			for worker, got := range calls {
				if got != run {
					t.Fatalf("size %d: worker %d was called %d times in %d runs", size, worker, got, run)
				}
			}
		}
		workers.Close()
	}
}

func TestRunReachesSleepingWorkers(t *testing.T) {
	t.Parallel()
	workers := New(3)
	defer workers.Close()
	for range 5 {
		time.Sleep(3 * time.Millisecond) // far longer than a worker looks before it sleeps
		var calls atomic.Int32
		workers.Run(func(worker int) {
			if worker > 0 {
				time.Sleep(3 * time.Millisecond) // and so that the caller sleeps too
			}
			workers.Barrier()
			calls.Add(1)
		})
		if got := calls.Load(); got != 3 {
			t.Fatalf("got %d calls, want 3", got)
		}
	}
}

// TestBarrierOrdersSteps runs a recurrence whose every step reads what all workers wrote in the step before:
// x[i] ← x[i] + x[i+1], with two buffers and one barrier a step.
func TestBarrierOrdersSteps(t *testing.T) {
	t.Parallel()
	const n, steps = 37, 300
	recurrence := func(size int) [n]uint64 {
		workers := New(size)
		defer workers.Close()
		var x [2][n]uint64
		for i := range n {
			x[0][i] = uint64(i * i)
		}
		workers.Run(func(worker int) {
			from, to := workers.Split(worker, n, 1)
			for step := range steps {
				old, next := &x[step%2], &x[(step+1)%2]
				for i := from; i < to; i++ {
					next[i] = old[i] + old[(i+1)%n]
				}
				workers.Barrier()
			}
		})
		return x[steps%2]
	}
	want := recurrence(1)
	for _, size := range sizes[1:] {
		if got := recurrence(size); got != want {
			t.Errorf("%d workers: got %v, want %v as of one", size, got, want)
		}
	}
}

func TestSplitCoversOnceAndEvenly(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		workers := New(size)
		for _, grain := range []int{1, 2, 16, 48} {
			for n := range 300 {
				next, least, most := 0, n, 0
				for worker := range size {
					from, to := workers.Split(worker, n, grain)
					if from != next || to < from {
						t.Fatalf("%d workers, n %d, grain %d: worker %d got [%d, %d), want it to start at %d", size, n, grain, worker, from, to, next)
					}
					if to != n && to%grain != 0 {
						t.Fatalf("%d workers, n %d: worker %d ends at %d, no multiple of %d", size, n, worker, to, grain)
					}
					chunks := (to - from + grain - 1) / grain
					least, most = min(least, chunks), max(most, chunks)
					next = to
				}
				if next != n {
					t.Fatalf("%d workers, grain %d: the parts end at %d, want %d", size, grain, next, n)
				}
				if n > 0 && most-least > 1 {
					t.Fatalf("%d workers, n %d, grain %d: parts of %d to %d chunks, want at most one apart", size, n, grain, least, most)
				}
			}
		}
		workers.Close()
	}
}

func TestSizeIsAtLeastOne(t *testing.T) {
	t.Parallel()
	for _, size := range []int{-1, 0, 1} {
		workers := New(size)
		ran := false
		workers.Run(func(int) { workers.Barrier(); ran = true })
		if workers.Size() != 1 || !ran {
			t.Errorf("New(%d): got size %d, ran %v; want 1, true", size, workers.Size(), ran)
		}
		workers.Close()
	}
}

func TestCloseEndsTheWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	workers := New(8)
	workers.Run(func(int) {})
	workers.Close()
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("got %d goroutines after Close, want %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestPanicReachesTheCaller panics on each worker in turn, before, between and after barriers that
// the others wait at, and runs the team again.
func TestPanicReachesTheCaller(t *testing.T) {
	t.Parallel()
	const barriers = 3
	for _, size := range sizes {
		workers := New(size)
		for culprit := range size {
			for at := range barriers + 1 {
				want := fmt.Sprintf("worker %d at %d", culprit, at)
				var got any
				func() {
					defer func() { got = recover() }()
					workers.Run(func(worker int) {
						for barrier := range barriers {
							if worker == culprit && barrier == at {
								panic(want)
							}
							workers.Barrier()
						}
						if worker == culprit && at == barriers {
							panic(want)
						}
					})
				}()
				if got != want {
					t.Fatalf("%d workers: got panic %v in the caller, want %q", size, got, want)
				}
				var calls atomic.Int32
				workers.Run(func(int) {
					workers.Barrier()
					calls.Add(1)
					workers.Barrier()
				})
				if got := int(calls.Load()); got != size {
					t.Fatalf("%d workers: got %d calls in the run after a panic", size, got)
				}
			}
		}
		workers.Close()
	}
}

// TestAllPanic keeps one of several panics.
func TestAllPanic(t *testing.T) {
	t.Parallel()
	workers := New(5)
	defer workers.Close()
	for range 50 {
		func() {
			defer func() {
				if got, ok := recover().(int); !ok || got < 0 || got > 4 {
					t.Errorf("got panic %v, want the number of a worker", got)
				}
			}()
			workers.Run(func(worker int) { panic(worker) })
		}()
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	workers := New(3)
	defer workers.Close()
	work := func(int) { workers.Barrier() }
	if got := testing.AllocsPerRun(100, func() { workers.Run(work) }); got != 0 {
		t.Errorf("got %v allocations a run, want 0", got)
	}
}

// BenchmarkRun is a run in which the workers only meet, once: the price of waking them. The caller
// computes alone for a while before each.
func BenchmarkRun(b *testing.B) {
	for _, alone := range []time.Duration{0, 20 * time.Microsecond, 500 * time.Microsecond} {
		b.Run(fmt.Sprintf("after=%v", alone), func(b *testing.B) {
			workers := New(2)
			defer workers.Close()
			work := func(int) { workers.Barrier() }
			var times []float64
			for b.Loop() {
				for start := time.Now(); time.Since(start) < alone; {
				}
				start := time.Now()
				workers.Run(work)
				times = append(times, float64(time.Since(start).Nanoseconds()))
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2], "ns/run")
		})
	}
}

// BenchmarkBarrier is one barrier of two workers.
func BenchmarkBarrier(b *testing.B) {
	workers := New(2)
	defer workers.Close()
	workers.Run(func(int) {
		for range b.N {
			workers.Barrier()
		}
	})
}
