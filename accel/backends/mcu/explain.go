package mcu

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/backend"
)

// Explain lists the part's figures, the cycles of instructions and the formulas of the
// package comment. Nothing is fitted or measured.
func (s *simulator) Explain(ctx context.Context, given plugins.Values) (backend.Explanation, error) {
	m, o, err := resolve(given)
	if err != nil {
		return backend.Explanation{}, err
	}
	const (
		sheet    = "data sheet DS12469 Rev 7 of the STM32L412; of the others, the boards' pages in RIOT's documentation"
		manual   = "TI SWCU192 (November 2021), tables 3-25 and 3-27"
		recalled = "Arm's technical reference manual of the Cortex-M4, recalled, unverified"
		assumed  = "assumed"
	)
	cycles := func(name string, value float64, source string) backend.Constant {
		return backend.Constant{Name: name, Value: value, Unit: "cycles", Source: source}
	}
	return backend.Explanation{
		Constants: []backend.Constant{
			{Name: m.name + ", flash", Value: float64(m.part.flashKiB), Unit: "KiB", Source: sheet},
			{Name: m.name + ", SRAM", Value: float64(m.part.sramKiB), Unit: "KiB", Source: sheet},
			{Name: "clock", Value: m.clock / 1e6, Unit: "MHz", Source: "the part's fastest, or an option"},
			{Name: "current of the whole part", Value: o.Float(microamperes), Unit: "µA/MHz", Source: currentSource + "; assumed for the others of the series"},
			{Name: "supply", Value: o.Float(volts), Unit: "V", Source: assumed},
			{Name: "energy of a cycle", Value: m.perCycle * 1e12, Unit: "pJ", Source: "current · supply"},
			{Name: "code", Value: codeKiB, Unit: "KiB of flash", Source: assumed},
			{Name: "stack", Value: stackKiB, Unit: "KiB of SRAM", Source: assumed},
			cycles("wait states of 64 bits of flash", float64(m.waitStates), assumed),
			cycles("move, shift, bit field, multiply", integerOp, manual),
			cycles("multiplication and addition of pairs, extension", simd, recalled),
			cycles("load, store of a word", load, recalled),
			cycles("load of two words", loadPair, recalled),
			cycles("branch taken", branch, recalled),
			cycles("float32 addition, multiplication, comparison, conversion", floatOp, manual),
			cycles("float32 load, store", floatLoad, manual),
			cycles("float32 division, root", division, manual),
			cycles("e^x", exponential, assumed),
		},
		Formulas: []backend.Formula{
			{Quantity: "cycles of a plane of R rows and C columns", Expression: "⌈R/2⌉ · (⌈C/4⌉·(12 + 2u) + 13) + 9R, u the cycles that unpack four weights"},
			{Quantity: "u", Expression: "1 bit 4.25, 2 bits 4.5, 3 and 4 bits 7, bytes 4, 16 bits 4; look-ups of less than 8 bits are assumed"},
			{Quantity: "cycles of flash", Expression: "bits of weights and tables / 64 · wait states"},
			{Quantity: "energy of a part", Expression: "its cycles · energy of a cycle"},
			{Quantity: arithmetic, Expression: "cycles of products, roundings, look-ups, sums and products of elements"},
			{Quantity: weightMemory, Expression: "cycles that the core waits for weights"},
			{Quantity: normalization, Expression: "cycles of ScaleShift and of Normalize (17 an element, 56 a vector), and that the core waits for tables"},
			{Quantity: nonlinear, Expression: "cycles of sigmoid (41), tanh (43) and rounding (20)"},
			{Quantity: "other layers", Expression: "all cycles of what is no recurrent layer, such as the output layer; of the attention, softmax (42 a step and 14) and weighted sum"},
		},
		Notes: []string{
			"products are the loop of CMSIS-NN's arm_nn_vec_mat_mult_t_s8 (ARM-software/CMSIS-NN 058a6a1) on a Cortex-M4F; the package comment has every other operation",
			"the core draws the same current whatever it does, so the parts of the energy are those of the cycles",
			"nothing is fitted or measured, and the part has no area in its data sheet",
		},
	}, ctx.Err()
}
