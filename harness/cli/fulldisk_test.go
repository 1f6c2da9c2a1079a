package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRunOnAFullDisk fills the disk while a suite runs: the run must end with one sentence. When
// there is space again, the same command must give the numbers of a run that was not disturbed.
func TestRunOnAFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	suite, _ := slowRun(t, folder)
	undisturbed, _, code := run(t, nil, "run", "--suite", suite, "--runs", filepath.Join(folder, "undisturbed"), "--format", "csv")
	if code != 0 {
		t.Fatalf("the undisturbed run exits with %d, want 0", code)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runs := filepath.Join(folder, "small")
	if err := os.Mkdir(runs, 0o700); err != nil {
		t.Fatal(err)
	}
	// The mounted file system is visible only to these processes.
	const mount = `mount -t tmpfs -o size="$1" none "$2" || exit 99`
	if err := exec.Command("unshare", "-rm", "sh", "-c", mount, "sh", "64k", runs).Run(); err != nil {
		t.Skipf("full disk not tried: no file system of its own can be made for it (%v)", err)
	}
	for _, size := range []string{"4k", "80k", "112k"} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			const twice = mount + `
shift 2
"$@" 2>"$HOME/full"
echo $? >"$HOME/code"
mount -o remount,size=16m "$RUNS" && exec "$@"`
			home := t.TempDir()
			command := exec.Command("unshare", "-rm", "sh", "-c", twice, "sh", size, runs,
				self, "run", "--suite", suite, "--runs", runs, "--format", "csv")
			command.Env = append(os.Environ(), asProgram+"=1", "HOME="+home, "RUNS="+runs)
			var stdout, stderr bytes.Buffer
			command.Stdout, command.Stderr = &stdout, &stderr
			if err := command.Run(); err != nil {
				t.Errorf("the run that goes on with room again: %v: %s", err, stderr.String())
			}
			code, message := content(t, filepath.Join(home, "code")), content(t, filepath.Join(home, "full"))
			if code != "2\n" || strings.Count(message, "\n") != 1 || !strings.HasPrefix(message, "the disk is full: "+runs) {
				t.Errorf("on a disk of %s the run exits with %sand says %q, want 2 and one sentence that the disk is full", size, code, message)
			}
			if diff := cmp.Diff(undisturbed, stdout.String()); diff != "" {
				t.Errorf("the table of the run that goes on differs (-undisturbed +this):\n%s", diff)
			}
		})
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOutputToAFullDisk checks that the error is one sentence if standard output is a file on a
// full disk.
func TestOutputToAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full to write to: ", err)
	}
	defer full.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"version"}, {"data", "list"}, {"data", "list", "--format", "json"}} {
		command := exec.Command(self, args...)
		command.Env = append(os.Environ(), asProgram+"=1")
		var stderr strings.Builder
		command.Stdout, command.Stderr = full, &stderr
		err := command.Run()
		const want = "the disk is full: standard output could not be written; "
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.HasPrefix(stderr.String(), want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("bittern %s: %v, saying %q; want exit code 2 and one sentence that begins with %q", strings.Join(args, " "), err, stderr.String(), want)
		}
	}
}
