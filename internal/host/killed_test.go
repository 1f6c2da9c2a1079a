package host_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"bittern/internal/arena"
	"bittern/internal/host"
	"bittern/plugins"
)

// waitToBeKilled is the host that TestKilledHost kills. It starts the plugin, prints that it
// did, and waits.
func waitToBeKilled(name string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	catalogue, err := host.NewCatalogue([]plugins.ID{{Kind: plugins.KindQuantizer, Name: name}}, "")
	fail(err)
	shared, err := arena.Create("", 1)
	fail(err)
	q, err := catalogue.Quantizer(context.Background(), name, host.Settings{Arena: shared})
	fail(err)
	fmt.Println(q.Pid(), shared.Files()[0])
	select {}
}

// TestKilledHost kills a host without warning. The plugin must end, the next start must remove
// the arena, and no temporary file may be left of either.
func TestKilledHost(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder, temporary := t.TempDir(), t.TempDir()
	command := exec.Command(self)
	command.Env = append(os.Environ(), hostVariable+"=null", arena.FolderVariable+"="+folder, "TMPDIR="+temporary)
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	var file string
	if _, err := fmt.Sscan(line, &pid, &file); err != nil {
		t.Fatalf("the host said %q: %v", line, err)
	}
	if !running(t, pid) {
		t.Fatalf("the plugin, process %d, does not run before its host is killed", pid)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // the error says that a signal ended it

	for end := time.Now().Add(time.Minute); running(t, pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the plugin, process %d, still runs a minute after its host was killed", pid)
		}
	}
	if removed := arena.Sweep(folder); !slices.Contains(removed, file) {
		t.Errorf("Sweep removed %q, want %s among them", removed, file)
	}
	left, err := os.ReadDir(temporary)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left in the folder for temporary files, want nothing", entry.Name())
	}
}

// running reports whether a process runs. A process that has ended but has not been reaped does
// not.
func running(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if os.IsNotExist(err) {
		if _, err := os.Stat("/proc/self/stat"); err != nil {
			t.Skip("killed hosts not tried: there is no /proc to see processes by")
		}
		return false
	}
	if err != nil {
		return false // it ended meanwhile
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
