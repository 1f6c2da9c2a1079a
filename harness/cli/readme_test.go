package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bittern/harness/dataset"
)

// blocks finds the README's fenced blocks of one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	return found
}

// leastCommands is below the number of commands in the README, so that a change
// of its form, after which this test would find none, is noticed.
const leastCommands = 12

// corpusOfReadme is what the README's reproduction is trained on.
const corpusOfReadme = "warpeace"

// smallPaper stands for the suite paper, which takes minutes even to plan, and
// smallBudget for its budget.
const (
	smallPaper = `name: paper-small
seeds: [1]
tasks: [{data: gostd, batch: 4, length: 10}]
models: [{plugin: lstm, options: [units=8]}]
quantizers: [{plugin: stochastic-ternary}]
backends: [{plugin: asic-lowpower}]
training: {learning_rate: 0.01, epochs: 1, steps: 3}
`
	smallBudget = "20ms"
)

// needsCorpus says whether a command cannot be run without corpusOfReadme. Listing
// the data sets can.
func needsCorpus(line string) bool { return strings.Contains(line, "--suite char-small") }

// TestReadme runs every command of the README, in order, in the project's root;
// those that need a corpus are skipped where it is not beside the project. What would
// take minutes is made small by the environment variables of its flags, and where
// they cannot, by smallPaper, smallBudget and fewer units. Nothing is left behind.
func TestReadme(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, yaml := range blocks(t, "yaml") {
		if err := os.WriteFile(filepath.Join(folder, "mine.yaml"), []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "paper.yaml"), []byte(smallPaper), 0o600); err != nil {
		t.Fatal(err)
	}
	narrowed(t, filepath.Join(root, "harness", "suite", "suites", "char-small.yaml"), filepath.Join(folder, "char-small.yaml"))
	environment := append(os.Environ(),
		asProgram+"=1", "BITTERN_STEPS=2", "BITTERN_BYTES=16000", "BITTERN_DRAWS=1", "BITTERN_CALIBRATION=1", "BITTERN_BACKENDS=cpu", "BITTERN_SMALLEST=true", "BITTERN_THREADS=1",
		"BITTERN_RUNS="+filepath.Join(folder, "runs"), "BITTERN_ONLY=portable", "BITTERN_FORMAT=json")
	absent := missing(t, corpusOfReadme, filepath.Join(root, "..", "shared", "data"))
	found := 0
	for _, block := range blocks(t, "sh") {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			found++
			t.Run(line, func(t *testing.T) {
				if absent != "" && needsCorpus(line) {
					t.Skipf("skipped %q: %s", line, absent)
				}
				readmeCommand(t, root, folder, environment, line)
			})
		}
	}
	if found < leastCommands {
		t.Errorf("found %d commands in the README, want at least %d", found, leastCommands)
	}
}

// narrowed copies a suite with fewer units, which are what its time goes to.
func narrowed(t *testing.T, from, to string) {
	t.Helper()
	const units, fewer = "units=512", "units=16"
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), units) {
		t.Fatalf("%s has no %s; say here what makes it quick to train", from, units)
	}
	if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), units, fewer)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// missing says why a corpus is not to be had in a folder, or nothing.
func missing(t *testing.T, name, folder string) string {
	t.Helper()
	for _, status := range dataset.List(t.Context(), folder) {
		if status.Name == name {
			return status.Missing
		}
	}
	t.Fatalf("there is no corpus named %s", name)
	return ""
}

func readmeCommand(t *testing.T, root, folder string, environment []string, line string) {
	t.Helper()
	words := strings.Fields(line)
	var command *exec.Cmd
	switch {
	case line == "go install .":
		// Only whether Go takes the command: linking takes longer than all others.
		command = exec.Command("go", "install", "-n", ".")
	case strings.HasPrefix(line, "go run . "), strings.HasPrefix(line, "bittern "):
		// The test binary is the program; see TestMain.
		if words[0] == "bittern" {
			words = append([]string{"go", "run", "."}, words[1:]...)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		arguments := words[3:]
		for i, word := range arguments {
			switch {
			case word == "mine.yaml", strings.HasPrefix(word, "plugins.local"):
				arguments[i] = filepath.Join(folder, word)
			case word == "paper", word == "char-small":
				arguments[i] = filepath.Join(folder, word+".yaml")
			case word == "--budget":
				environment = slices.DeleteFunc(slices.Clone(environment), func(v string) bool { return strings.HasPrefix(v, "BITTERN_STEPS=") })
				arguments[i+1] = smallBudget
			}
		}
		command = exec.Command(self, arguments...)
		command.Env = environment
		if words[3] == "bench" {
			// The runs of bench are a number, not a folder.
			command.Env = append(environment, "BITTERN_RUNS=1")
		}
		if !slices.Contains([]string{"bench", "demo", "plan", "report", "run"}, words[3]) {
			command.Env = append(environment, "BITTERN_FORMAT=markdown")
		}
	case line == "go test ./...":
		return // this test is part of it
	case strings.HasPrefix(line, "go build -o plugins.local/"):
		words[3] = filepath.Join(folder, words[3])
		command = exec.Command(words[0], words[1:]...)
	default:
		t.Fatalf("the README has the command %q, which this test cannot run; teach it, or write it otherwise", line)
	}
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, output)
	}
}
