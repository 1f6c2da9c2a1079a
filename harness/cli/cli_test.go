package cli_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bittern/builtin"
	"bittern/harness/cli"
	"bittern/harness/internal/testplugin"
	"bittern/harness/store"
	"bittern/harness/suite"
	"bittern/internal/null"
	"bittern/internal/testexec"
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
)

// bittern is the program, with the test plugins as built-in plugins.
func bittern() {
	builtins := builtin.Plugins()
	for _, id := range testplugin.IDs {
		builtins = append(builtins, cli.Builtin{
			ID:       id,
			Serve:    func() { testplugin.Serve([]string{"", "plugin", id.String()}) },
			Describe: func(ctx context.Context) (plugins.Description, error) { return testplugin.Describe(ctx, id) },
		})
	}
	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr, builtins))
}

// asProgram is the environment variable that makes the test binary run as the program.
const asProgram = "BITTERN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	// The program starts itself to serve plugins. Under go test, this binary is the program,
	// whatever its name is.
	if len(os.Args) == 3 && os.Args[1] == "plugin" || os.Getenv(asProgram) != "" {
		bittern()
	}
	testscript.Main(m, map[string]func(){
		"bittern":                 bittern,
		"bittern-quantizer-penny": func() { sdk.ServeQuantizer(penny{null.NewQuantizer()}) },
	})
}

// penny is an external plugin; scripts find it on PATH.
type penny struct{ quantizer.Quantizer }

func (p penny) Describe(ctx context.Context) (plugins.Description, error) {
	d, err := p.Quantizer.Describe(ctx)
	d.Name = "penny"
	return d, err
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		// Some of a script's files are executables.
		Setup: func(*testscript.Env) error { testexec.Wait(); return nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       exits,
			"checksum":    checksum,
			"damage":      damage,
			"empty":       empty,
			"exchange":    exchange,
			"log":         searchLog,
			"firstid":     firstID,
			"newerstore":  newerStore,
			"oneline":     oneLine,
			"withoutbest": withoutBest,
		},
	})
}

// exits runs a command that must exit with a code: exits CODE COMMAND ARG…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%q exited with %d, want %d\nstdout: %s\nstderr: %s", args[1:], got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// oneLine checks that standard error is one line, which says what to do.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	stderr := ts.ReadFile("stderr")
	if n := bytes.Count([]byte(stderr), []byte("\n")); n != 1 {
		ts.Fatalf("stderr has %d lines, want one sentence:\n%s", n, stderr)
	}
	if stdout := ts.ReadFile("stdout"); stdout != "" {
		ts.Fatalf("stdout is not empty:\n%s", stdout)
	}
}

// newerStore makes a run store of a version that no program knows yet.
func newerStore(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", filepath.Join(ts.MkAbs(args[0]), store.FileName))
	ts.Check(err)
	_, err = db.Exec(`PRAGMA application_id = 0x4274726e; PRAGMA user_version = 99; CREATE TABLE experiments (id TEXT)`)
	ts.Check(errors.Join(err, db.Close()))
}

// empty checks that a folder is empty.
func empty(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %v, want nothing", args[0], entries)
	}
}

// searchLog checks that the log of the only experiment in a folder of runs has a line: log
// FOLDER PATTERN
func searchLog(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*", "log"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%s holds %d logs, want one", args[0], len(files))
	}
	text, err := os.ReadFile(files[0])
	ts.Check(err)
	if !regexp.MustCompile("(?m)" + args[1]).Match(text) {
		ts.Fatalf("the log has no line %s:\n%s", args[1], text)
	}
}

// damage overwrites the only file that a pattern matches.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%s matches %d files, want one", args[0], len(files))
	}
	ts.Check(os.WriteFile(files[0], []byte("{\n"), 0o600))
}

// withoutBest removes the best network of the only experiment in a folder of runs.
func withoutBest(ts *testscript.TestScript, neg bool, args []string) {
	folders, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*", "best"))
	ts.Check(err)
	if len(folders) != 1 {
		ts.Fatalf("%s holds %d best networks, want one", args[0], len(folders))
	}
	ts.Check(os.RemoveAll(folders[0]))
}

// firstID reads standard output and sets ID to the ID of the first experiment, and PREFIX to the
// first digits of it.
func firstID(ts *testscript.TestScript, neg bool, args []string) {
	id := regexp.MustCompile(`[0-9a-f]{16}`).FindString(ts.ReadFile("stdout"))
	if id == "" {
		ts.Fatalf("there is no ID on standard output")
	}
	ts.Setenv("ID", id)
	ts.Setenv("PREFIX", id[:6])
}

// exchange swaps the checkpoints of the two experiments in a folder of runs.
func exchange(ts *testscript.TestScript, neg bool, args []string) {
	folders, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*", "last"))
	ts.Check(err)
	if len(folders) != 2 {
		ts.Fatalf("%s holds %d checkpoints, want two", args[0], len(folders))
	}
	aside := folders[0] + "-aside"
	ts.Check(errors.Join(os.Rename(folders[0], aside), os.Rename(folders[1], folders[0]), os.Rename(aside, folders[1])))
}

// checksum replaces CHECKSUM in a file by the SHA-256 of an executable.
func checksum(ts *testscript.TestScript, neg bool, args []string) {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	executable, err := os.ReadFile(path)
	ts.Check(err)
	text := strings.ReplaceAll(ts.ReadFile(args[1]), "CHECKSUM", fmt.Sprintf("%x", sha256.Sum256(executable)))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// TestFlagsOfKeysAreFlagsOfRun checks that run has every flag which the list of a suite's keys
// names.
func TestFlagsOfKeysAreFlagsOfRun(t *testing.T) {
	t.Parallel()
	help, _, code := run(t, nil, "run", "--help")
	if code != 0 {
		t.Fatalf("run --help exited with %d", code)
	}
	flags := 0
	for _, key := range suite.Keys() {
		if key.Flag == "" {
			continue
		}
		flags++
		if !strings.Contains(help, " --"+key.Flag+" ") {
			t.Errorf("key %s has the flag --%s, which run does not have", key.Name, key.Flag)
		}
	}
	if flags != 8 {
		t.Errorf("%d keys have a flag, want the 8 that suite.Override replaces", flags)
	}
}

const slowSuite = `
name: slow
seeds: [1]
threads: 1
tasks:
  - {data: grammar, bytes: 1500, batch: 7, length: 23}
models:
  - {plugin: bigram, options: [pause=500, "while=%s"]}
quantizers:
  - {plugin: coin}
backends:
  - {plugin: oracle}
training: {learning_rate: 0.05, epochs: 8}
`

// slowRun writes a suite whose 56 steps take half a minute as long as a file exists, and no
// time otherwise. It returns both paths; the file does not exist yet.
func slowRun(t *testing.T, folder string) (suite, slow string) {
	t.Helper()
	suite, slow = filepath.Join(folder, "slow.yaml"), filepath.Join(folder, "slow")
	if err := os.WriteFile(suite, fmt.Appendf(nil, slowSuite, slow), 0o600); err != nil {
		t.Fatal(err)
	}
	return suite, slow
}

// TestInterrupt checks that an interrupted run finishes its step, saves, says how to go on, and
// exits with 130; and that the run which goes on prints the table of one that was never
// interrupted.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	suite, slow := slowRun(t, folder)
	undisturbed, _, code := run(t, nil, "run", "--suite", suite, "--runs", filepath.Join(folder, "undisturbed"), "--format", "csv")
	if code != 0 {
		t.Fatalf("the undisturbed run exited with %d", code)
	}

	runs := filepath.Join(folder, "runs")
	if err := os.WriteFile(slow, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	interrupt := func(command *exec.Cmd) {
		for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
			files, err := filepath.Glob(filepath.Join(runs, "*", "steps.jsonl"))
			if err == nil && len(files) == 1 {
				if content, err := os.ReadFile(files[0]); err == nil && bytes.Count(content, []byte("\n")) >= 3 {
					break
				}
			}
			if time.Now().After(end) {
				t.Error("there are no three steps after a minute")
				break
			}
		}
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
	stdout, stderr, code := run(t, interrupt, "run", "--suite", suite, "--runs", runs, "--format", "csv")
	if code != 130 || stdout != "" || !bytes.Contains([]byte(stderr), []byte("run the same command again to go on")) {
		t.Errorf("interrupted: exit code %d, stdout %q, stderr %q, want 130, nothing, and how to go on", code, stdout, stderr)
	}
	saved, err := filepath.Glob(filepath.Join(runs, "*", "last", "checkpoint.json"))
	if err != nil || len(saved) != 1 {
		t.Errorf("checkpoints after the interrupt: %v, %v, want one", saved, err)
	}
	if err := os.Remove(slow); err != nil {
		t.Fatal(err)
	}
	again, stderr, code := run(t, nil, "run", "--suite", suite, "--runs", runs, "--format", "csv")
	if code != 0 || again != undisturbed {
		t.Errorf("gone on: exit code %d, stderr %q, table\n%s\nwant that of the undisturbed run\n%s", code, stderr, again, undisturbed)
	}
}

// run runs the program, and calls meanwhile while it runs.
func run(t *testing.T, meanwhile func(*exec.Cmd), args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	command := exec.Command(self, args...)
	command.Env = append(os.Environ(), asProgram+"=1")
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile(command)
	}
	if err := command.Wait(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(fmt.Errorf("run %v: %w", args, err))
		}
		code = exit.ExitCode()
	}
	return out.String(), errs.String(), code
}
