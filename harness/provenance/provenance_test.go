package provenance

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

func TestCollect(t *testing.T) {
	t.Parallel()
	got := Collect(t.Context())
	if got.Go != runtime.Version() || got.OS != runtime.GOOS || got.Arch != runtime.GOARCH || got.Cores < 1 || got.CPU == "" || got.ISA == "" {
		t.Errorf("Collect = %+v, want every field of this machine", got)
	}
	if !regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64}|unknown)$`).MatchString(got.Commit) {
		t.Errorf("commit = %q, want a full hash or %q", got.Commit, Unknown)
	}
	if root, ok := checkout(); ok {
		if _, err := os.Stat(filepath.Join(root, ".git")); err == nil && got.Commit == Unknown {
			t.Errorf("commit = %q inside the checkout, want its hash", got.Commit)
		}
	}
}

func TestHeadOutsideACheckout(t *testing.T) {
	t.Parallel()
	if commit, modified := head(t.Context(), t.TempDir()); commit != Unknown || modified {
		t.Errorf("head of an empty folder = %q, %v, want %q, false", commit, modified, Unknown)
	}
}
