package systolic_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"bittern/accel/backends/internal/energy"
	"bittern/accel/backends/systolic"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
	"bittern/plugins/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Backend(t, systolic.New,
		plugins.Values{
			"dataflow": "input-stationary", "rows": "3", "columns": "5", "lanes": "3", "precision": "1", "activation-bits": "4",
			"weight-kib": "1", "activation-kib": "4", "steps-at-once": "3", "double-buffering": "false", "dram": "ddr3",
		},
		plugins.Values{"dataflow": "output-stationary", "rows": "4", "columns": "7", "activation-bits": "6"},
	).Want(t)
}

// Figures by hand are those of the table horowitz-cacti as its arithmetic was published, in
// 45 nm at 0.9 V; its memories are scaled from 1.0 V. A bank of 2,048 words is in it. The
// area of its bits lies between those of 192 and 16,384 words.
var (
	published      = plugins.Values{"energy-table": "horowitz-cacti", "node": "45", "voltage": "0.9"}
	lower          = energy.Scale(energy.Process{Node: 45, Voltage: 1}, energy.Process{Node: 45, Voltage: 0.9})
	read, write    = 51.80 / 256 * 1e-12 * lower, 66.24 / 256 * 1e-12 * lower
	areaOfBit      = 0.462 * math.Pow(0.410/0.462, math.Log(2048.0/192)/math.Log(16384.0/192))
	areaOfElement  = 32*8.69 + 48*5.98 + 64*6.20 // of 8 × 8 bits
	areaOfLane     = 1024*6.20 + 32*8.69
	bitsOfMemories = 512.0 * 8192
)

// cost deploys an LSTM of an odd size and returns what ten steps of it cost.
func cost(t *testing.T, l sample.LSTM, options plugins.Values) backend.Cost {
	t.Helper()
	all := maps.Clone(published)
	maps.Copy(all, options)
	options = all
	g, weights := l.Build()
	return costOf(t, programs.Program{Network: network.Scanned("test", g), Weights: weights, Steps: map[string]int{"sequence": 10}}, options)
}

func costOf(t *testing.T, p programs.Program, options plugins.Values) backend.Cost {
	t.Helper()
	b := systolic.New()
	if _, err := b.Deploy(t.Context(), backend.Deploy{Options: options, Network: p.Network, Weights: p.Weights}); err != nil {
		t.Fatal(err)
	}
	c, err := b.Cost(t.Context(), backend.CostRequest{Steps: p.Steps})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func part(t *testing.T, parts []backend.Part, name string) float64 {
	t.Helper()
	for _, p := range parts {
		if p.Name == name {
			return p.Value
		}
	}
	t.Fatalf("there is no part %q in %v", name, parts)
	return 0
}

func total(parts []backend.Part) float64 {
	sum := 0.0
	for _, p := range parts {
		sum += p.Value
	}
	return sum
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// By hand, of an LSTM of 5 units and 7 symbols with 3 outputs, over ten steps, on 3 × 4
// elements and 2 lanes, with 4 steps at once. A step of the recurrence is Wh·h, 20 × 5, in
// ⌈5/3⌉·⌈20/4⌉ = 10 folds of 2·3 + 4 + 1 − 2 = 9 cycles. The output layer, 3 × 5, is
// ⌈5/3⌉·⌈3/4⌉ = 2 folds of 2·3 + 4 + M − 2, of 4, 4 and 2 vectors.
//
//	                                                     elements   ⌈/2⌉
//	h rounded, twice: before Wh·h, before the output        5·2      6·2
//	scales of Wh·h, of the look-up, of the output          20,20,3   10,10,2
//	BN of Wh·h, BN of Wx·x, their sum                       20 each  30
//	g, f, i, o                                              5 each   12
//	f∘c, i∘g, c', BN(c'), tanh, h'                          5 each   18
//	bias                                                    3        2
func TestCyclesByHand(t *testing.T) {
	t.Parallel()
	options := plugins.Values{"rows": "3", "columns": "4", "lanes": "2", "steps-at-once": "4", "weight-kib": "64", "dram-bytes": "1"}
	for _, c := range []struct {
		name   string
		format sample.Format
		more   plugins.Values
		passes int // of Wh
		lanes  int // more, a step: further planes of Wh·h and of the look-up
	}{
		{"binary", sample.Binary, nil, 1, 0},
		{"ternary", sample.Ternary, nil, 1, 0},
		{"full precision", sample.Format{}, nil, 1, 0},
		{"two planes", sample.TwoPlanes, nil, 2, 20},
		{"ternary, a bit at a time", sample.Ternary, plugins.Values{"precision": "1"}, 2, 0},
		{"4 bits, 3 at a time", sample.Uniform, plugins.Values{"precision": "3"}, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			with := maps.Clone(options)
			maps.Copy(with, c.more)
			output := map[string]int{"": 1, "1": 8, "3": 3}[c.more["precision"]] // passes of its 8 bits
			got := cost(t, sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: c.format, Seed: 1}, with)
			const lanes = 6*2 + 10 + 10 + 2 + 30 + 12 + 18 + 2
			compute := float64(10*(c.passes*10*9+lanes+c.lanes) + output*2*(2*(8+4)+8+2))
			// A token and three logits, of 32 bits, cannot be hidden at one byte a cycle.
			if want := compute + 4*4; *got.Cycles != want {
				t.Errorf("%v cycles, want %v", *got.Cycles, want)
			}
			if want := *got.Cycles / 400e6; !near(*got.Seconds, want) {
				t.Errorf("%v seconds, want %v", *got.Seconds, want)
			}
			// Ten tokens and thirty logits at 8 pJ a bit.
			if got, want := part(t, got.Energy, backend.PartDRAM), 10*4*32*8e-12; !near(got, want) {
				t.Errorf("DRAM takes %v J, want %v", got, want)
			}
			// Half the registers of each element are clocked, used or not: 40 bits.
			array := float64(10 * c.passes * 10 * 9)
			if got, want := part(t, got.Energy, backend.PartClock), array*12*40*0.009e-12; !near(got, want) {
				t.Errorf("the clock takes %v J, want %v", got, want)
			}
		})
	}
}

// Multiplications, weights and memory of a binary LSTM, by hand: see the package comment.
func TestEnergyAndMemoryByHand(t *testing.T) {
	t.Parallel()
	got := cost(t, sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: sample.Binary, Seed: 1}, plugins.Values{"steps-at-once": "4"})
	for precision, multiply := range map[string]float64{ // 8 bits by it
		"8": 0.002994791667*64 + 0.001041666667*8, "2": 0.002994791667*16 + 0.001041666667*8, "1": 0,
	} {
		got := cost(t, sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: sample.Binary, Seed: 1}, plugins.Values{"precision": precision})
		const lanes = 60*3.7 + 30*0.9 // see TestVectorsByHand
		want := 10 * (20*5*(0.1+multiply) + lanes) * 1e-12
		if got := part(t, got.Energy, backend.PartArithmetic); !near(got, want) {
			t.Errorf("precision %s: products take %v J, want %v", precision, got, want)
		}
	}
	// A step reads Wh and a column of Wx, of a bit.
	if got, want := part(t, got.Energy, backend.PartWeightMemory), 10*(20*5+20)*read; !near(got, want) {
		t.Errorf("weights take %v J, want %v", got, want)
	}
	for name, want := range map[string]float64{
		backend.PartCodes: 20 * (5 + 7) / 8.0, backend.PartLevels: 4 * (1 + 1 + 3),
		backend.PartTables: 4 * (4*(20+20+20+5+5) + 3), backend.PartState: 2 * 5 * 4,
		backend.PartOutputLayer: 3 * 5, backend.PartEmbedding: 0,
	} {
		if got := part(t, got.Memory, name); got != want {
			t.Errorf("memory of %s is %v bytes, want %v", name, got, want)
		}
	}
	if len(got.Substitutions) != 1 || got.Substitutions[0].Weight != "softmax.W" {
		t.Errorf("substitutions %+v, want the output layer's alone", got.Substitutions)
	}
}

// The activation memory and the vector unit, by hand, of the LSTM and the array of
// TestCyclesByHand. A step takes in 25 elements, writes 40 sums and adds to half of
// them, and comes and goes with a token and three logits; the output layer takes in 5 and writes 6.
// The operations of the lanes are in the order of that table.
func TestVectorsByHand(t *testing.T) {
	t.Parallel()
	got := cost(t, sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: sample.Binary, Seed: 1},
		plugins.Values{"rows": "3", "columns": "4", "lanes": "2", "steps-at-once": "4"})
	const (
		reads  = 10 + (20 + 0) + (20 + 20 + 40) + 20 + (30 + 5 + 5 + 10)
		writes = 5 + (20 + 20) + (20 + 20 + 20) + 20 + (15 + 5 + 5 + 5)
	)
	want := 10 * ((8*25+32*(20+reads+3))*read + 32*(40+writes+1)*write)
	if got := part(t, got.Energy, backend.PartActivationMemory); !near(got, want) {
		t.Errorf("activations take %v J, want %v", got, want)
	}
	// Multiplications and additions of float32:
	//
	//	arithmetic        rounding 5, 5; scales 20 + 20, 0; the sum of BN 0, 20;
	//	                  f∘c, i∘g, h' 15, 0; c' 0, 5
	//	normalization     BN of Wh·h 20, 20; of Wx·x 20, 0; of c' 5, 5
	//	nonlinear units   five of 5 elements, a segment each
	//	output layer      rounding 5, 5; scales 2·3, 0; bias 0, 3; its weights are read three times, and
	//	                  its two folds take 12 + 12 + 10 cycles
	for name, want := range map[string]float64{
		backend.PartNonlinear:     10 * (25*3.7 + 25*0.9) * 1e-12,
		backend.PartNormalization: 10 * ((45*3.7+25*0.9)*1e-12 + 70*32*read),
		backend.PartArithmetic:    10 * ((60*3.7+30*0.9)*1e-12 + 20*5*(0.1+0.002994791667*64+0.001041666667*8)*1e-12),
		backend.PartOutputLayer: 10*((11*3.7+8*0.9)*1e-12+3*5*(0.1+0.002994791667*64+0.001041666667*8)*1e-12+3*32*read+
			(8*5+32*(3+10+3+3))*read+32*(6+5+3+3)*write) + 3*3*5*8*read + 2*34*12*40*0.009e-12,
	} {
		if got := part(t, got.Energy, name); !near(got, want) {
			t.Errorf("%s takes %v J, want %v", name, got, want)
		}
	}
}

// 1,024 elements with 48 bits of registers, 512 KiB of memory and 32 lanes; and with
// weights of 4 bits, and of a bit, which no multiplier multiplies.
func TestAreaByHand(t *testing.T) {
	t.Parallel()
	l := sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: sample.Binary}
	for precision, element := range map[string]float64{"8": areaOfElement, "4": areaOfElement - 4*5.98 - 32*6.20, "1": areaOfElement - 7*5.98 - 64*6.20} {
		got, want := total(cost(t, l, plugins.Values{"precision": precision}).Area), (1024*element+bitsOfMemories*areaOfBit+32*areaOfLane)*1e-6
		if !near(got, want) {
			t.Errorf("precision %s: %v mm², want %v", precision, got, want)
		}
	}
}

func TestLeakageByHand(t *testing.T) {
	t.Parallel()
	got := cost(t, sample.LSTM{Units: 17, Inputs: 7, Outputs: 3, Steps: 1, Format: sample.Binary}, nil)
	watts := bitsOfMemories*0.0000032e-6*lower + (1024*areaOfElement+32*areaOfLane)*0.0000119e-3
	if got, want := part(t, got.Energy, backend.PartLeakage), watts**got.Seconds; !near(got, want) {
		t.Errorf("it leaks %v J, want %v", got, want)
	}
}

// The table is scaled to the process, and another one has other figures.
func TestProcess(t *testing.T) {
	t.Parallel()
	l := sample.LSTM{Units: 17, Inputs: 7, Outputs: 3, Steps: 1, Format: sample.Binary}
	before, smaller := cost(t, l, nil), cost(t, l, plugins.Values{"node": "7", "voltage": "0.7"})
	factor := energy.Scale(energy.Process{Node: 45, Voltage: 0.9}, energy.Process{Node: 7, Voltage: 0.7})
	if got, want := part(t, smaller.Energy, backend.PartNonlinear), factor*part(t, before.Energy, backend.PartNonlinear); !near(got, want) {
		t.Errorf("in 7 nm at 0.7 V nonlinear units take %v J, want %v", got, want)
	}
	if got, want := total(smaller.Area), energy.ScaleArea(45, 7)*total(before.Area); !near(got, want) {
		t.Errorf("in 7 nm it has %v mm², want %v", got, want)
	}
	if other := cost(t, l, plugins.Values{"energy-table": "ihp130-scaled"}); part(t, other.Energy, backend.PartWeightMemory) == part(t, before.Energy, backend.PartWeightMemory) {
		t.Error("by another table the weight memory takes the same")
	}
}

// Wider weights, less memory and fewer steps at once never cost less.
func TestMonotone(t *testing.T) {
	t.Parallel()
	sized := func(units int, format sample.Format, options plugins.Values) backend.Cost {
		return cost(t, sample.LSTM{Units: units, Inputs: 7, Outputs: 3, Steps: 1, Format: format}, options)
	}
	small := plugins.Values{"rows": "8", "columns": "8", "weight-kib": "1", "precision": "1", "dram-bytes": "1"}
	with := func(pairs ...string) plugins.Values {
		o := maps.Clone(small)
		for i := 0; i < len(pairs); i += 2 {
			o[pairs[i]] = pairs[i+1]
		}
		return o
	}
	slow := func(kib string) plugins.Values { return with("weight-kib", kib, "dram-bytes", "0.1") }
	for name, series := range map[string][]backend.Cost{
		"bits":           {sized(64, sample.Binary, small), sized(64, sample.Ternary, small), sized(64, sample.Uniform, small), sized(64, sample.Format{}, small)},
		"weight memory":  {sized(64, sample.Format{}, slow("64")), sized(64, sample.Format{}, slow("5")), sized(64, sample.Format{}, slow("1"))},
		"DRAM":           {sized(64, sample.Format{}, with("dram-bytes", "64")), sized(64, sample.Format{}, small), sized(64, sample.Format{}, with("dram-bytes", "0.1"))},
		"steps at once":  {sized(64, sample.Ternary, with("steps-at-once", "10")), sized(64, sample.Ternary, with("steps-at-once", "3")), sized(64, sample.Ternary, with("steps-at-once", "1"))},
		"no second copy": {sized(64, sample.Format{}, small), sized(64, sample.Format{}, with("double-buffering", "false"))},
	} {
		for i := 1; i < len(series); i++ {
			if *series[i].Cycles <= *series[i-1].Cycles {
				t.Errorf("%s: step %d takes %v cycles, the one before %v", name, i, *series[i].Cycles, *series[i-1].Cycles)
			}
			if name != "no second copy" && name != "DRAM" && name != "weight memory" && total(series[i].Energy) <= total(series[i-1].Energy) {
				t.Errorf("%s: step %d takes %v J, the one before %v", name, i, total(series[i].Energy), total(series[i-1].Energy))
			}
		}
	}
}

// Weights that do not fit are read from DRAM, and a note says which and how much.
func TestWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	l := sample.LSTM{Units: 64, Inputs: 7, Outputs: 3, Steps: 1}
	roomy, tight := cost(t, l, nil), cost(t, l, plugins.Values{"weight-kib": "8"})
	if !strings.Contains(strings.Join(roomy.Notes, "\n"), "fit into the 256 KiB") {
		t.Errorf("notes of a network that fits: %q", roomy.Notes)
	}
	var stored float64
	for _, name := range []string{backend.PartCodes, backend.PartLevels, backend.PartTables, backend.PartOutputLayer} {
		stored += part(t, tight.Memory, name)
	}
	outside := stored - 8*1024 + 2*32*32 // the weights of the array twice
	if want := fmt.Sprintf("%.1f of %.1f KiB", outside/1024, stored/1024); !strings.Contains(strings.Join(tight.Notes, "\n"), want) {
		t.Errorf("notes %q, want %q", tight.Notes, want)
	}
	// Wh, of 256 rows, is read ten times, as much as tables of one step, and comes first;
	// Wx, of which a step reads a column of seven, and the output, which is read once for all
	// ten steps, have no room.
	const wh, scales = 256 * 64, 4 * 256
	weights := float64(wh+scales-(8*1024-2*32*32))/(wh+scales)*wh*10 + 256*10 + 3*64
	const tables = 4 * (256*3 + 64*2 + 3) * 10
	const outputWeights, outputTables = 3 * 64, 4 * 3 * 10
	// The smaller memory has banks of half the words, which take less.
	costs := energy.Find("horowitz-cacti").In(energy.Process{Node: 45, Voltage: 0.9})
	smaller := costs.Read(1024) / costs.Read(2048)
	lanes := part(t, roomy.Energy, backend.PartNormalization) - 8*(tables-outputTables)*read
	for name, want := range map[string]float64{
		backend.PartDRAM:          part(t, roomy.Energy, backend.PartDRAM) + 8*(weights+tables)*8e-12,
		backend.PartWeightMemory:  part(t, roomy.Energy, backend.PartWeightMemory)*smaller + 8*(weights-outputWeights)*costs.Write(1024),
		backend.PartNormalization: lanes + 8*(tables-outputTables)*(read*smaller+costs.Write(1024)),
	} {
		if got := part(t, tight.Energy, name); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("%s takes %v J, want %v", name, got, want)
		}
	}
	// The array waits for the first weights alone, of 16 bytes a cycle; of one, for everything.
	if got, want := *tight.Cycles-*roomy.Cycles, 2*32*32/16.0; got != want {
		t.Errorf("%v cycles more, want %v", got, want)
	}
	slow := plugins.Values{"weight-kib": "8", "dram-bytes": "1"}
	if got, want := *cost(t, l, slow).Cycles, weights+tables+10*4*(1+3); !near(got, want) {
		t.Errorf("at a byte a cycle it takes %v cycles, want %v", got, want)
	}
	slow["double-buffering"] = "false" // and keeps room for one array
	if got, least := *cost(t, l, slow).Cycles, *roomy.Cycles+weights+tables-32*32*10; got < least {
		t.Errorf("without double buffering it takes %v cycles, want at least %v", got, least)
	}
}

// A network of which nearly everything fits keeps room for the weights of the array too.
func TestRoomForTheArray(t *testing.T) {
	t.Parallel()
	l := sample.LSTM{Units: 64, Inputs: 7, Outputs: 3, Steps: 1}
	var stored float64
	for _, p := range cost(t, l, nil).Memory {
		if p.Name != backend.PartState && p.Name != backend.PartWorkspace {
			stored += p.Value
		}
	}
	kib := int(stored / 1024) // a little less than all
	notes := strings.Join(cost(t, l, plugins.Values{"weight-kib": fmt.Sprint(kib)}).Notes, "\n")
	if want := fmt.Sprintf("%.1f of %.1f KiB", stored/1024-float64(kib)+2, stored/1024); !strings.Contains(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
}

// What stages leave to each other goes to DRAM and back where it has no room.
func TestSpilledValues(t *testing.T) {
	t.Parallel()
	all := programs.Programs()
	p := all[len(all)-1] // attention
	p.Steps = map[string]int{"text": 2000, "question": 3}
	roomy := costOf(t, p, plugins.Values{"steps-at-once": "1", "activation-kib": "1024"})
	tight := costOf(t, p, plugins.Values{"steps-at-once": "1", "activation-kib": "4"})
	spilled := 8 * (part(t, tight.Memory, backend.PartWorkspace) - 4*1024)
	if got, want := part(t, tight.Energy, backend.PartDRAM)-part(t, roomy.Energy, backend.PartDRAM), 2*spilled*8e-12; spilled <= 0 || math.Abs(got/want-1) > 1e-6 {
		t.Errorf("DRAM takes %v J more, want %v", got, want)
	}
}

func TestBadMachines(t *testing.T) {
	t.Parallel()
	p := programs.Programs()[1]
	for _, c := range []struct {
		options plugins.Values
		want    string
	}{
		{plugins.Values{"rows": "0"}, "rows"},
		{plugins.Values{"precision": "9"}, "precision"},
		{plugins.Values{"megahertz": "-1"}, "megahertz"},
		{plugins.Values{"dataflow": "row-stationary"}, "weight-stationary"},
		{plugins.Values{"rows": "1024", "columns": "1024"}, "weight-kib"},
	} {
		_, err := systolic.New().Deploy(t.Context(), backend.Deploy{Options: c.options, Network: p.Network, Weights: p.Weights})
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, c.want) {
			t.Errorf("%v: %v, want a problem that names %s", c.options, err, c.want)
		}
	}
	_, err := systolic.New().Deploy(t.Context(), backend.Deploy{Options: plugins.Values{"activation-kib": "1"}, Network: p.Network, Weights: p.Weights})
	if refused, ok := errors.AsType[*backend.ErrUnsupported](err); !ok || !strings.Contains(refused.Reason, `stage "scan"`) || !strings.Contains(refused.Reason, "activation-kib") {
		t.Errorf("values without room: %v, want ErrUnsupported that names the stage and the option", err)
	}
	if _, err := systolic.New().Cost(t.Context(), backend.CostRequest{}); err == nil {
		t.Error("Cost before Deploy: no error")
	}
	if _, err := systolic.New().Execute(t.Context(), backend.Execute{}); err == nil {
		t.Error("Execute before Deploy: no error")
	}
}
