//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bittern/harness/store"
)

// tally counts what happened, in one round or in all.
type tally struct {
	together    int // how many runs at once; only for one round
	sittings    int
	harnesses   int // how many were killed
	plugins     int // how many were killed
	atWork      int // kills of a harness, or of one of its plugins, while it ran an experiment
	waited      int // how many sittings waited for an experiment of another one
	differences []string
	leftovers   []string
	exits       []string // of runs that should not have ended like this
}

func (t *tally) kills() int { return t.harnesses + t.plugins }

func (t *tally) clean() bool {
	return len(t.differences) == 0 && len(t.leftovers) == 0 && len(t.exits) == 0
}

func (t *tally) add(r tally) {
	t.sittings += r.sittings
	t.harnesses += r.harnesses
	t.plugins += r.plugins
	t.atWork += r.atWork
	t.waited += r.waited
	t.differences = append(t.differences, r.differences...)
	t.leftovers = append(t.leftovers, r.leftovers...)
	t.exits = append(t.exits, r.exits...)
}

func (t *tally) line() string {
	return fmt.Sprintf("%d sittings, %d harnesses and %d plugins killed (%d at work on an experiment), %d waited; %d differences, %d leftovers, %d wrong exits",
		t.sittings, t.harnesses, t.plugins, t.atWork, t.waited, len(t.differences), len(t.leftovers), len(t.exits))
}

// summary is the last line that is printed.
func (t *tally) summary() string {
	text := fmt.Sprintf("%d kills, %d differences, %d leftovers", t.kills(), len(t.differences), len(t.leftovers))
	if len(t.exits) > 0 {
		text += fmt.Sprintf(", %d wrong exits", len(t.exits))
	}
	return text
}

// complaints returns what went wrong. Of the differences in one file or table it has only the
// first few.
func (t *tally) complaints() []string {
	const shown = 3
	all := slices.Clone(t.exits)
	in := make(map[string]int)
	for _, difference := range t.differences {
		place := container(difference)
		if in[place]++; in[place] <= shown {
			all = append(all, difference)
		}
	}
	for _, place := range slices.Sorted(maps.Keys(in)) {
		if more := in[place] - shown; more > 0 {
			all = append(all, fmt.Sprintf("and %d more differences in %s", more, place))
		}
	}
	return append(all, t.leftovers...)
}

// container returns the file or table that a difference is in.
func container(difference string) string {
	name, _, _ := strings.Cut(difference, " ")
	segments := strings.Split(name, "/")
	return strings.Join(segments[:min(2, len(segments))], "/")
}

// How many kills a round has, at least and at most.
const (
	leastKills = 10
	mostKills  = 30
)

// attempts is how often the last run of a round is tried.
const attempts = 3

// round tortures runs in a new folder, and compares the result with that of the undisturbed run.
func (t *tool) round(ctx context.Context, number, together int) (_ tally, err error) {
	r := tally{together: together}
	p, err := t.newPlace(fmt.Sprintf("round-%d", number))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close(!r.clean() || err != nil && ctx.Err() == nil)) }()
	if err := p.torture(ctx, &r, leastKills+t.random.IntN(mostKills-leastKills+1)); err != nil {
		return r, err
	}
	for range attempts {
		s, err := p.start()
		if err != nil {
			return r, err
		}
		r.sittings++
		p.await(ctx, s)
		if ctx.Err() != nil {
			return r, nil // it was interrupted, so there is nothing to compare
		}
		if s.judge(&r); s.exit() == 0 {
			break
		}
	}
	processes, err := orphans()
	if err != nil {
		return r, err
	}
	r.leftovers = append(r.leftovers, processes...)
	found, err := p.traces()
	if err != nil {
		return r, err
	}
	differences, leftovers := t.undisturbed.compare(found)
	r.differences, r.leftovers = append(r.differences, differences...), append(r.leftovers, leftovers...)
	return r, nil
}

// torture kills processes of the runs and starts the killed runs again, until there were enough
// kills or all runs are done.
func (p *place) torture(ctx context.Context, r *tally, kills int) error {
	slots := make([]*sitting, r.together)
	done := make([]bool, r.together)
	defer func() {
		for _, s := range slots {
			if s != nil {
				p.await(ctx, s)
				if ctx.Err() == nil {
					s.judge(r)
				}
			}
		}
	}()
	for ctx.Err() == nil && r.kills() < kills {
		running := 0
		for i := range slots {
			if slots[i] == nil && !done[i] {
				s, err := p.start()
				if err != nil {
					return err
				}
				slots[i] = s
				r.sittings++
			}
			if slots[i] != nil {
				running++
			}
		}
		if running == 0 {
			return nil
		}
		ended, err := p.pause(ctx, slots)
		if err != nil {
			return err
		}
		if ended >= 0 {
			s := slots[ended]
			slots[ended] = nil
			s.judge(r)
			done[ended] = s.exit() == 0
			continue
		}
		if err := p.kill(r, slots); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for a random time, or until a sitting ends; it then returns the sitting's slot,
// and −1 otherwise. Starting a run takes longer than its work. So half of the pauses begin only
// when a run has begun an experiment.
func (p *place) pause(ctx context.Context, slots []*sitting) (int, error) {
	const look = 20 * time.Millisecond
	wait := time.Duration(p.random.ExpFloat64() * float64(p.takes) / 6)
	if p.random.IntN(2) == 0 {
		for end := time.Now().Add(p.patience()); time.Now().Before(end) && ctx.Err() == nil; {
			if working, err := p.anyWorking(slots); working || err != nil {
				return p.endedWithin(ctx, slots, wait), err
			}
			if ended := p.endedWithin(ctx, slots, look); ended >= 0 {
				return ended, nil
			}
		}
	}
	return p.endedWithin(ctx, slots, min(wait, 2*p.takes)), nil
}

func (p *place) anyWorking(slots []*sitting) (bool, error) {
	for _, s := range slots {
		if s == nil {
			continue
		}
		if working, err := p.working(s.command.Process.Pid); working || err != nil {
			return working, err
		}
	}
	return false, nil
}

// endedWithin waits until a sitting ends and returns its slot, or −1 after the given time.
func (p *place) endedWithin(ctx context.Context, slots []*sitting, wait time.Duration) int {
	timer := time.After(wait)
	ended := make(chan int, len(slots))
	stop := make(chan struct{})
	defer close(stop)
	for i, s := range slots {
		if s == nil {
			continue
		}
		go func() {
			select {
			case <-s.ended:
				ended <- i
			case <-stop:
			}
		}()
	}
	select {
	case i := <-ended:
		return i
	case <-timer:
	case <-ctx.Done():
	}
	return -1
}

// kill kills a process of the sittings: in half of all cases a harness, otherwise one of its
// plugins. If that harness has no plugin at the moment, it kills nothing.
func (p *place) kill(r *tally, slots []*sitting) error {
	running := slices.DeleteFunc(slices.Clone(slots), func(s *sitting) bool { return s == nil })
	s := running[p.random.IntN(len(running))]
	victim, count, mark := s.command.Process.Pid, &r.harnesses, &s.harnessKilled
	if p.random.IntN(2) == 0 {
		plugins, err := descendants(victim)
		if err != nil || len(plugins) == 0 {
			return err
		}
		victim, count, mark = plugins[p.random.IntN(len(plugins))].pid, &r.plugins, &s.pluginKilled
	}
	working, err := p.working(s.command.Process.Pid)
	if err != nil {
		return err
	}
	killed, err := kill(victim)
	if killed {
		*count++
		*mark = true
		if working {
			r.atWork++
		}
	}
	return err
}

// working reports whether a harness is running an experiment, or was when it was killed. The
// locks of experiments tell.
func (p *place) working(harness int) (bool, error) {
	locks, err := filepath.Glob(filepath.Join(p.runs(), "*", "lock"))
	if err != nil {
		return false, err
	}
	for _, lock := range locks {
		text, err := os.ReadFile(lock)
		if err != nil {
			return false, err
		}
		var holder store.Holder // empty if nobody has the lock; incomplete while it is being written
		if json.Unmarshal(text, &holder) == nil && holder.PID == harness {
			return true, nil
		}
	}
	return false, nil
}

// orphans returns the processes that the runs of a round have left behind, and kills them. It
// gives them time to end by themselves first.
func orphans() ([]string, error) {
	const patience = 5 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		// This process has waited for all processes that it started itself.
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
		left, err := descendants(os.Getpid())
		if err != nil || len(left) == 0 {
			return nil, err
		}
		if time.Now().After(end) {
			var list []string
			for _, process := range left {
				list = append(list, fmt.Sprintf("process %d (%s) goes on without its harness", process.pid, process.name))
				if _, err := kill(process.pid); err != nil {
					return list, err
				}
			}
			return list, nil
		}
	}
}
