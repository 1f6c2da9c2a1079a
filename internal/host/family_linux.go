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

// family is the plugins of this process and what they leave behind.
//
// A process that a plugin starts is usually in the plugin's process group and is
// killed with it. One that left the group (by setsid, say) is found as follows.
// This process declares itself a subreaper, so orphans become its children. A
// child in another process group that was not started here is a plugin's: a
// program that uses this package leaves it to this package to start children in
// groups of their own. Which plugin's it is, its environment tells, where every
// plugin has another folder for its socket.
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

// waitChild waits for a plugin to end, ends what it has left behind, and then
// reaps it. Until then its number, which is also that of its process group,
// belongs to no other process.
func waitChild(cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR { //nolint:errorlint // as the kernel returns it
	}
	_ = killGroup(cmd.Process) // it fails where nobody is left in the group
	killOrphans(pid)
	family.Lock()
	defer family.Unlock()
	err := cmd.Wait()
	delete(family.alive, pid)
	return err
}

// killOrphans kills and reaps what a plugin that has ended has left behind, and
// reaps what other plugins' left behind that ended by itself. It gives up on a
// process that the system cannot kill within the grace.
func killOrphans(plugin int) {
	killed := make(map[int]bool)
	for end := time.Now().Add(grace); killOrphansOnce(plugin, killed) > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// killOrphansOnce returns how many have not been reaped yet. Whom killed names
// counts without a further look: a process that is ending shows no environment.
func killOrphansOnce(plugin int, killed map[int]bool) (left int) {
	family.Lock()
	defer family.Unlock()
	for _, orphan := range orphans() {
		switch {
		case orphan.ended:
			_, _ = unix.Wait4(orphan.pid, nil, unix.WNOHANG, nil) // it has ended
		case killed[orphan.pid] || orphan.group == plugin || leftBy(orphan.pid, plugin):
			_ = unix.Kill(orphan.pid, unix.SIGKILL) // a child that nobody else reaps
			killed[orphan.pid] = true
			left++
		}
	}
	return left
}

// leftBy says whether a plugin that has ended has left an orphan behind. An
// orphan that has hidden whose it is counts once no plugin is left.
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

// socketsOf reads the socket folder from the environment that a process was
// started with; empty where it has none.
func socketsOf(pid int) string {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "" // it has ended, or hides
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

// orphans lists the children of this process that it did not start.
func orphans() []orphan {
	files, err := os.ReadDir("/proc")
	if err != nil {
		return nil // without /proc nothing can be found
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
		// The name, in brackets, may hold anything: "7 (a) b) S 1 7 …".
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
