package systolic

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/backend"
)

// Explain lists the figures of the energy table and the formulas of the package comment.
// Nothing is fitted, and no silicon with these options is known to hold it against.
func (s *simulator) Explain(ctx context.Context, given plugins.Values) (backend.Explanation, error) {
	m, o, err := resolve(given)
	if err != nil {
		return backend.Explanation{}, err
	}
	const (
		node     = "45 nm"
		horowitz = "Horowitz, ISSCC 2014, as fitted in google/qkeras 78ea90f, qtools/config_public.py"
		cacti    = "CACTI by Accelergy (timeloop-accelergy-exercises 2d55108), 64-bit words in banks of 64 KB"
		aladdin  = "Aladdin at 40 nm (accelergy-aladdin-plug-in 5e2e126)"
		areas    = "CACTI by Accelergy (timeloop-accelergy-exercises 2d55108), 128 KB"
		option   = "an option; its default is an assumption"
	)
	e := m.energy
	picojoules := func(name string, joules float64, unit, source string) backend.Constant {
		return backend.Constant{Name: name, Value: joules / pico, Unit: unit, Node: node, Source: source}
	}
	squareMicrons := func(name string, area float64, unit, source string) backend.Constant {
		return backend.Constant{Name: name, Value: area / squareMicro, Unit: unit, Node: node, Source: source}
	}
	constants := []backend.Constant{
		{Name: "array, rows", Value: float64(m.array.rows), Source: option},
		{Name: "array, columns", Value: float64(m.array.columns), Source: option},
		{Name: "weight of a pass", Value: float64(m.precision), Unit: "bits", Source: option},
		{Name: "activation", Value: float64(m.activationBits), Unit: "bits", Source: option},
		{Name: "lanes", Value: float64(m.lanes), Source: option},
		{Name: "clock", Value: m.clock / 1e6, Unit: "MHz", Source: option},
		{Name: "weight memory", Value: float64(m.weightKiB), Unit: "KiB", Source: option},
		{Name: "activation memory", Value: float64(m.activationKiB), Unit: "KiB", Source: option},
		{Name: "DRAM " + o.Text(dramType), Value: m.dramBits, Unit: "bits a cycle", Source: option},
		picojoules("addition to a sum", add(sumBits), "pJ", horowitz),
	}
	if m.precision > 1 {
		constants = append(constants, picojoules("multiplication", multiply(m.precision, m.activationBits), "pJ", horowitz))
	}
	return backend.Explanation{
		Constants: append(constants,
			picojoules("float32 addition", e.floatAdd, "pJ", horowitz),
			picojoules("float32 multiplication", e.floatMultiply, "pJ", horowitz),
			picojoules("weight memory, read", e.weightRead, "pJ/bit", cacti),
			picojoules("weight memory, write", e.weightWrite, "pJ/bit", cacti),
			picojoules("activation memory, read", e.activationRead, "pJ/bit", cacti),
			picojoules("activation memory, write", e.activationWrite, "pJ/bit", cacti),
			picojoules("register", e.register, "pJ/bit", aladdin),
			backend.Constant{Name: "DRAM " + o.Text(dramType), Value: m.dramEnergy / pico, Unit: "pJ/bit", Source: "accelergy-cacti-plug-in 291018b"},
			backend.Constant{Name: "leakage of memory", Value: e.leakage * 1e9, Unit: "nW/KiB", Node: node, Source: areas},
			squareMicrons("area of a register", e.registerArea, "µm²/bit", aladdin),
			squareMicrons("area of memory", e.memoryArea, "µm²/bit", areas),
			squareMicrons("area of a multiplier", e.multiplierArea, "µm² a bit of each operand", "a MAC of 8 × 8 bits in Accelergy's simple_weight_stationary"),
			squareMicrons("area of a lane", e.laneArea, "µm²", aladdin),
		),
		Formulas: []backend.Formula{
			{Quantity: "cycles of a product, weight-stationary", Expression: "⌈K/R⌉ · ⌈N/C⌉ · (2R + C + M − 2) for each pass"},
			{Quantity: "cycles of a product, output-stationary", Expression: "⌈M/R⌉ · ⌈N/C⌉ · (R + C + K − 2) for each pass"},
			{Quantity: "cycles of a product, input-stationary", Expression: "⌈K/R⌉ · ⌈M/C⌉ · (2R + C + N − 2) for each pass"},
			{Quantity: "passes of a plane", Expression: "⌈bits of a code / precision⌉"},
			{Quantity: "cycles of an elementwise operation on S values", Expression: "⌈S / lanes⌉; Normalize 3⌈S/lanes⌉ + 2⌈log₂ lanes⌉ + 16"},
			{Quantity: "time", Expression: "with double buffering first + max(compute, DRAM − first), else compute + DRAM"},
			{Quantity: backend.PartArithmetic, Expression: "products of a pass · (addition of 32 bits, with a precision above 1 + multiplication)"},
			{Quantity: backend.PartWeightMemory, Expression: "bits of codes read for each fold · read, and those from DRAM · write"},
			{Quantity: backend.PartActivationMemory, Expression: "bits read · read + bits written · write, of what the array and the vector unit take and give"},
			{Quantity: backend.PartNormalization, Expression: "bits of tables · read, and those from DRAM · write"},
			{Quantity: elementwise, Expression: "float32 multiplications and additions of the vector unit"},
			{Quantity: backend.PartClock, Expression: "register · array cycles · R · C · (32 + activation bits)"},
			{Quantity: backend.PartDRAM, Expression: "bits · energy of a bit"},
			{Quantity: backend.PartLeakage, Expression: "KiB of memory · leakage · seconds"},
		},
		Notes: []string{
			"cycles of products are SCALE-Sim's without stalls (Samajdar et al., arXiv 1811.02883 and ISPASS 2020; scalesim-project/scale-sim-v2 11a8413): a product has N outputs, depth K and M vectors, the array R rows and C columns",
			"nothing is fitted, and no chip of this kind is known to hold the model against",
			"wires, control, pads, the clocks of the vector unit and the leakage of logic are left out",
		},
	}, ctx.Err()
}
