package datapath

// Microcode is the step graph of a scan in the form that the control of the machine reads: an
// instruction for each operation that takes time, and the content of the memories. Moves, and
// sums that are values as they are, take no time: they are part of the instructions that read or
// write them.
type Microcode struct {
	Instructions []Micro
	ValueWords   int // of a bank of values
	SumWords     int
	Matrices     []Matrix
	Scales       []Scale
	Offsets      []int32
	Tables       []*functionTable
	Inputs       []int // address of each; −1 for tokens
	States       []Segment
	Output       []Segment
}

// Opcode is what an instruction does.
type Opcode int

// The instructions.
const (
	MicroMatVec Opcode = iota
	MicroLookup
	MicroScale
	MicroAdd
	MicroMultiply
	MicroTable
)

// Space is a memory that an operand is in.
type Space int

// The memories: values of this time step, values of the step before, sums.
const (
	Values Space = iota
	Previous
	Sums
)

// Operand is read at an address, divided by 2^Shift, rounded, and saturated to Bits.
type Operand struct {
	Space                Space
	Address, Shift, Bits int
}

// asItIs keeps all bits there are.
const asItIs = 60

// Segment is so many words that are read alike.
type Segment struct {
	Size int
	Operand
}

// Rows is a table with a row of RowWords for each time step. Each is 1 if every element
// has an entry of its own and 0 if all share one.
type Rows struct{ Address, Rows, RowWords, Each int }

// Scale is a factor as stored.
type Scale struct {
	Mantissa int16
	Shift    uint8
}

// Matrix is a weight as the units multiply by it: code by code, row by row.
type Matrix struct {
	Width      Width
	Rows, Cols int
	Codes      []int16
	// Signs says that a code 0 of one bit stands for −1, not for 0.
	Signs bool
	Both  bool // the two accumulators of a unit add up, one for +1 and one for −1
}

// Micro is an instruction.
type Micro struct {
	Op            Opcode
	Rows          int       // elements of the result
	Matrix        int       // of a product: its number
	X             []Segment // of a MatVec the operand, of the lanes their first
	Y             Operand
	XLeft, YLeft  int // of an Add: shifts that align the operands
	Token         int // of a Lookup: which input
	Scales        Rows
	Offsets       Rows
	Exponent      int // of a scale: the right shift where the stored one is 0
	Table         int
	Z             Operand // Shift and Bits are the conversion of the result
	Both          bool    // the second accumulators are written too
	SecondAddress int
}
