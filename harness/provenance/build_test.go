package provenance

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGitOutsideACheckout(t *testing.T) {
	t.Parallel()
	got := Build{Commit: Unknown}
	got.askGit(t.Context(), t.TempDir())
	if got != (Build{Commit: Unknown}) {
		t.Errorf("git in an empty folder says %+v, want nothing", got)
	}
}

// Inside the checkout, git says what go test leaves no stamp of.
func TestGitInTheCheckout(t *testing.T) {
	t.Parallel()
	root, ok := checkout()
	if !ok {
		t.Fatal("the test is not run inside the checkout")
	}
	got := Build{Commit: Unknown}
	got.askGit(t.Context(), root)
	if got.Commit == Unknown {
		t.Skip("skipped: git says nothing of this folder")
	}
	if at, err := time.Parse(time.RFC3339, got.Date); err != nil || at.Location() != time.UTC {
		t.Errorf("date %q, %v, want RFC 3339 in UTC", got.Date, err)
	}
}

func TestStamps(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef01234567"
	checkout := []debug.BuildSetting{
		{Key: "vcs.revision", Value: hash}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-03-01T12:00:00Z"},
	}
	release := Build{Version: "v1.2.0", Commit: "cafe", Date: "2026-02-02T00:00:00Z"}
	for name, c := range map[string]struct {
		stamped  Build
		version  string
		settings []debug.BuildSetting
		want     Build
	}{
		"nothing":             {want: Build{Commit: Unknown}},
		"go run":              {version: "(devel)", want: Build{Commit: Unknown}},
		"go build":            {version: "v0.0.0-20260301120000-0123456789ab+dirty", settings: checkout, want: Build{Commit: hash, Modified: true, Date: "2026-03-01T12:00:00Z"}},
		"go build of a tag":   {version: "v1.1.0", settings: checkout, want: Build{Version: "v1.1.0", Commit: hash, Modified: true, Date: "2026-03-01T12:00:00Z"}},
		"go install of a tag": {version: "v1.1.0", want: Build{Version: "v1.1.0", Commit: Unknown}},
		"release":             {stamped: release, version: "(devel)", settings: checkout, want: release},
	} {
		c.want.Go = runtime.Version()
		info := &debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings}
		if diff := cmp.Diff(c.want, readStamps(c.stamped, info)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// An executable of go build without stamps may be older than the checkout it is run in.
func TestJustBuilt(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const hash = "c6022409788e39330004cc0f02367dafdede303112384d0c1718aeb8c52cd41a"
	for path, want := range map[string]bool{
		self: true, // by go test
		"/tmp/go-build2550972333/b001/exe/bittern": true,
		"/home/me/cache/c6/" + hash + "-d/bittern": true,
		"/home/me/bittern/bittern":                 false,
		"/home/me/cache/c6/" + hash + "/bittern":   false,
		"/home/me/my-go-builds/bittern":            false,
	} {
		if got := justBuilt(path); got != want {
			t.Errorf("justBuilt(%q) = %v, want %v", path, got, want)
		}
	}
}
