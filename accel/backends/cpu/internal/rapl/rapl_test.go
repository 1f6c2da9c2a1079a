package rapl

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// domain writes the files of one, as Linux has them.
func domain(t *testing.T, folder, zone, name, energy, most string) string {
	t.Helper()
	path := filepath.Join(folder, zone)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{"name": name, "energy_uj": energy, "max_energy_range_uj": most} {
		if err := os.WriteFile(filepath.Join(path, file), []byte(content+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func count(t *testing.T, path, energy string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path, "energy_uj"), []byte(energy+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Two packages, one of which has a memory. Parts of packages, the whole computer and the
// second interface to a package are in them, or hold them, already.
func TestMeter(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := domain(t, folder, "intel-rapl:0", "package-0", "1000000", "262143328850")
	memory := domain(t, folder, "intel-rapl:0:1", "dram", "7", "65712999613")
	second := domain(t, folder, "intel-rapl:1", "package-1", "262143328000", "262143328850")
	for zone, name := range map[string]string{"intel-rapl:0:0": "core", "intel-rapl:0:2": "uncore", "intel-rapl:2": "psys", "intel-rapl-mmio:0": "package-0"} {
		domain(t, folder, zone, name, "no number", "none")
	}
	m, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Domains(), []string{"dram", "package-0", "package-1"}; !slices.Equal(got, want) {
		t.Errorf("it counts %v, want %v", got, want)
	}
	for _, step := range []struct {
		first, memory, second string
		joules                float64
	}{
		{"1000000", "7", "262143328000", 0},
		{"3500000", "500007", "262143328850", 2.5 + 0.5 + 0.00085},
		{"3500000", "500007", "1000000", 1},     // the last began again where it ended
		{"4500000", "500007", "3000000", 1 + 2}, // it does not do so twice
		{"2000000", "0", "3000000", 262143.328850 + 2 - 4.5 + 65712.999613 - 0.500007},
	} {
		count(t, first, step.first)
		count(t, memory, step.memory)
		count(t, second, step.second)
		got, err := m.Joules()
		if err != nil || math.Abs(got-step.joules) > 1e-6 {
			t.Errorf("%+v: %v J, %v, want %v", step, got, err, step.joules)
		}
	}
}

func TestThereIsNoMeter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(folder string)
		want string
	}{
		"a virtual machine": {func(string) {}, "has no energy counter in"},
		"no package":        {func(folder string) { domain(t, folder, "intel-rapl:0", "psys", "1", "2") }, "has no energy counter in"},
		"no number":         {func(folder string) { domain(t, folder, "intel-rapl:0", "package-0", "many", "2") }, "energy_uj has no number"},
		"no range":          {func(folder string) { domain(t, folder, "intel-rapl:0", "package-0", "1", "") }, "max_energy_range_uj has no number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			c.make(folder)
			if m, err := Open(folder); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a meter %v, %v, want an error that has %q", m, err, c.want)
			}
		})
	}
}

// A counter that was beyond what it says it counts to tells nothing when it begins again.
func TestAWrongRange(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := domain(t, folder, "intel-rapl:0", "package-0", "500", "100")
	m, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	count(t, path, "3")
	if joules, err := m.Joules(); err == nil {
		t.Errorf("%v J, want an error", joules)
	}
}
