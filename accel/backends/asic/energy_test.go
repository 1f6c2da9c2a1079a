package asic_test

import (
	"math"
	"strings"
	"testing"

	"bittern/accel/backends/asic"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// bottomUp are figures as the tables have them.
var bottomUp = plugins.Values{"calibration": "none", "energy-table": "ihp130-scaled"}

// constants reads what Explain prints, where a user would find it.
func constants(t *testing.T, design string) map[string]float64 {
	t.Helper()
	options := plugins.Values{"design": design, "calibration": "none", "energy-table": "ihp130-scaled", "integer-bits": "3"}
	e, err := asic.New().Explain(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, c := range e.Constants {
		values[c.Name+" "+c.Unit] = c.Value
	}
	return values
}

// The parts of the energy are what a reader of the explanation computes by its formulas and
// numbers, for an LSTM of 230 units, 7 symbols and 3 classes.
func TestEnergyIsThatOfTheExplanation(t *testing.T) {
	t.Parallel()
	e := constants(t, "asic-lowpower")
	const pico = 1e-12
	read := e["sram read, 2048 × 64 bits pJ"] / 64 * pico
	// An activation memory of 512 words, and function tables of 256 between 64 and 512.
	buffer, bufferWrite := e["sram read, 512 × 64 bits pJ"]/64*pico, e["sram write, 512 × 64 bits pJ"]/64*pico
	function := math.Pow(e["sram read, 64 × 64 bits pJ"], 1.0/3) * math.Pow(e["sram read, 512 × 64 bits pJ"], 2.0/3) / 64 * pico
	add, register := e["add pJ/bit"]*pico, e["register pJ/bit"]*pico
	multiply := (144*e["multiply pJ/bit²"] + 12*e["multiply pJ/bit"]) * pico
	for _, c := range []struct {
		name        string
		format      sample.Format
		width       float64
		accumulator float64
	}{
		{"binary", sample.Binary, 1, 24}, {"ternary", sample.Ternary, 2, 24}, {"12-bit", sample.Format{}, 12, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const gates, units, steps = 4 * 230, 230, 10
			g, weights := sample.LSTM{Units: units, Inputs: 7, Outputs: 3, Steps: 2, Format: c.format}.Build()
			got := cost(t, designed{asic.New(), "asic-lowpower", bottomUp}, g, weights)
			const product, lookup = 10 * units, 10 // cycles: ten blocks of 100 rows
			// Two scale-shifts of the products and their sum; four gates; f∘c, i∘g, c',
			// the scale-shift of c', its tanh and h'.
			const scaleShifts, adds, muls, functions = 2*gates + units, gates + units, 3 * units, 5 * units
			mac := c.accumulator * add
			if c.width == 12 {
				mac += multiply
			}
			const results = scaleShifts + adds + muls + functions
			want := map[string]float64{
				"arithmetic":    gates*units*mac + adds*24*add + muls*multiply,
				"weight memory": (gates*units + gates) * c.width * read,
				"activation memory": 12 * (product*buffer +
					(scaleShifts+functions+2*adds+2*muls)*buffer + results*bufferWrite),
				"normalization":     scaleShifts*(multiply+24*add) + ((2*gates+units)*16+(gates+units)*24)*read,
				"nonlinear units":   functions * 12 * function,
				"clock and control": register * ((product+lookup)*(100*(c.accumulator+c.width)+12) + 24*results),
			}
			energy := values(got.Energy)
			for name, value := range want {
				if math.Abs(energy[name]/(steps*value)-1) > 1e-9 {
					t.Errorf("%s takes %v J, by the explanation %v", name, energy[name], steps*value)
				}
			}
			if energy["leakage"] <= 0 || energy["output layer"] <= 0 {
				t.Errorf("leakage is %v and the output layer %v, want some", energy["leakage"], energy["output layer"])
			}
		})
	}
}

// changed is the cost of an LSTM with binary weights on tiny with texts of it replaced,
// each by the one that follows.
func changed(t *testing.T, pairs ...string) backend.Cost {
	t.Helper()
	design := tiny
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(design, pairs[i]) {
			t.Fatalf("%q is not in the design", pairs[i])
		}
		design = strings.Replace(design, pairs[i], pairs[i+1], 1)
	}
	g, weights := sample.LSTM{Units: 40, Inputs: 7, Outputs: 3, Steps: 2, Format: sample.Binary}.Build()
	return cost(t, designed{asic.New(), design, bottomUp}, g, weights)
}

// Twice the clock takes half the time and half the leakage, and no other energy.
func TestTwiceTheClock(t *testing.T) {
	t.Parallel()
	slow, fast := changed(t), changed(t, "clock_mhz: 1", "clock_mhz: 2")
	if *fast.Cycles != *slow.Cycles || !near(*fast.Seconds, *slow.Seconds/2) {
		t.Errorf("%v cycles in %v s, at half the clock %v in %v", *fast.Cycles, *fast.Seconds, *slow.Cycles, *slow.Seconds)
	}
	before, after := values(slow.Energy), values(fast.Energy)
	before["leakage"] /= 2
	before["leakage of other layers"] /= 2
	for name, want := range before {
		if !near(after[name], want) {
			t.Errorf("%s takes %v J, want %v", name, after[name], want)
		}
	}
}

// Weights beyond the memory of a column come from the DRAM at every step, and take its time
// where that is longer.
func TestWeightsThatDoNotFit(t *testing.T) {
	t.Parallel()
	// The binary weights of 160 gate rows: 160·(40 + 7) bits, 4·940 of which fit.
	const weights, room = 160 * 47, 4 * 940
	small := "binary: {units: 4, accumulator_bits: 24, weights: {words: 940, banks: 1, port_bits: 4}}"
	large := "binary: {units: 4, accumulator_bits: 24, weights: {words: 2048, banks: 1, port_bits: 4}}"
	const dram = "dram: {type: lpddr4, bits_per_cycle: 1}\ncolumns:"
	without := changed(t, large, small)
	with := changed(t, large, small, "columns:", dram)
	if e := values(without.Energy)["DRAM"]; e != 0 || !strings.Contains(strings.Join(without.Notes, "\n"), "50 % of the recurrent weights do not fit") {
		t.Errorf("without a DRAM it takes %v J, and the notes are %q", e, without.Notes)
	}
	// Each step multiplies 160·40 weights and looks 160 up, half of them from outside; the
	// output layer's 3·40 fit.
	const share = 1 - float64(room)/weights
	fetched := 10 * share * (160*40 + 160)
	if got := values(with.Energy)["DRAM"]; !near(got, fetched*8e-12) {
		t.Errorf("the DRAM takes %v J, want %v", got, fetched*8e-12)
	}
	// A bit a cycle: W·h takes 3,200 cycles in place of 40 blocks · 40, the look-up 80 in place of 40.
	if got, want := *with.Cycles-*without.Cycles, 10*(share*160*40-40*40+share*160-40); !near(got, want) {
		t.Errorf("the DRAM adds %v cycles, want %v", got, want)
	}
	if enough := changed(t, "columns:", dram); values(enough.Energy)["DRAM"] != 0 {
		t.Errorf("weights that fit take %v J of the DRAM", values(enough.Energy)["DRAM"])
	}
}

// A memory with half the ports takes twice the cycles of each product.
func TestNarrowMemory(t *testing.T) {
	t.Parallel()
	wide := changed(t)
	narrow := changed(t, "weights: {words: 2048, banks: 1, port_bits: 4}", "weights: {words: 2048, banks: 1, port_bits: 2}")
	if got, want := *narrow.Cycles-*wide.Cycles, 10.0*(40*40+40); got != want {
		t.Errorf("half the ports add %v cycles, want %v", got, want)
	}
}

// Wider weights, more planes and longer sequences never cost less.
func TestCostGrows(t *testing.T) {
	t.Parallel()
	total := func(format sample.Format) float64 {
		g, weights := sample.LSTM{Units: 40, Inputs: 7, Outputs: 3, Steps: 2, Format: format}.Build()
		sum := 0.0
		for _, part := range cost(t, asic.Instance("asic-lowpower"), g, weights).Energy {
			sum += part.Value
		}
		return sum
	}
	binary, ternary, full := total(sample.Binary), total(sample.Ternary), total(sample.Format{})
	if !(binary < ternary && ternary < full) {
		t.Errorf("binary weights take %v J, ternary ones %v and those of 12 bits %v, want them to grow", binary, ternary, full)
	}
	if two := total(sample.TwoPlanes); two <= binary {
		t.Errorf("two planes take %v J and one %v", two, binary)
	}
}

// A graph that is nothing but wiring takes no energy but leakage, and no time.
func TestNoWork(t *testing.T) {
	t.Parallel()
	g := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 4}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Slice, Inputs: []string{"x"}, Size: 2}},
		Output: "y",
	}
	got := cost(t, with(tiny), g, map[string]packed.Matrix{})
	for _, part := range got.Energy {
		if part.Value != 0 {
			t.Errorf("%s takes %v J for no work", part.Name, part.Value)
		}
	}
	if *got.Cycles != 0 {
		t.Errorf("no work takes %v cycles", *got.Cycles)
	}
}

// The area of the recurrent layers is that of the column alone, as it is published; what
// the whole network needs beside it is outside.
func TestAreaByPart(t *testing.T) {
	t.Parallel()
	g, weights := sample.LSTM{Units: 512, Inputs: 87, Outputs: 87, Steps: 2, Format: sample.Binary}.Build()
	got := cost(t, asic.Instance("asic-lowpower"), g, weights)
	inside, outside := 0.0, map[string]float64{}
	for _, part := range got.Area {
		if part.Outside {
			outside[part.Name] = part.Value
			continue
		}
		inside += part.Value
	}
	if math.Abs(inside/0.24-1) > 0.1 {
		t.Errorf("the binary column has %v mm², want it within 10 %% of the published 0.24", inside)
	}
	for _, name := range []string{"activation memory", "elementwise lanes", "further memory", "output layer"} {
		if outside[name] <= 0 {
			t.Errorf("%s has %v mm², want some: %v", name, outside[name], got.Area)
		}
	}
	// 2,048 · 599 binary weights, of which 204,800 fit, take most of the further memory.
	if per := outside["further memory"] / (2048*599 - 204800); per < 0.8e-6 || per > 1.2e-6 {
		t.Errorf("the further memory has %v mm² for each bit of the weights that do not fit", per)
	}
	for _, part := range got.Energy {
		if other := part.Name == "output layer" || part.Name == "leakage of other layers"; other != part.Outside {
			t.Errorf("the energy of %s: outside %t", part.Name, part.Outside)
		}
	}
}

// More units take fewer cycles and more area, and overlap takes fewer cycles for the same
// dynamic energy.
func TestUnitsAndOverlap(t *testing.T) {
	t.Parallel()
	small := changed(t)
	large := changed(t, "binary: {units: 4, accumulator_bits: 24, weights: {words: 2048, banks: 1, port_bits: 4}}",
		"binary: {units: 8, accumulator_bits: 24, weights: {words: 2048, banks: 1, port_bits: 8}}")
	if *large.Cycles >= *small.Cycles || values(large.Area)["arithmetic"] <= values(small.Area)["arithmetic"] {
		t.Errorf("8 units take %v cycles and %v mm², 4 take %v and %v", *large.Cycles, values(large.Area)["arithmetic"], *small.Cycles, values(small.Area)["arithmetic"])
	}
	overlapped := changed(t, "lanes: 2", "lanes: 2\noverlap: [lanes, layers]")
	if *overlapped.Cycles >= *small.Cycles {
		t.Errorf("with overlap it takes %v cycles, without %v", *overlapped.Cycles, *small.Cycles)
	}
	before, after := values(small.Energy), values(overlapped.Energy)
	for name, want := range before {
		if !strings.HasPrefix(name, "leakage") && after[name] != want {
			t.Errorf("with overlap %s takes %v J, without %v", name, after[name], want)
		}
	}
}
