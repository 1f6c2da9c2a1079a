package cli_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// served starts a command that serves a page, and reads the page's address from what it prints.
// ended waits until the command ends, and returns what it has printed since.
func served(t *testing.T, args ...string) (command *exec.Cmd, url string, ended func() (stdout, stderr string, code int)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command = exec.Command(self, args...)
	command.Env = append(os.Environ(), asProgram+"=1")
	var out strings.Builder
	command.Stdout = &out
	pipe, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(pipe)
	line, err := lines.ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "the page is at ")
	if !found {
		_ = command.Process.Kill() // the test has failed already
		t.Fatalf("the command wrote %q first, %v, want the address of the page", line, err)
	}
	return command, url, func() (string, string, int) {
		t.Helper()
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		err = command.Wait()
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		return out.String(), string(rest), code
	}
}

// page waits until the page has the words in it. If the server has ended, the test fails.
func page(t *testing.T, url, words string) {
	t.Helper()
	text := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(url)
		if err != nil {
			t.Fatalf("no %q before the server ended; last\n%s", words, text)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if text = string(body); err == nil && strings.Contains(text, words) {
			return
		}
	}
	t.Fatalf("there is no %q in\n%s", words, text)
}

// TestWatch checks that watch serves until Ctrl-C, exits with 0, and makes no files.
func TestWatch(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "runs")
	command, url, ended := served(t, "watch", "--runs", folder, "--suite", "demo")
	page(t, url, "as soon as you run: bittern run --suite demo --runs "+folder)
	_, stderr, code := run(t, nil, "watch", "--runs", folder, "--address", strings.Trim(strings.TrimPrefix(url, "http://"), "/"))
	if code != 2 || !strings.Contains(stderr, "is in use by another program") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("a second one on the same port: exit code %d, stderr %q, want 2 and one sentence", code, stderr)
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if stdout, _, code := ended(); code != 0 || stdout != "" {
		t.Errorf("after Ctrl-C: exit code %d, stdout %q, want 0 and nothing", code, stdout)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of runs: %v, want none", err)
	}
}

// TestRunServesItsPage checks that a run serves its page, which changes while it trains, until
// it ends.
func TestRunServesItsPage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	suite, slow := slowRun(t, folder)
	if err := os.WriteFile(slow, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	runs := filepath.Join(folder, "runs")
	_, url, ended := served(t, "run", "--suite", suite, "--runs", runs, "--watch")
	page(t, url, ">step ")
	watcher, watching, watched := served(t, "watch", "--runs", runs) // another process serves the same
	page(t, watching, "training loss")
	if err := os.Remove(slow); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := ended()
	if code != 0 || !strings.Contains(stdout, "## Results") {
		t.Errorf("exit code %d, stdout %q, stderr %q, want the tables", code, stdout, stderr)
	}
	page(t, watching, "1 of 1 experiments done")
	if err := watcher.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := watched(); code != 0 {
		t.Errorf("the other process: exit code %d, stderr %q, want 0", code, stderr)
	}
}
