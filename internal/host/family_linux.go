package host

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
)

// family is the plugins of this process and the processes that they leave behind.
//
// A process that a plugin starts is usually in the plugin's process group and is killed with it.
// A process that left the group (with setsid, say) is found as follows. This process declares
// itself a subreaper, so orphans become its children. A child that is in another process group
// and was not started by this package belongs to a plugin; so a program that uses this package
// must not start such children itself. The environment of the child tells which plugin it
// belongs to, because each plugin has another folder for its socket.
var family = struct {
	sync.Mutex
	adopt sync.Once
	alive map[int]string // socket folders by process number, until the process is reaped
}{alive: make(map[int]string)}

// startChild starts a plugin whose socket folder is given.
func startChild(cmd *exec.Cmd, limits Limits, sockets string) error {
	family.Lock()
	defer family.Unlock()
	var err error
	family.adopt.Do(func() { err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
	if err != nil {
		return fmt.Errorf("become the parent of what plugins leave behind: %w", err)
	}
	if err := limits.start(cmd); err != nil {
		return err
	}
	family.alive[cmd.Process.Pid] = sockets
	return nil
}

// waitChild waits until a plugin ends, kills the processes that it has left behind, and reaps
// it. Until it is reaped, no other process or group can have its number.
func waitChild(cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR { //nolint:errorlint // as the kernel returns it
	}
	_ = killGroup(cmd.Process) // fails if nobody is left in the group
	killOrphans(pid)
	family.Lock()
	defer family.Unlock()
	err := cmd.Wait()
	delete(family.alive, pid)
	return err
}

// killOrphans kills and reaps the processes that a plugin which has ended left behind. It also
// reaps those of other plugins that have ended by themselves. After the grace it gives up on
// processes that the system cannot kill.
func killOrphans(plugin int) {
	killed := make(map[int]bool)
	for end := time.Now().Add(grace); killOrphansOnce(plugin, killed) > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// killOrphansOnce returns how many are not reaped yet. It adds those that it kills to killed.
// Those are counted without reading their environment, which a process that is ending no longer
// shows.
func killOrphansOnce(plugin int, killed map[int]bool) (left int) {
	family.Lock()
	defer family.Unlock()
	for _, orphan := range orphans() {
		switch {
		case orphan.ended:
			_, _ = unix.Wait4(orphan.pid, nil, unix.WNOHANG, nil) // it has ended
		case killed[orphan.pid] || orphan.group == plugin || leftBy(orphan.pid, plugin):
			_ = unix.Kill(orphan.pid, unix.SIGKILL) // a child that only this process reaps, so the number is still its own
			killed[orphan.pid] = true
			left++
		}
	}
	return left
}

// leftBy reports whether a plugin that has ended left an orphan behind. An orphan that hides its
// environment counts as left behind once no plugin is alive.
func leftBy(orphan, ended int) bool {
	folder := socketsOf(orphan)
	others := 0
	for pid, sockets := range family.alive {
		if pid == ended {
			continue
		}
		others++
		if folder == sockets {
			return false
		}
	}
	return folder != "" || others == 0
}

// socketsOf returns the socket folder in the environment that a process was started with; empty
// if it has none.
func socketsOf(pid int) string {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "" // it has ended, or its environment cannot be read
	}
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		if folder, ok := bytes.CutPrefix(variable, []byte(plugin.EnvUnixSocketDir+"=")); ok {
			return string(folder)
		}
	}
	return ""
}

type orphan struct {
	pid, group int
	ended      bool
}

// orphans returns the children of this process that this package did not start.
func orphans() []orphan {
	files, err := os.ReadDir("/proc")
	if err != nil {
		return nil // without /proc none can be found
	}
	self, group := os.Getpid(), unix.Getpgrp()
	var found []orphan
	for _, file := range files {
		pid, err := strconv.Atoi(file.Name())
		if err != nil {
			continue
		}
		if _, ours := family.alive[pid]; ours {
			continue
		}
		stat, err := os.ReadFile("/proc/" + file.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name in brackets may have any characters: "7 (a) b) S 1 7 …".
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 3 || fields[1] != strconv.Itoa(self) {
			continue
		}
		if its, err := strconv.Atoi(fields[2]); err == nil && its != group {
			found = append(found, orphan{pid: pid, group: its, ended: fields[0] == "Z"})
		}
	}
	return found
}
