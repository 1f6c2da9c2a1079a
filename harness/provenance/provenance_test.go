package provenance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bittern/accel/kernels/isa"
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

func TestSittings(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sitting := func(n int) Sitting { return Sitting{Started: clock.Add(time.Duration(n) * time.Hour)} }
	var e Experiment
	var got []string
	note := func() {
		text := ""
		for _, s := range e.Sittings {
			text += fmt.Sprintf(" %d:%d-%d", int(s.Started.Sub(clock).Hours()), s.From, s.To)
		}
		got = append(got, text)
	}
	e.Begin(sitting(1), 0)
	e.Begin(sitting(2), 0) // the first was killed before it had saved anything
	note()
	e.Saved(4, clock)
	e.Saved(8, clock)
	e.Begin(sitting(3), 8)
	note()
	e.Begin(sitting(4), 12) // the third was killed after its checkpoint and before the note of it
	note()
	e.Saved(14, clock)
	e.Begin(sitting(5), 12) // the steps beyond the checkpoint are done again
	note()
	e.Saved(20, clock)
	e.Begin(sitting(6), 0) // afresh
	note()
	want := []string{" 2:0-0", " 2:0-8 3:8-8", " 2:0-8 3:8-12 4:12-12", " 2:0-8 3:8-12 4:12-12 5:12-12", " 6:0-0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sittings as start:from-to (-want +got):\n%s", diff)
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Machine{
		"AMD EPYC 9B45, avx512": {CPU: "AMD EPYC 9B45; avx512 (AVX2 FMA3)", ISA: "avx512"},
		"Chip, portable":        {CPU: "Chip; portable", ISA: "portable"},
	} {
		if got := m.Class(); got != want {
			t.Errorf("the class of %q is %q, want %q", m.CPU, got, want)
		}
	}
	for _, cpu := range []string{"", isa.UnknownCPU + "; neon"} {
		if got := (Machine{CPU: cpu, ISA: "neon"}).Class(); got != "" {
			t.Errorf("the class of %q is %q, want none", cpu, got)
		}
	}
}
