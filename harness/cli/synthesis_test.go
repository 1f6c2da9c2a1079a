package cli

import (
	"bytes"
	"strings"
	"testing"

	"bittern/plugins/backend"
)

// The tables have ratios to the first column and to the first network on it; what is not
// known is n/a with its reason.
func TestWriteSynthesis(t *testing.T) {
	t.Parallel()
	found := synthesis{
		Columns: []backend.RTLColumn{
			{Weights: "binary", Units: 10, CellArea: 1000, MemoryArea: 1000, PublishedArea: 0.1, Source: "a paper", MemorySource: "table t"},
			{Weights: "12-bit", Units: 10, CellArea: 5000, MemoryArea: 11000},
		},
		Power: []networkPower{
			{Network: "wide", Power: &backend.RTLPower{Weights: "12-bit", Changes: 0.25, Internal: 0.006, Switching: 0.002, Leakage: 0.001, Memory: 0.03, Published: 0.09}},
			{Network: "narrow", Power: &backend.RTLPower{Weights: "binary", Internal: 0.002, Switching: 0.0005, Leakage: 0.0005, Memory: 0.003, Published: 0.01}},
			{Network: "odd", Reason: "it has two accumulators"},
		},
	}
	written := func() string {
		var out bytes.Buffer
		if err := (&program{stdout: output{&out}}).writeSynthesis(found); err != nil {
			t.Fatal(err)
		}
		var rows []string // without padding
		for line := range strings.Lines(out.String()) {
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(rows, "\n")
	}
	text := written()
	for _, want := range []string{
		"| binary | 10 | 1000 | 1.00 | 2000 | 1.00 | 1.00 |",
		"| 12-bit | 10 | 5000 | 5.00 | 16000 | 8.00 | n/a |",
		"| wide | 12-bit | 0.250 | 2 | 4.00 | 9 | 3.00 | 39 | 6.50 | 9.00 |",
		"| narrow | binary | 0.000 | 0.5 | 1.00 | 3 | 1.00 | 6 | 1.00 | 1.00 |",
		"- n/a, odd: it has two accumulators",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables have not %q:\n%s", want, text)
		}
	}
	found.Power = nil
	if text := written(); strings.Contains(text, "Power") || !strings.Contains(text, "power needs networks") {
		t.Errorf("without networks:\n%s", text)
	}
}
