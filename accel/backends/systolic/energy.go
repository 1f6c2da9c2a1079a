package systolic

// energyTable is a named set of energies per event, in joules, and of areas, in mm².
type energyTable struct {
	name, about string

	floatAdd, floatMultiply         float64 // float32
	weightRead, weightWrite         float64 // a bit of the weight memory
	activationRead, activationWrite float64 // a bit of the activation memory
	register                        float64 // a bit of a register that is clocked
	leakage                         float64 // watts of a KiB of memory

	registerArea, memoryArea, multiplierArea, laneArea float64 // of a bit, a bit, a bit of weight times a bit of activation, a lane
}

const (
	pico        = 1e-12
	squareMicro = 1e-6 // mm²
)

// horowitzCACTI45nm is of 45 nm, unless said. Areas and registers are of two nodes that
// are near each other, which is an approximation.
var horowitzCACTI45nm = energyTable{
	name:  "horowitz-cacti-45nm",
	about: "arithmetic of Horowitz (ISSCC 2014) at 45 nm and 0.9 V, memories of CACTI at 45 nm, registers and lanes of Aladdin at 40 nm",

	// Horowitz, ISSCC 2014, as quoted by google/qkeras 78ea90f, qtools/config_public.py.
	floatAdd: 0.9 * pico, floatMultiply: 3.7 * pico,
	// CACTI as run by Accelergy (timeloop-accelergy-exercises 2d55108): words of 64 bits in
	// banks of 64 KB, of which one is read or written at a time.
	weightRead: 25.87 / 64 * pico, weightWrite: 19.65 / 64 * pico,
	activationRead: 25.87 / 64 * pico, activationWrite: 19.65 / 64 * pico,
	// Aladdin at 40 nm (accelergy-aladdin-plug-in 5e2e126, data/register.csv), a bit.
	register: 0.009 * pico, registerArea: 5.98 * squareMicro,
	// The same CACTI run, of 128 KB: 3.34 fJ a nanosecond, 429,746 µm².
	leakage: 3.34e-6 / 128, memoryArea: 429746 * squareMicro / (128 * 1024 * 8),
	// A MAC unit of 8 × 8 bits in Accelergy's simple_weight_stationary at 45 nm, whose
	// adder of 16 bits is left in.
	multiplierArea: 417 * squareMicro / 64,
	// A 32-bit adder and multiplier of Aladdin at 40 nm and 1 ns, in place of float32 ones,
	// whose multiplier has 24 bits.
	laneArea: (278 + 6350) * squareMicro,
}

// add is of so many bits and multiply of one number of some bits by another: the fits to
// Horowitz in google/qkeras 78ea90f, qtools/config_public.py,
//
//	add(b) = 0.003125·b;  mult(b) = 0.002994791667·b² + 0.001041666667·b
//
// in picojoules, with b² taken as the product of the two widths and b as their mean.
func add(bits int) float64 { return 0.003125 * float64(bits) * pico }

func multiply(a, b int) float64 {
	return (0.002994791667*float64(a*b) + 0.001041666667*float64(a+b)/2) * pico
}

// dram is the energy of a bit by the type of memory: of accelergy-cacti-plug-in 291018b,
// which cites public data for LPDDR4, Malladi et al. (ISCA 2012) for mobile LPDDR and
// Chatterjee et al. (MICRO 2017) for DDR3.
var dram = map[string]float64{"lpddr4": 8 * pico, "lpddr": 40 * pico, "ddr3": 70 * pico}
