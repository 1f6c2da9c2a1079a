package mcu

import "math"

// part is a microcontroller.
type part struct {
	flashKiB, sramKiB int
	megahertz         float64 // the fastest clock
}

// parts are STM32L4 microcontrollers with a Cortex-M4F core. Sizes and clocks: data sheet
// DS12469 Rev 7 of the STM32L412, and the boards' pages in RIOT's documentation.
var parts = map[string]part{
	"stm32l412": {128, 40, 80},
	"stm32l452": {512, 160, 80},
	"stm32l476": {1024, 128, 80},
	"stm32l4r5": {2048, 640, 120},
}

// currentSource says where the current of a part is from. The core draws it whatever it does.
const currentSource = "79 µA/MHz in run mode, data sheet DS12469 Rev 7"

// What a program takes besides the network, in KiB: assumptions.
const (
	codeKiB  = 32 // of flash
	stackKiB = 4  // of SRAM
)

// The cycles of instructions of the Cortex-M4F without wait states. Those of integer
// arithmetic and of the floating-point unit are read in TI's SWCU192 (November 2021),
// tables 3-25 and 3-27; those of integer loads and stores, branches and SIMD are recalled
// from Arm's technical reference manual, not read.
const (
	integerOp  = 1 // move, shift, bit field, multiply
	simd       = 1 // SXTB16, SMLAD: recalled
	load       = 2 // a word: recalled
	store      = 2 // a word, of which the buffer hides one: recalled
	loadPair   = 3 // LDRD: recalled
	branch     = 3 // taken, 1 + P with P = 2: recalled
	floatOp    = 1 // add, multiply, compare, absolute value, convert, move of a register
	floatLoad  = 2
	floatStore = 2 // as the load
	division   = 14
	root       = 14 // as the division
)

// The loop of an elementwise operation is unrolled four times.
const loop = (integerOp + branch) / 4.0

// exponential is e^x, counted by hand: two conversions, four operations to reduce the range,
// a polynomial of degree 6, and the power of two.
const exponential = 2*floatOp + 4*floatOp + 6*2*floatOp + 2*integerOp

// compare is a floating-point comparison with a conditional move: VCMP, VMRS, IT, VMOV.
const compare = 4 * floatOp

// kernel is how the weights of a plane are kept and unpacked.
type kernel struct {
	bits       int     // that a weight takes in flash
	unpack     float64 // cycles for four weights of a row, in pairs of 16 bits
	tableBytes int     // that codes are looked up in
}

// kernelOf chooses by the width of codes and the largest size of a weight. With bytes, no
// code is kept packed.
func kernelOf(width, most int, bytes bool) kernel {
	switch {
	case most > math.MaxInt8: // pairs of 16 bits as they are
		return kernel{bits: 16, unpack: 2 * load}
	case width > 4 || bytes:
		return kernel{bits: 8, unpack: load + 2*simd}
	case width > 2: // two codes make an entry of one pair
		return kernel{bits: 4, unpack: 2*(integerOp+load) + load*4*4/32.0, tableBytes: 256 * 4}
	case width == 2: // four codes make an entry of two pairs
		return kernel{bits: 2, unpack: integerOp + loadPair + load*4*2/32.0, tableBytes: 256 * 8}
	default:
		return kernel{bits: 1, unpack: integerOp + loadPair + load*4*1/32.0, tableBytes: 16 * 8}
	}
}

// block returns the cycles of two rows times four elements: to load and extend the elements,
// to unpack the weights of both rows, four multiply-accumulates of pairs, and the loop.
func (k kernel) block() float64 {
	return load + 2*simd + 2*k.unpack + 4*simd + integerOp + branch
}
