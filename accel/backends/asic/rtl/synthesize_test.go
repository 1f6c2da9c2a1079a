package rtl

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins"
)

// cells is a liberty file of few cells, which are enough for any circuit.
const cells = `library (few) {
  cell(BUF) { area: 2; pin(A) { direction: input; } pin(Y) { direction: output; function: "A"; } }
  cell(NOT) { area: 1; pin(A) { direction: input; } pin(Y) { direction: output; function: "A'"; } }
  cell(NAND) { area: 2; pin(A) { direction: input; } pin(B) { direction: input; } pin(Y) { direction: output; function: "(A*B)'"; } }
  cell(NOR) { area: 2; pin(A) { direction: input; } pin(B) { direction: input; } pin(Y) { direction: output; function: "(A+B)'"; } }
  cell(FLOP) { area: 8; ff(IQ, IQN) { clocked_on: C; next_state: D; }
    pin(C) { direction: input; clock: true; } pin(D) { direction: input; } pin(Q) { direction: output; function: "IQ"; } }
}
`

// Wider weights take more cells, and twice the units twice the area.
func TestCellArea(t *testing.T) {
	if _, err := exec.LookPath("yosys"); err != nil {
		t.Skip("there is no yosys on this machine (on Debian: apt-get install yosys)")
	}
	t.Parallel()
	liberty := filepath.Join(t.TempDir(), "few.lib")
	if err := os.WriteFile(liberty, []byte(cells), 0o644); err != nil {
		t.Fatal(err)
	}
	before := 0.0
	for _, width := range []datapath.Width{datapath.Binary, datapath.Ternary, datapath.TwelveBit} {
		var areas []float64
		for _, units := range []int{2, 4} {
			area, err := CellArea(t.Context(), liberty, units, width)
			if err != nil {
				t.Fatal(err)
			}
			areas = append(areas, area)
		}
		if areas[0] <= before || areas[1] != 2*areas[0] {
			t.Errorf("%s: 2 and 4 units take %v, and narrower weights %v", width, areas, before)
		}
		before = areas[0]
	}
}

func TestNoLibertyFile(t *testing.T) {
	if _, err := exec.LookPath("yosys"); err != nil {
		t.Skip("there is no yosys on this machine (on Debian: apt-get install yosys)")
	}
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.lib.gz")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, "synthesize_test.go", filepath.Join(t.TempDir(), "none")} {
		if _, err := CellArea(t.Context(), path, 1, datapath.Binary); !errors.As(err, new(*plugins.Problem)) {
			t.Errorf("%s: %v is no problem of the user's", path, err)
		}
	}
}
