package asic

// energyTable is a named and versioned set of energies per event, in joules, by
// which a design's power is broken down. Published tables differ by 3 to 18 times
// on the same event, so a breakdown means little without the name of its table.
type energyTable struct {
	name        string
	about       string
	multiply    float64 // 12 by 12 bits
	add         float64 // 12 bits
	sramRead    float64 // per bit of weights and tables
	bufferRead  float64 // per bit of activations
	bufferWrite float64 // per bit of activations
}

// The sources of paperRecalled65nm, all for 45 nm, in picojoules.
const (
	// The fits to Horowitz (ISSCC 2014) in google/qkeras 78ea90f,
	// qtools/config_public.py, for b-bit integers:
	//
	//	mult(b) = 0.002994791667·b² + 0.001041666667·b;  add(b) = 0.003125·b
	multiply45 = 0.002994791667*12*12 + 0.001041666667*12
	add45      = 0.003125 * 12

	// CACTI as run by Accelergy (timeloop-accelergy-exercises 2d55108): a read of
	// 64 bits from 128 KB, and reads and writes of 16 bits in a buffer of 384 bytes,
	// which is half the hidden state of 512 units in 12 bits.
	sramRead45    = 32.29 / 64
	bufferRead45  = 0.628 / 16
	bufferWrite45 = 1.530 / 16

	// Energy at 65 nm over that at 45 nm (low power), both at 1.0 V, by the fits
	// a·V² + b·V + c of Stillmaker & Baas (Integration 58, 2017).
	from45 = (3.755 - 4.398 + 1.975) / (1.103 - 0.362 + 0.2767)
)

// paperRecalled65nm estimates the parts of the paper's designs: 0.66 pJ for a bit
// of a weight, 0.63 pJ for a 12-bit MAC and 0.05 pJ for an addition. With these a MAC
// of the 12-bit design takes 8.6 pJ, and the recalled table says 8.4 pJ. That is a
// calibration, not a proof: bank size, voltage and clock tree are free choices.
var paperRecalled65nm = energyTable{
	name:        "paper-recalled-65nm",
	about:       "Horowitz arithmetic and CACTI memories at 45 nm, scaled to 65 nm at 1.0 V by Stillmaker & Baas 2017; it meets the recalled 8.4 pJ per 12-bit MAC within 2 %",
	multiply:    multiply45 * from45 * pico,
	add:         add45 * from45 * pico,
	sramRead:    sramRead45 * from45 * pico,
	bufferRead:  bufferRead45 * from45 * pico,
	bufferWrite: bufferWrite45 * from45 * pico,
}

const pico = 1e-12
