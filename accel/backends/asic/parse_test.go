package asic

import (
	"errors"
	"strings"
	"testing"

	"bittern/plugins"
)

// A design file that no machine can have is refused with the line, the key and its bounds.
func TestImpossibleDesigns(t *testing.T) {
	t.Parallel()
	content, err := designs.ReadFile("designs/asic-lowpower.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"no units":         {"    units: 100", "    units: 0", "line 18: columns.binary.units must be between 1 and 65536, not 0"},
		"too small":        {"{words: 2048, banks: 2, port_bits: 100}", "{words: 1, banks: 1, port_bits: 100}", "line 25: columns.ternary.weights.words must be between 2 and 16777216 to hold one row of 200 bits, not 1"},
		"backwards":        {"clock_mhz: 400", "clock_mhz: -400", "line 8: clock_mhz must be between 0.001 and 10000, not -400"},
		"unknown node":     {"node: 65", "node: 66", "line 6: node must be one of 130 90 65 45 32 20 16 14 10 7 (nm), not 66"},
		"unknown key":      {"lanes: 100", "lane: 100", `line 10: there is no key lane, did you mean "lanes"?`},
		"unknown DRAM":     {"columns:", "dram: {type: core, bits_per_cycle: 64}\ncolumns:", `line 16: dram.type must be one of lpddr4, lpddr, ddr3, gddr5, hbm2, not "core"`},
		"other bits":       {"activation_bits: 12", "activation_bits: 8", "line 9: activation_bits must be 12, the width that the arithmetic"},
		"missing":          {"voltage: 1.0 ", "# ", "voltage is missing; it must be between 0.5 and 1.3"},
		"no whole number":  {"lanes: 100", "lanes: many", "line 10"},
		"unknown overlap":  {"overlap: []", "overlap: [weather]", `line 11: overlap must be a list of lanes and layers, not "weather"`},
		"unknown assumed":  {"[voltage, lanes", "[luck, lanes", `line 5: assumed must be a list of`},
		"no YAML":          {"node: 65", "node: [65", "line"},
		"NaN":              {"clock_mhz: 400", "clock_mhz: .nan", "clock_mhz must be between"},
		"a missing column": {"  ternary:\n", "  binary2:\n", "there is no key binary2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(string(content), c.old, c.new, 1)
			if text == string(content) {
				t.Fatalf("%q is not in the design file", c.old)
			}
			_, err := Parse(text)
			var problem *plugins.Problem
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a problem with %q", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "a", "- 1", "---\n"} {
		var problem *plugins.Problem
		if _, err := Parse(text); !errors.As(err, &problem) {
			t.Errorf("design %q: error %v, want a problem", text, err)
		}
	}
}

// FuzzParse holds that every text is a design or a problem of the user's.
func FuzzParse(f *testing.F) {
	for _, name := range designNames() {
		content, err := designs.ReadFile("designs/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Add("columns: {binary: {weights: {words: 99999999999}}}")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		var problem *plugins.Problem
		if err != nil && !errors.As(err, &problem) {
			t.Errorf("error %v is no problem of the user's", err)
		}
		if err == nil && d.check() != nil {
			t.Error("an impossible design was read")
		}
	})
}
