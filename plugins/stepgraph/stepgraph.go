// Package stepgraph describes one time step of recurrent layers, or a computation
// that is done once, as a small graph of operations. A scan of a network's program
// runs one along a stream, or once; see package network.
//
// Every value in a graph is a vector of float32. A node names its inputs: graph
// inputs, states (their value before the step) or earlier nodes. Recurrent
// edges are the states: State.Next names the node whose value the state takes
// for the next step.
package stepgraph

import "math"

// Op is what a node computes. x, y are its inputs in order, W its weight.
type Op string

// The operations.
const (
	MatVec     Op = "matvec"      // W·x, W is [Size, len(x)]
	Lookup     Op = "lookup"      // column x of W, x a token; W is [Size, vocabulary]
	Add        Op = "add"         // x + y
	Mul        Op = "mul"         // x ∘ y
	Sigmoid    Op = "sigmoid"     // 1/(1+e^−x)
	Tanh       Op = "tanh"        // tanh x
	ScaleShift Op = "scale-shift" // Scale[t] ∘ x + Shift[t]
	Slice      Op = "slice"       // x[Offset : Offset+Size]
	Concat     Op = "concat"      // x then y

	// Normalize is (x − mean(x)) / √(var(x) + Epsilon), with mean and biased
	// variance over the Size values of x: layer normalization without its gain
	// and bias (Ba et al., arXiv 1607.06450, equation 3).
	Normalize Op = "normalize"

	// Round is the nearest of 2^Bits evenly spaced levels from −1 to 1; see [Rounded].
	Round Op = "round"
)

// MostBits is the largest number of bits of a Round.
const MostBits = 8

// Rounded is the value of a Round of x with a number of bits: the nearest of the levels −1,
// −1+2/n, …, 1−2/n, 1, where n = 2^bits − 1. Halfway between two levels it is the upper one,
// so that one bit is the sign, with +1 at 0:
//
//	min(1, max(−1, (2·⌊n·x/2⌋ + 1)/n))
//
// and NaN where x is. The levels are odd whole numbers over n: ±2⁰±2¹…±2^(bits−1).
// For x between −1 and 1 it is 2·quantize((x+1)/2) − 1 with the uniform quantize of
// Zhou et al., "DoReFa-Net" (arXiv 1606.06160), equation 5.
func Rounded(x float64, bits int) float64 {
	n := float64(int(1)<<bits - 1)
	return min(1, max(-1, (2*math.Floor(n/2*x)+1)/n))
}

// Graph is one time step. Each node stands after its inputs.
type Graph struct {
	Inputs []Input `json:"inputs"`
	States []State `json:"states"`
	Nodes  []Node  `json:"nodes"`
	Output string  `json:"output"` // the node whose value is the step's output
}

// Input is what enters at every step: a token below Size, or a dense vector of
// Size features.
type Input struct {
	Name  string `json:"name"`
	Token bool   `json:"token"`
	Size  int    `json:"size"`
}

// State is a vector carried from step to step along a recurrent edge.
type State struct {
	Name string    `json:"name"`
	Size int       `json:"size"`
	Init []float32 `json:"init"` // value before the first step
	Next string    `json:"next"`
}

// Node is one operation. Weight names a matrix for MatVec and Lookup.
//
// Recurrent marks the weights that go through the quantizer (the paper's "recurrent
// weights"). Tables have a column for their memory.
type Node struct {
	Name      string   `json:"name"`
	Op        Op       `json:"op"`
	Inputs    []string `json:"inputs"`
	Size      int      `json:"size"`
	Weight    string   `json:"weight,omitempty"`
	Recurrent bool     `json:"recurrent,omitempty"`
	Offset    int      `json:"offset,omitempty"`
	// Epsilon of a Normalize is above 0 and below 1.
	Epsilon float64 `json:"epsilon,omitempty"`
	// Bits of a Round are 1 to MostBits.
	Bits int `json:"bits,omitempty"`
	// Scale and Shift of a ScaleShift have a row of Size values for each of the first time
	// steps, counted from the step at which the sequence started fresh. Later steps use the
	// last row. A table without rows leaves its part of the operation out.
	Scale Table `json:"scale,omitzero"`
	Shift Table `json:"shift,omitzero"`
}

// Table is Rows rows of values, one row a time step.
type Table struct {
	Rows   int       `json:"rows"`
	Values []float32 `json:"values"`
}

// Row returns the values for time step t: the last row where t is beyond it.
func (t Table) Row(step, size int) []float32 {
	row := min(step, t.Rows-1)
	return t.Values[row*size : (row+1)*size]
}
