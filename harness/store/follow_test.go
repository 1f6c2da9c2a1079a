package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStepFollowerReadsEachStepOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "experiment")
	var follower StepFollower
	want := func(when string, wantAfresh bool, from, to int) {
		t.Helper()
		var list []Step
		for i := from; i < to; i++ {
			list = append(list, step(i))
		}
		got, afresh, err := follower.Read(dir)
		if diff := cmp.Diff(list, got); err != nil || diff != "" || afresh != wantAfresh {
			t.Errorf("%s: afresh %v, want %v; %v; steps (-want +got):\n%s", when, afresh, wantAfresh, err, diff)
		}
	}
	want("before there is a folder", false, 0, 0)
	appendSteps(t, dir, 0, 0, 3)
	want("the first steps", false, 0, 3)
	want("nothing new", false, 0, 0)
	appendSteps(t, dir, 3, 3, 5)
	want("two more", false, 3, 5)

	// A line that is being written is left for the next time.
	path := filepath.Join(dir, stepsName)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = file.WriteString(`{"step":5,"ep`)
	must(t, err)
	must(t, file.Close())
	want("a torn line", false, 0, 0)

	appendSteps(t, dir, 2, 2, 4)
	want("training went on from a checkpoint", true, 0, 4)
	must(t, os.RemoveAll(dir))
	want("the folder is gone", true, 0, 0)
	appendSteps(t, dir, 0, 0, 1)
	want("trained anew", false, 0, 1)
}

func TestReadHolder(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	dir := s.ExperimentDir("one")
	want := func(when string, pid int, alive bool) {
		t.Helper()
		h, err := ReadHolder(dir)
		if err != nil || h.PID != pid || h.Alive() != alive {
			t.Errorf("%s: %+v, alive %v, %v; want process %d, alive %v", when, h, h.Alive(), err, pid, alive)
		}
	}
	want("before there is a folder", 0, false)
	lock, err := s.Lock(t.Context(), "one")
	must(t, err)
	want("locked", os.Getpid(), true)
	must(t, lock.Release())
	want("released", 0, false)

	ended := exec.Command(os.Args[0], "-test.run=^$")
	must(t, ended.Run())
	host, err := os.Hostname()
	must(t, err)
	dead := Holder{PID: ended.Process.Pid, Host: host}
	if dead.Alive() {
		t.Errorf("process %d counts as alive, and has ended", dead.PID)
	}
	dead.Host += "-another"
	if !dead.Alive() {
		t.Error("a process on another host counts as ended, and nothing is known of it")
	}
}
