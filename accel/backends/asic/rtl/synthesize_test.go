package rtl

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins"
)

// cells is a liberty file of few cells, which are enough for any circuit. An input takes
// pinCapacitance; a cell leaks cellLeakage and takes cellEnergy for a change of its output.
const cells = `library (few) {
  delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA"; leakage_power_unit : "1nW";
  pulling_resistance_unit : "1kohm"; capacitive_load_unit (1, pf); nom_voltage : 1.0; nom_process : 1; nom_temperature : 25;
  operating_conditions(typical) { process : 1; temperature : 25; voltage : 1.0; }
  default_operating_conditions : typical;
  lu_table_template(delay) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; index_1("0, 1"); index_2("0, 1"); }
  power_lut_template(energy) { variable_1 : input_transition_time; index_1("0, 1"); }
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50; output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20; slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  cell(BUF) { area: 2; cell_leakage_power : 3; pin(A) { direction: input; capacitance : 0.01; } OUTPUT("A", "A") }
  cell(NOT) { area: 1; cell_leakage_power : 3; pin(A) { direction: input; capacitance : 0.01; } OUTPUT("A'", "A") }
  cell(NAND) { area: 2; cell_leakage_power : 3; pin(A) { direction: input; capacitance : 0.01; } pin(B) { direction: input; capacitance : 0.01; } OUTPUT("(A*B)'", "A B") }
  cell(NOR) { area: 2; cell_leakage_power : 3; pin(A) { direction: input; capacitance : 0.01; } pin(B) { direction: input; capacitance : 0.01; } OUTPUT("(A+B)'", "A B") }
  cell(FLOP) { area: 8; cell_leakage_power : 3; ff(IQ, IQN) { clocked_on: C; next_state: D; }
    pin(C) { direction: input; clock: true; capacitance : 0.01; } pin(D) { direction: input; capacitance : 0.01; }
    pin(Q) { direction: output; function: "IQ"; timing() { related_pin : "C"; timing_type : rising_edge; DELAYS } ENERGY } }
}
`

const (
	pinCapacitance = 0.01e-12 // F
	cellLeakage    = 3e-9     // W
	cellEnergy     = 0.05e-12 // J
)

// Wider weights and wider sums take more cells.
func TestCellArea(t *testing.T) {
	need(t, "yosys")
	t.Parallel()
	liberty := fewCells(t)
	before := 0.0
	for _, u := range []Unit{{datapath.Binary, 14}, {datapath.Binary, 16}, {datapath.Ternary, 16}, {datapath.TwelveBit, 24}} {
		area, err := u.CellArea(t.Context(), liberty)
		if err != nil {
			t.Fatal(err)
		}
		if area <= before {
			t.Errorf("%+v takes %v, and the narrower %v", u, area, before)
		}
		before = area
	}
}

func fewCells(t *testing.T) string {
	t.Helper()
	liberty := filepath.Join(t.TempDir(), "few.lib")
	const (
		table  = `(delay) { values("0.1, 0.1", "0.1, 0.1"); } `
		delays = "cell_rise" + table + "cell_fall" + table + "rise_transition" + table + "fall_transition" + table
		energy = `internal_power() { rise_power(energy) { values("0.05, 0.05"); } fall_power(energy) { values("0.05, 0.05"); } }`
	)
	text := regexp.MustCompile(`OUTPUT\((".*?"), (".*?")\)`).ReplaceAllString(cells,
		`pin(Y) { direction: output; function: $1; timing() { related_pin : $2; DELAYS } ENERGY }`)
	text = strings.NewReplacer("DELAYS", delays, "ENERGY", energy).Replace(text)
	if err := os.WriteFile(liberty, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return liberty
}

func TestNoLibertyFile(t *testing.T) {
	need(t, "yosys")
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.lib.gz")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, "synthesize_test.go", filepath.Join(t.TempDir(), "none")} {
		if _, err := (Unit{datapath.Binary, 14}).CellArea(t.Context(), path); !errors.As(err, new(*plugins.Problem)) {
			t.Errorf("%s: %v is no problem of the user's", path, err)
		}
	}
}
