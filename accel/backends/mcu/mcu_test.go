package mcu_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"bittern/accel/backends/mcu"
	"bittern/internal/sample"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	programs "bittern/plugins/network/sample"
	"bittern/plugins/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Backend(t, mcu.New, plugins.Values{"part": "stm32l4r5", "weights": "bytes", "megahertz": "48"}).Want(t)
}

func deploy(t *testing.T, l sample.LSTM, options plugins.Values) (backend.Backend, error) {
	t.Helper()
	g, weights := l.Build()
	b := mcu.New()
	_, err := b.Deploy(t.Context(), backend.Deploy{Options: options, Network: network.Scanned("test", g), Weights: weights})
	return b, err
}

// cost is that of so many steps.
func cost(t *testing.T, l sample.LSTM, options plugins.Values, steps int) backend.Cost {
	t.Helper()
	b, err := deploy(t, l, options)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Cost(t.Context(), backend.CostRequest{Steps: map[string]int{"sequence": steps}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func values(parts []backend.Part) map[string]float64 {
	m := map[string]float64{}
	for _, p := range parts {
		m[p.Name] = p.Value
	}
	return m
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// By hand, of an LSTM of 5 units and 7 symbols with 3 outputs, by the package comment. A
// step is
//
//	Wh·h, 20 × 5         10·(2·(12 + 2u) + 13) + 9·20 for each plane
//	output, 3 × 5         2·(2·(12 + 8) + 13) + 9·3             133
//	h rounded, twice      2·(16·5 + 14)                         188
//	look-up               10·20 for each plane
//	BN(Wh·h), BN(Wx·x)    20·(11 + 8)                           380
//	their sum             20·8                                  160
//	g, tanh(c)            2·5·43;  f, i, o  3·5·41             1045
//	f∘c, i∘g, c', h'      4·5·8                                 160
//	BN(c')                5·11                                   55
//	bias                  3·8                                    24
//
// and 4 cycles for each 64 bits of weights and for the 73 numbers of the tables.
func TestCyclesByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		format  sample.Format
		options plugins.Values
		unpack  float64
		bits    float64 // in flash, of a weight of a plane
		planes  float64
	}{
		{"binary", sample.Binary, nil, 4.25, 1, 1},
		{"ternary", sample.Ternary, nil, 4.5, 2, 1},
		{"4 bits", sample.Uniform, nil, 7, 4, 1},
		{"full precision", sample.Format{}, nil, 4, 8, 1},
		{"two planes", sample.TwoPlanes, nil, 4.25, 1, 2},
		{"binary in bytes", sample.Binary, plugins.Values{"weights": "bytes"}, 4, 8, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := cost(t, sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: c.format, Seed: 1}, c.options, 10)
			want := map[string]float64{
				backend.PartArithmetic: c.planes*(10*(2*(12+2*c.unpack)+13)+9*20) + (c.planes-1)*3*20 + 188/2 +
					c.planes*10*20 + (c.planes-1)*3*20 + 160 + 160,
				backend.PartWeightMemory:  4 * c.planes * c.bits * (20*5 + 20) / 64,
				backend.PartNormalization: 380 + 55 + 4*32*70/64,
				backend.PartNonlinear:     1045,
				backend.PartOutputLayer:   133 + 188/2 + 24 + 4*8*3*5/64. + 4*32*3/64.,
			}
			cycles, energy := 0.0, values(got.Energy)
			for _, p := range got.Energy {
				if p.Outside != (p.Name == backend.PartOutputLayer) {
					t.Errorf("%s is outside of the recurrent layers: %v", p.Name, p.Outside)
				}
			}
			for name, n := range want {
				cycles += 10 * n
				if joules := 10 * n * 79e-12 * 3; !near(energy[name], joules) {
					t.Errorf("%s takes %v J, want %v", name, energy[name], joules)
				}
			}
			if !near(*got.Cycles, cycles) || !near(*got.Seconds, cycles/80e6) || len(energy) != len(want) {
				t.Errorf("%v cycles, %v s, want %v, %v", *got.Cycles, *got.Seconds, cycles, cycles/80e6)
			}
			if got.Area != nil || got.Missing["area"] == "" {
				t.Error("want no area, and the reason")
			}
		})
	}
}

func TestMemoryByHand(t *testing.T) {
	t.Parallel()
	got := values(cost(t, sample.LSTM{Units: 5, Inputs: 7, Outputs: 3, Steps: 4, Format: sample.Ternary, Seed: 1}, nil, 10).Memory)
	for name, want := range map[string]float64{
		backend.PartCodes:       2 * 20 * 4,                 // rows of 10 and 14 bits, in words
		backend.PartLevels:      2*2048 + 4*(1+1+3),         // look-up tables; a scale, and one a row of the output
		backend.PartTables:      4 * (4*(20+20+20+5+5) + 3), // four time steps, and the bias
		backend.PartState:       2 * 5 * 4,
		backend.PartOutputLayer: 3 * 8,
		// A token, five vectors of 20, ten of 5, and 3 twice; h rounded twice; the states.
		backend.PartWorkspace: 4 + 4*(5*20+10*5+2*3) + 2*5 + 2*5*4,
	} {
		if got[name] != want {
			t.Errorf("memory of %s is %v bytes, want %v", name, got[name], want)
		}
	}
}

// Wider weights and more waiting never cost less.
func TestMonotone(t *testing.T) {
	t.Parallel()
	cycles := func(units int, format sample.Format, options plugins.Values) float64 {
		return *cost(t, sample.LSTM{Units: units, Inputs: 7, Outputs: 3, Steps: 1, Format: format}, options, 5).Cycles
	}
	for name, series := range map[string][]float64{
		// Bytes take less unpacking than codes of 4 bits do.
		"bits":        {cycles(64, sample.Binary, nil), cycles(64, sample.Ternary, nil), cycles(64, sample.Format{}, nil), cycles(64, sample.Uniform, nil)},
		"wait states": {cycles(9, sample.Binary, plugins.Values{"wait-states": "0"}), cycles(9, sample.Binary, nil)},
	} {
		if !slices.IsSorted(series) || series[0] == series[len(series)-1] {
			t.Errorf("%s: cycles are %v, want them to grow", name, series)
		}
	}
}

// The paper's network of War & Peace, 512 units and 87 symbols: binary weights fit
// into the flash of one part and not of a smaller one, and full precision, here 8 bits,
// takes more than a MiB.
func TestWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	paper := func(format sample.Format) sample.LSTM {
		return sample.LSTM{Units: 512, Inputs: 87, Outputs: 87, Steps: 1, Format: format}
	}
	for _, c := range []struct {
		lstm sample.LSTM
		part string
		want string // empty where it fits
	}{
		{paper(sample.Binary), "stm32l476", ""},
		{paper(sample.Binary), "stm32l412", "KiB of flash, and the stm32l412 has 128"},
		{paper(sample.Format{}), "stm32l476", "KiB of flash, and the stm32l476 has 1024"},
		{paper(sample.Format{}), "stm32l4r5", ""},
		{sample.LSTM{Units: 5, Inputs: 7, Outputs: 5000, Steps: 1, Format: sample.Binary}, "stm32l476", ""},
		{sample.LSTM{Units: 5, Inputs: 7, Outputs: 5000, Steps: 1, Format: sample.Binary}, "stm32l412", "KiB of SRAM, and the stm32l412 has 40"},
	} {
		_, err := deploy(t, c.lstm, plugins.Values{"part": c.part})
		refused, ok := errors.AsType[*backend.ErrUnsupported](err)
		if c.want == "" && err != nil || c.want != "" && (!ok || !strings.Contains(refused.Reason, c.want)) {
			t.Errorf("%d units, %d outputs, %v on %s: %v, want %q", c.lstm.Units, c.lstm.Outputs, c.lstm.Format, c.part, err, c.want)
		}
	}
	// What a text leaves to the attention grows with its steps.
	all := programs.Programs()
	p := all[len(all)-1]
	b := mcu.New()
	if _, err := b.Deploy(t.Context(), backend.Deploy{Options: plugins.Values{"part": "stm32l412"}, Network: p.Network, Weights: p.Weights}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Cost(t.Context(), backend.CostRequest{Steps: map[string]int{"text": 1000, "question": 3}})
	if refused, ok := errors.AsType[*backend.ErrUnsupported](err); !ok || !strings.Contains(refused.Reason, "SRAM") {
		t.Errorf("a text of 1000 steps: %v, want ErrUnsupported", err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	l := sample.LSTM{Units: 3, Inputs: 4, Outputs: 3, Steps: 1, Format: sample.Binary}
	for _, c := range []struct{ name, value, want string }{
		{"part", "stm32f4", "stm32l476"}, {"megahertz", "100", "80 MHz"}, {"megahertz", "-1", "megahertz"},
		{"volts", "5", "volts"}, {"wait-states", "16", "wait-states"}, {"microamperes-per-megahertz", "0", "microamperes"},
	} {
		_, err := deploy(t, l, plugins.Values{c.name: c.value})
		if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, c.want) {
			t.Errorf("%s=%s: %v, want a problem that names %q", c.name, c.value, err, c.want)
		}
	}
	if _, err := mcu.New().Cost(t.Context(), backend.CostRequest{}); err == nil {
		t.Error("Cost before Deploy: no error")
	}
	if _, err := mcu.New().Execute(t.Context(), backend.Execute{}); err == nil {
		t.Error("Execute before Deploy: no error")
	}
}
