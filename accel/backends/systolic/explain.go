package systolic

import (
	"context"
	"fmt"

	"bittern/accel/backends/internal/energy"
	"bittern/plugins"
	"bittern/plugins/backend"
)

// Explain lists the options that the figures depend on, the table of energies in the
// machine's process, and the formulas of the package comment.
func (s *simulator) Explain(ctx context.Context, given plugins.Values) (backend.Explanation, error) {
	m, _, err := resolve(given)
	if err != nil {
		return backend.Explanation{}, err
	}
	return backend.Explanation{
		Constants: append(m.optionConstants(), append(m.memoryConstants(), m.costs.Constants()...)...),
		Formulas:  formulas,
		Notes: []string{
			"cycles of products are SCALE-Sim's without stalls (Samajdar et al., arXiv 1811.02883 and ISPASS 2020; scalesim-project/scale-sim-v2 11a8413): a product has N outputs, depth K and M vectors, the array R rows and C columns",
			"energy table " + m.costs.Table.Name + ": " + m.costs.Table.About + " Nothing is fitted, and no chip of this kind is known to hold the model against",
			"energies and leakage are scaled between nodes and voltages by " + energy.ScalingSource,
			fmt.Sprintf("a root or a division is two steps of Newton's method from a table of 8 bits, in float32: %d cycles, %d or %d multiplications and %d additions, an assumption", latency, rootMultiplies, divideMultiplies, newtonAdds),
			"wires, control, pads, the clocks of the vector unit and its tables are left out",
		},
	}, ctx.Err()
}

func (m *machine) optionConstants() []backend.Constant {
	option := func(name string, value float64, unit string) backend.Constant {
		return backend.Constant{Name: name, Value: value, Unit: unit, Source: "an option; its default is an assumption"}
	}
	return []backend.Constant{
		option("array, rows", float64(m.array.rows), ""),
		option("array, columns", float64(m.array.columns), ""),
		option("weight of a pass", float64(m.precision), "bits"),
		option("activation", float64(m.activationBits), "bits"),
		option("lanes", float64(m.lanes), ""),
		option("clock", m.clock/1e6, "MHz"),
		option("node", float64(m.costs.Process.Node), "nm"),
		option("voltage", m.costs.Process.Voltage, "V"),
		option("weight memory", float64(m.weightKiB), "KiB"),
		option("activation memory", float64(m.activationKiB), "KiB"),
		option("DRAM "+m.dram, m.dramBits, "bits a cycle"),
		{Name: "words of a bank of memory, at most", Value: bankWords, Source: fmt.Sprintf("an assumption, as are its %d bits", wordBits)},
	}
}

// memoryConstants are the energies of the memories' banks.
func (m *machine) memoryConstants() []backend.Constant {
	var list []backend.Constant
	for _, memory := range []struct {
		name string
		kib  int
	}{{backend.PartWeightMemory, m.weightKiB}, {backend.PartActivationMemory, m.activationKiB}} {
		words := bank(memory.kib)
		source := fmt.Sprintf("a bank of %d words between those of the table, straight on logarithmic scales", words)
		list = append(list,
			backend.Constant{Name: memory.name + ", read", Value: m.costs.Read(words) * 1e12, Unit: "pJ/bit", Node: m.costs.Process.String(), Source: source},
			backend.Constant{Name: memory.name + ", write", Value: m.costs.Write(words) * 1e12, Unit: "pJ/bit", Node: m.costs.Process.String(), Source: source})
	}
	return list
}

var formulas = []backend.Formula{
	{Quantity: "cycles of a product, weight-stationary", Expression: "⌈K/R⌉ · ⌈N/C⌉ · (2R + C + M − 2) for each pass"},
	{Quantity: "cycles of a product, output-stationary", Expression: "⌈M/R⌉ · ⌈N/C⌉ · (R + C + K − 2) for each pass"},
	{Quantity: "cycles of a product, input-stationary", Expression: "⌈K/R⌉ · ⌈M/C⌉ · (2R + C + N − 2) for each pass"},
	{Quantity: "passes of a plane", Expression: "⌈bits of a code / precision⌉"},
	{Quantity: "cycles of an elementwise operation on S values", Expression: "⌈S / lanes⌉; Normalize 3⌈S/lanes⌉ + 2⌈log₂ lanes⌉ + 16; softmax 4⌈S/lanes⌉ + 2⌈log₂ lanes⌉ + 16"},
	{Quantity: "time", Expression: "with double buffering first + max(compute, DRAM − first), else compute + DRAM"},
	{Quantity: arithmetic, Expression: "products of a pass · (addition of 32 bits, with a precision above 1 + multiplication) + float32 of roundings, scales, sums and products"},
	{Quantity: backend.PartWeightMemory, Expression: "bits of codes read for each fold · read, and those from DRAM · write"},
	{Quantity: backend.PartActivationMemory, Expression: "bits read · read + bits written · write, of what the array and the vector unit take and give"},
	{Quantity: normalization, Expression: "float32 of ScaleShift and Normalize + bits of tables · read, and those from DRAM · write"},
	{Quantity: nonlinear, Expression: "float32 of Sigmoid, Tanh, Round and softmax"},
	{Quantity: backend.PartClock, Expression: "register · array cycles · R · C · (32 + activation bits)"},
	{Quantity: "other layers", Expression: "all of the above of what is no recurrent layer, such as the output layer; of the attention, softmax and weighted sum"},
	{Quantity: backend.PartDRAM, Expression: "bits · energy of a bit"},
	{Quantity: backend.PartLeakage, Expression: "(bits of memory · leakage of a bit + area of logic · its leakage) · seconds"},
	{Quantity: "area of an element", Expression: "adder of 32 bits + registers of 32 + activation + weight bits, with a precision above 1 + multiplier"},
	{Quantity: "area of a lane", Expression: "multiplier and adder of 32 bits, in place of float32 ones"},
}
