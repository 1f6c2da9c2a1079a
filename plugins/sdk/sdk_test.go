package sdk_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"bittern/internal/null"
	"bittern/internal/wire"
	"bittern/plugins"
	"bittern/plugins/sdk"
)

// TestMain lets the test binary be a plugin.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "plugin" {
		sdk.ServeQuantizer(null.NewQuantizer())
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, environment ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "plugin")
	// The host gives a plugin a folder for its socket and removes it. Here the test
	// does: a plugin whose host is gone leaves its socket.
	sockets, err := os.MkdirTemp("", "sdk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(sockets); err != nil {
			t.Error(err)
		}
	})
	c.Env = append(append(os.Environ(), "PLUGIN_UNIX_SOCKET_DIR="+sockets), environment...)
	return c
}

// TestRunByHand sees that somebody who starts a plugin like a program is told
// what to do.
func TestRunByHand(t *testing.T) {
	t.Parallel()
	c := command(t)
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if c.ProcessState == nil || c.ProcessState.ExitCode() != 2 {
		t.Errorf("run by hand: %v, want exit status 2", err)
	}
	if got, want := stderr.String(), "this is a Bittern plugin: name its folder with --plugins and itself in a suite, and let bittern start it\n"; got != want {
		t.Errorf("stderr = %q, want %q", got, want)
	}
	if got := stdout.String(); got != "" {
		t.Errorf("stdout = %q, want nothing", got)
	}
}

// TestEndsWithStdin sees that a plugin ends when the pipe to its host does, the
// one sign of the host's death that every system gives.
func TestEndsWithStdin(t *testing.T) {
	t.Parallel()
	c := command(t, wire.Handshake.MagicCookieKey+"="+wire.Handshake.MagicCookieValue, "PLUGIN_PROTOCOL_VERSIONS=1")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if parts := strings.Split(line, "|"); len(parts) < 5 || parts[0] != "1" || parts[1] != strconv.Itoa(plugins.APIVersion) || parts[4] != "grpc" {
		t.Errorf("handshake = %q, want 1|%d|network|address|grpc", line, plugins.APIVersion)
	}
	ended := make(chan error, 1)
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		ended <- c.Wait()
	}()
	select {
	case err := <-ended:
		t.Fatalf("the plugin ended by itself (%v), want it to wait for its host", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = c.Process.Kill()
		t.Error("the plugin still runs a minute after its stdin ended")
	}
}
