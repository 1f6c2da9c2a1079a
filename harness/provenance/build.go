package provenance

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Build says what this program was built from.
type Build struct {
	Version  string `json:"version,omitempty"` // of the release; empty where it is none
	Commit   string `json:"commit"`            // Unknown outside a checkout and without a stamp in the executable
	Modified bool   `json:"modified"`          // the sources differ from Commit
	Date     string `json:"date,omitempty"`    // of the commit, RFC 3339 in UTC; empty where it is not known
	Go       string `json:"go"`
}

// Unknown stands for a commit that cannot be told.
const Unknown = "unknown"

// A release sets these with -ldflags "-X bittern/harness/provenance.version=…". They
// come before what the Go toolchain has written into the executable.
var version, commit, date string

// CollectBuild describes this program: by the stamps of a release, else by those of the Go
// toolchain, else by git where go run or go test has just built it from the checkout that
// it is run in.
func CollectBuild(ctx context.Context) Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	b := readStamps(Build{Version: version, Commit: commit, Date: date}, info)
	if b.Commit != Unknown {
		return b
	}
	if path, err := os.Executable(); err == nil && justBuilt(path) {
		if root, ok := checkout(); ok {
			b.askGit(ctx, root)
		}
	}
	return b
}

// cached is the folder that go run keeps an executable in: its hash, and -d.
var cached = regexp.MustCompile(`^[0-9a-f]{64}-d$`)

// justBuilt says whether go run or go test has built an executable, by its path: in a
// temporary folder go-build… or in the cache of builds. Any other may be of other sources
// than those of the folder that it is run in.
func justBuilt(path string) bool {
	return slices.ContainsFunc(strings.Split(filepath.ToSlash(path), "/"), func(folder string) bool {
		return strings.HasPrefix(folder, "go-build") || cached.MatchString(folder)
	})
}

// readStamps adds what the Go toolchain has written into an executable to what the release has.
func readStamps(b Build, info *debug.BuildInfo) Build {
	b.Go = runtime.Version()
	if b.Commit == "" {
		b.Commit = Unknown
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				b.Commit = setting.Value
			case "vcs.modified":
				b.Modified = setting.Value == "true"
			case "vcs.time":
				b.Date = setting.Value
			}
		}
	}
	// A checkout has the version (devel), or one that is made of its commit.
	fromCommit := len(b.Commit) >= 12 && strings.Contains(info.Main.Version, b.Commit[:12])
	if b.Version == "" && info.Main.Version != "(devel)" && !fromCommit {
		b.Version = info.Main.Version
	}
	return b
}

// checkout finds the folder of this project's go.mod at or above the working
// directory.
func checkout() (string, bool) {
	folder, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if module(filepath.Join(folder, "go.mod")) == "bittern" {
			return folder, true
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", false
		}
		folder = parent
	}
}

func module(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// askGit fills in what git says of a checkout, where it can be asked.
func (b *Build) askGit(ctx context.Context, root string) {
	last, err := exec.CommandContext(ctx, "git", "-C", root, "log", "-1", "--format=%H %ct").Output()
	if err != nil {
		return
	}
	hash, seconds, _ := strings.Cut(strings.TrimSpace(string(last)), " ")
	b.Commit = hash
	if at, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		b.Date = time.Unix(at, 0).UTC().Format(time.RFC3339)
	}
	status, err := exec.CommandContext(ctx, "git", "-C", root, "status", "--porcelain", "--untracked-files=no").Output()
	b.Modified = err != nil || len(status) > 0
}
