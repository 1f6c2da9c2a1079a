package asic

import (
	"context"
	"slices"

	"bittern/accel/backends/internal/energy"
	"bittern/plugins"
	"bittern/plugins/backend"
)

func (s *simulator) Explain(ctx context.Context, options plugins.Values) (backend.Explanation, error) {
	_, m, err := s.resolve(options)
	if err != nil {
		return backend.Explanation{}, err
	}
	return backend.Explanation{
		Constants:   append(m.design.constants(), m.tableConstants()...),
		Formulas:    formulas,
		Calibration: residuals(m.costs.Table),
		Notes: []string{
			"energy table " + m.costs.Table.Name + ": " + m.costs.Table.About,
			m.factors.String() + "; the fit has the smallest sum of squares of the relative errors of power and of area over the paper's five designs, which are recalled, unverified",
			"the weight memories of the paper's designs have the depth, a power of two, whose area by ihp130-scaled is nearest to the published ones, and their ports were chosen when those areas were known: their bottom-up areas are no prediction, and their bottom-up powers are not independent of that choice",
			"chips that took no part in the fit have other units, memories and clocks than the paper's designs: the errors say how far the model carries",
			"energies and leakage are scaled between nodes and voltages by " + energy.ScalingSource,
		},
	}, ctx.Err()
}

// constants lists the figures of the design.
func (d Design) constants() []backend.Constant {
	of := func(name string, value float64, unit, key string) backend.Constant {
		c := backend.Constant{Name: name, Value: value, Unit: unit, Source: d.Source}
		if slices.Contains(d.Assumed, key) {
			c.Source = "an assumption"
		}
		return c
	}
	list := []backend.Constant{
		of("node", float64(d.Node), "nm", "node"),
		of("voltage", d.Voltage, "V", "voltage"),
		of("clock", d.ClockMHz, "MHz", "clock_mhz"),
		of("activation", float64(d.ActivationBits), "bits", "activation_bits"),
		of("lanes", float64(d.Lanes), "", "lanes"),
		of("activation memory, words", float64(d.Activations.Words), "", "activations"),
		of("function table, words", float64(d.Functions.Words), "", "functions"),
	}
	for _, w := range widths {
		c := d.column(w)
		list = append(list,
			of(w.String()+" column, units", float64(c.Units), "", "units"),
			of(w.String()+" column, accumulator", float64(c.AccumulatorBits), "bits", "accumulator_bits"),
			of(w.String()+" column, weight memory, words", float64(c.Weights.Words), "", "weights"),
			of(w.String()+" column, weight memory, banks", float64(c.Weights.Banks), "", "weights"),
			of(w.String()+" column, weight memory, port", float64(c.Weights.PortBits), "bits", "weights"),
			of(w.String()+" column, weight memory", c.Weights.bits()/8000, "KB", "weights"),
		)
	}
	if d.Root != nil {
		list = append(list, of("root unit, cycles of a root", float64(d.Root.Cycles), "", "root"))
	}
	if d.DRAM != nil {
		list = append(list, of("DRAM "+d.DRAM.Type, float64(d.DRAM.BitsPerCycle), "bits a cycle", "dram"))
	}
	return list
}

// tableConstants lists the figures of the energy table, scaled to the process of the design, and
// the factors of the calibration.
func (m model) tableConstants() []backend.Constant {
	const source = "fitted to the paper's five designs, see the calibration"
	return append(m.costs.Constants(),
		backend.Constant{Name: "factor of memory energy", Value: m.factors.Memory, Source: source},
		backend.Constant{Name: "factor of arithmetic and register energy", Value: m.factors.Logic, Source: source},
		backend.Constant{Name: "factor of memory area", Value: m.factors.MemoryArea, Source: source},
		backend.Constant{Name: "factor of unit area", Value: m.factors.LogicArea, Source: source},
	)
}

// formulas say how energy, cycles and areas follow from the constants.
var formulas = []backend.Formula{
	{Quantity: "cycles of a product of R × C on N units", Expression: "⌈R/N⌉ · C · s for each plane of the weight, s = ⌈N · bits of a weight / bits that the memory gives a cycle⌉"},
	{Quantity: "cycles of a look-up of R", Expression: "⌈R/N⌉ · s for each plane"},
	{Quantity: "cycles of an elementwise operation on R values", Expression: "⌈R / lanes⌉"},
	{Quantity: "cycles of a normalization of n values", Expression: "6 · ⌈n / lanes⌉ + 2 · ⌈log₂ min(n, lanes)⌉ + 1 + those of a root"},
	{Quantity: "cycles of a softmax over T steps", Expression: "5 · ⌈T / lanes⌉ + 2 · ⌈log₂ min(T, lanes)⌉ + those of a root"},
	{Quantity: "cycles of a step of a weighted sum of R values", Expression: "⌈R / lanes⌉"},
	{Quantity: "cycles of a sequence", Expression: "the schedule of all work over all time steps, what overlaps at the same time; without overlap the sum"},
	{Quantity: "arithmetic", Expression: "R · C · (add of the accumulator, with 12-bit weights + multiply); Add R · add of 24 bits; Mul R · multiply"},
	{Quantity: "weight memory", Expression: "R · C · bits of a weight · read"},
	{Quantity: "activation memory", Expression: "12 bits · (a read for each cycle of a product and each operand of a result of the lanes, a write for each result)"},
	{Quantity: "normalization", Expression: "of each scale-shift R · (multiply + add of 24 bits) + bits of a row of the tables · read"},
	{Quantity: "a normalization of n values", Expression: "normalization: s · (adds of 40 and 64 bits) + multiply of 40 by 24 bits + root + n · (4 · multiply + 2 adds of 24 bits), s = n + min(n, lanes) − 1; activation memory: 24 bits · n · (3 reads + 2 writes); clock and control: n · 152 bits · register"},
	{Quantity: "attention", Expression: "softmax over T steps: s · (adds of 24 and 64 bits) + root + T · (add of 24 bits + 2 · multiply + 12 bits · read of a function table + 64 bits · read + 32 bits · write + 144 bits · register), s = T + min(T, lanes) − 1; a step of a weighted sum of R values: R · (multiply + add of 24 bits + 36 bits · read + 24 bits · write + 24 bits · register) + 16 bits · read"},
	{Quantity: "root", Expression: "12 bits · read of 192 words + add of 26 bits + multiply of 12 by 12, 24 by 24, 12 by 26 and 17 by 17 bits"},
	{Quantity: "nonlinear units", Expression: "R · 12 bits · read of a function table"},
	{Quantity: "clock and control", Expression: "register · (cycles · (N · (accumulator + weight bits) + activation bits) of a product, 24 bits for each result of the lanes)"},
	{Quantity: "leakage", Expression: "(memory bits · leakage of a bit + area of logic · its leakage) · seconds"},
	{Quantity: "DRAM", Expression: "share of the weights that do not fit · bits used · energy of a bit; the time is the longer of the transfer and the work"},
	{Quantity: "area of a column", Expression: "N · (adder + register of the accumulator, with 12-bit weights + multiplier) + bits of the weight memory · area of a bit"},
	{Quantity: "area of the root unit and wide sums", Expression: "multiplier of 24 by 26 bits + adder of 26 bits + registers of 166 bits + table of 192 · 12 bits + lanes · 40 bits of adder and register"},
}
