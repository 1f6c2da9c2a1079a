package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bittern/harness/cluster"
	"bittern/harness/dataset"
	"bittern/harness/scaffold"
	"bittern/internal/testexec"
)

// TestDocs runs the examples of README.md and of every page in docs. It types the `sh` blocks of
// a page line by line into a shell, in a folder beside the data sets:
//
//   - `bittern …` and `go run . …` run this program. Environment variables of its flags, and
//     shrink, make fast what would take minutes.
//   - A `yaml` block with a title, as in ```yaml title="mine.yaml", is a file of that name in
//     the folder.
//   - `nats://host:4222` is a server that is started for the page. A `bittern worker` there goes
//     on beside what is typed next, until the page is done.
//   - A `go` block must be an excerpt of the source file that its title names.
//
// Commands whose data set is not beside the project are skipped. No file is left behind.
func TestDocs(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(pages, filepath.Join(root, "README.md")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			testPage(t, root, string(text))
		})
	}
}

// block is a fenced block of a page.
type block struct{ language, title, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]+)(?: title=\"([^\"]+)\")?\n(.*?)^```")

func testPage(t *testing.T, root, text string) {
	var blocks []block
	for _, match := range fence.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{match[1], match[2], match[3]})
	}
	if opened := strings.Count("\n"+text, "\n```"); opened != 2*len(blocks) {
		t.Fatalf("%d lines begin or end a fenced block, and %d blocks were read; a block begins as in ```sh or ```go title=\"main.go\"", opened, len(blocks))
	}
	desk := newDesk(t, root)
	for _, b := range blocks {
		switch b.language {
		case "yaml":
			if b.title == "" {
				t.Errorf("a yaml block has no title that says what file it is:\n%s", b.text)
				continue
			}
			if err := os.WriteFile(filepath.Join(desk.folder, b.title), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case "go":
			file, err := os.ReadFile(filepath.Join(root, b.title))
			if err != nil || !strings.Contains(string(file), b.text) {
				t.Errorf("a go block is no excerpt of the file %q of its title (%v):\n%s", b.title, err, b.text)
			}
		}
	}
	for _, b := range blocks {
		if b.language != "sh" {
			continue
		}
		for line := range strings.Lines(b.text) {
			line, _, _ = strings.Cut(line, "   #")
			desk.run(t, strings.TrimSpace(line))
		}
	}
}

// desk is where the commands of a page are typed.
type desk struct {
	root        string // of the project
	folder      string // of the files that the page names
	at          string // the working directory, after the last cd
	environment []string
	absent      map[string]string // why there is no data set, empty if there is, by the suite that needs it
	python      bool              // there is a python3 with the modules that a plugin needs
	nats        string            // URL of the server that was started for the page; empty if none was
}

// pythonFolder is the folder of the Python plugin that a page makes.
const pythonFolder = "mine-too"

// dataOfDocs are the data sets that the suites of the pages use.
var dataOfDocs = map[string]string{"char-small": "warpeace", "paper-hardware": "mnist"}

// smallPaper replaces the suite paper, which takes minutes even to plan.
const smallPaper = `name: paper-small
seeds: [1]
tasks: [{data: gostd, batch: 4, length: 10}]
models: [{plugin: lstm, options: [units=8]}]
quantizers: [{plugin: stochastic-ternary}]
backends: [{plugin: asic-lowpower}]
training: {learning_rate: 0.01, epochs: 1, steps: 3}
`

// shrink makes commands fast for which no environment variable does.
var shrink = strings.NewReplacer(
	"--suite paper ", "--suite paper-small.yaml ", "--budget 2m", "--budget 500ms",
	"--suite char-small ", "--suite char-small.yaml ")

// narrowed returns the text of a suite with fewer units, which take most of its time.
func narrowed(t *testing.T, path string) string {
	t.Helper()
	const units, fewer = "units=512", "units=16"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), units) {
		t.Fatalf("%s has no %s; say here what makes it quick to train", path, units)
	}
	return strings.ReplaceAll(string(text), units, fewer)
}

// newDesk makes a folder with this program on PATH and the data sets beside it.
func newDesk(t *testing.T, root string) *desk {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	above := t.TempDir()
	d := &desk{root: root, folder: filepath.Join(above, "work")}
	d.at = d.folder
	programs, shared := filepath.Join(above, "bin"), filepath.Join(root, "..", "shared")
	for _, folder := range []string{d.folder, programs} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(shared); err == nil {
		if err := os.Symlink(shared, filepath.Join(above, "shared")); err != nil {
			t.Fatal(err)
		}
	}
	d.absent = map[string]string{}
	for suite, data := range dataOfDocs {
		d.absent[suite] = missing(t, data, filepath.Join(shared, "data"))
	}
	for path, content := range map[string]string{
		filepath.Join(programs, "bittern"):          fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asProgram, self),
		filepath.Join(d.folder, "paper-small.yaml"): smallPaper,
		filepath.Join(d.folder, "char-small.yaml"):  narrowed(t, filepath.Join(root, "harness", "suite", "suites", "char-small.yaml")),
	} {
		testexec.Write(t, path, []byte(content))
	}
	var path string
	path, d.python = pythonPath()
	d.environment = append(os.Environ(),
		"PATH="+programs+string(filepath.ListSeparator)+path, "GOPROXY=off",
		"BITTERN_DRAWS=1", "BITTERN_CALIBRATION=1", "BITTERN_BACKENDS=cpu", "BITTERN_SMALLEST=true", "BITTERN_THREADS=1",
		"BITTERN_ONLY=portable")
	return d
}

// missing says why a data set cannot be had in a folder; empty if it can.
func missing(t *testing.T, name, folder string) string {
	t.Helper()
	for _, status := range dataset.List(t.Context(), folder) {
		if status.Name == name {
			return status.Missing
		}
	}
	t.Fatalf("there is no data set named %s", name)
	return ""
}

// run runs one line.
func (d *desk) run(t *testing.T, line string) {
	words := strings.Fields(line)
	switch {
	case len(words) == 0 || line == "go test ./...": // runs this test too
		return
	case line == "go install .": // would write to the user's own folder
		t.Run(line, func(t *testing.T) {
			if output, err := exec.Command("go", "install", "-n", d.root).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, output)
			}
		})
		return
	case words[0] == "cd" && len(words) == 2:
		d.at = filepath.Join(d.at, words[1])
		return
	}
	if strings.Contains(line, hostOfDocs) {
		line = strings.ReplaceAll(line, hostOfDocs, d.server(t))
	}
	if len(words) > 1 && words[0] == "bittern" && words[1] == "worker" {
		d.beside(t, line)
		return
	}
	t.Run(line, func(t *testing.T) {
		// Listing the data sets works without them.
		for suite, absent := range d.absent {
			if absent != "" && strings.Contains(line, "--suite "+suite) {
				t.Skipf("skipped %q: %s", line, absent)
			}
		}
		if !d.python && strings.Contains(line, "--plugins "+pythonFolder) {
			t.Skip(noPython)
		}
		text := strings.TrimSpace(shrink.Replace(strings.Replace(line, "go run . ", "bittern ", 1) + " "))
		if !slices.Contains([]string{"bittern", "go"}, strings.Fields(text)[0]) {
			t.Fatalf("the page has the command %q, which this test cannot run; teach it, or write it otherwise", line)
		}
		c := exec.Command("sh", "-c", text)
		c.Dir, c.Env = d.at, append(slices.Clone(d.environment), variables(text, d.folder)...)
		if output, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, output)
		}
	})
}

// hostOfDocs is the NATS server of a page.
const hostOfDocs = "nats://host:4222"

// server starts a NATS server for the page, once.
func (d *desk) server(t *testing.T) string {
	t.Helper()
	if d.nats == "" {
		s, err := cluster.StartServer(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		d.nats = s.URL()
	}
	return d.nats
}

// beside runs a line until the page is done.
func (d *desk) beside(t *testing.T, line string) {
	t.Helper()
	c := exec.Command("sh", "-c", "exec "+line)
	c.Dir, c.Env = d.at, d.environment
	var output strings.Builder
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if _ = c.Wait(); c.ProcessState.ExitCode() != 130 {
			t.Errorf("%s: exit code %d, want that of an interrupt\n%s", line, c.ProcessState.ExitCode(), output.String())
		}
	})
}

// variables returns the environment variables that only some commands may have.
func variables(command, folder string) []string {
	subcommand := strings.Fields(command + " .")[1]
	var list []string
	if !strings.Contains(command, scaffold.SuiteFile) { // the task of that suite has no text
		list = append(list, "BITTERN_BYTES=16000")
	}
	if !strings.Contains(command, "--budget") {
		list = append(list, "BITTERN_STEPS=2")
	}
	if slices.Contains([]string{"bench", "demo", "plan", "report", "run"}, subcommand) && !strings.Contains(command, "--output") {
		list = append(list, "BITTERN_FORMAT=json")
	}
	if subcommand == "bench" {
		return append(list, "BITTERN_RUNS=1") // a number of runs here, not a folder
	}
	return append(list, "BITTERN_RUNS="+filepath.Join(folder, "runs"))
}
