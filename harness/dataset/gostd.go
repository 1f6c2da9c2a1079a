package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bittern/plugins"
)

const (
	goStandardLibraryName  = "gostd"
	goStandardLibraryTrain = 80 // percent
)

// goStandardLibraryPackages are the packages whose sources make up the text,
// about 2 MB. All are covered by the Go 1 promise, so every toolchain has them.
var goStandardLibraryPackages = []string{
	"bufio", "bytes", "compress/flate", "container/list", "context", "encoding/binary",
	"fmt", "go/ast", "go/parser", "go/printer", "go/scanner", "go/token", "io", "os",
	"reflect", "regexp", "sort", "strconv", "strings", "sync", "sync/atomic",
	"text/template", "text/template/parse", "time",
}

// goStandardLibrary is the source of the Go standard library as found on this
// machine: code much like the Linux kernel's, which every builder of the project
// has. Its bytes depend on the release, so figures belong to their checksum.
type goStandardLibrary struct{}

func (goStandardLibrary) describe() Set {
	return Set{
		Name: goStandardLibraryName, Shape: ShapeText, Status: Toolchain,
		Summary: "source of the Go standard library, about 2 MB",
		Split:   byPosition(goStandardLibraryTrain),
		Licence: "BSD-3-Clause",
		Note:    "differs from one Go release to the next",
	}
}

func (goStandardLibrary) locate(ctx context.Context, _ string) ([]string, error) {
	toolchain, err := findToolchain(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; data set %s is loaded in its place", err, grammarName)
	}
	return []string{toolchain.sources}, nil
}

func (goStandardLibrary) load(ctx context.Context, dataDir string, maxBytes int) (*Text, error) {
	toolchain, err := findToolchain(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		text, grammarErr := grammar{}.load(ctx, dataDir, maxBytes)
		if grammarErr != nil {
			return nil, grammarErr
		}
		text.Note = withRemark(text.Note, fmt.Sprintf("in place of %s: %s", goStandardLibraryName, err))
		return text, nil
	}
	content, err := toolchain.read(goStandardLibraryPackages)
	if err != nil {
		return nil, plugins.Problemf("data set %s: the sources of %s cannot be read (%s); repair the Go installation or choose the data set %s",
			goStandardLibraryName, toolchain.version, err, grammarName)
	}
	return fromOneText(goStandardLibraryName, content, maxBytes, goStandardLibraryTrain,
		"standard library of "+toolchain.version), nil
}

// toolchain is an installed Go distribution with sources.
type toolchain struct {
	version string // such as go1.26.0
	sources string // GOROOT/src
}

// toolchainDeadline bounds `go env`, which takes milliseconds.
const toolchainDeadline = 30 * time.Second

// findToolchain asks the go command, as runtime.GOROOT is empty in a binary
// built with -trimpath.
func findToolchain(ctx context.Context) (toolchain, error) {
	ctx, cancel := context.WithTimeout(ctx, toolchainDeadline)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION")
	// Away from any go.mod, whose toolchain line could start a download.
	command.Dir = os.TempDir()
	command.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off")
	out, err := command.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return toolchain{}, errors.New("no go command on PATH")
	}
	if err != nil {
		return toolchain{}, fmt.Errorf("`go env` failed (%w)", err)
	}
	root, version, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !ok {
		return toolchain{}, fmt.Errorf("`go env GOROOT GOVERSION` answered %q", out)
	}
	found := toolchain{version: strings.TrimSpace(version), sources: filepath.Join(strings.TrimSpace(root), "src")}
	if info, err := os.Stat(found.sources); err != nil || !info.IsDir() {
		return toolchain{}, fmt.Errorf("the Go installation has no sources in %s", found.sources)
	}
	return found, nil
}

// read joins the non-test Go files of the packages, ordered by path.
func (t toolchain) read(packages []string) ([]byte, error) {
	var files []string
	for _, name := range packages {
		entries, err := os.ReadDir(filepath.Join(t.sources, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			file := entry.Name()
			if entry.Type().IsRegular() && strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") {
				files = append(files, path.Join(name, file))
			}
		}
	}
	slices.Sort(files)
	var joined bytes.Buffer
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(t.sources, filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		joined.Write(content)
	}
	return joined.Bytes(), nil
}
