package bench

import (
	"slices"
)

// Sample is something that was measured N times in this run.
type Sample struct {
	Who string `json:"who"`
	// Values are in the order in which they were taken: seconds, or bytes where the line says so.
	Values []float64 `json:"values"`
}

// N returns how often it was measured.
func (s Sample) N() int { return len(s.Values) }

// Median returns the median. If N is even, it is the mean of the two middle values.
func (s Sample) Median() float64 { return median(s.Values) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Unit is what the values of a line are.
type Unit string

// The units.
const (
	Seconds Unit = "s"
	Bytes   Unit = "B"
)

// Line is what was measured of one thing of ours, and of those that it is compared with.
type Line struct {
	Name string `json:"name"` // as in Go's benchmark format, without "Benchmark"
	Unit Unit   `json:"unit"`
	Ours Sample `json:"ours"`
	// Others are the samples that ours is compared with, such as the floor and peers, by the
	// names that goals use. Value i of each was taken in the same round as value i of ours.
	Others map[string]Sample `json:"others,omitempty"`
	// Barrier is a barrier of the workers, in the same rounds, where ours has them.
	Barrier Sample `json:"barrier,omitzero"`
	// Missing gives the reason for each that was not measured; that for ours is of "".
	Missing map[string]string `json:"missing,omitempty"`
}

func newLine(name string, ours Sample) Line {
	return Line{Name: name, Unit: Seconds, Ours: ours, Others: map[string]Sample{}, Missing: map[string]string{}}
}

// compare adds another sample to compare with, or the reason why there is none.
func (l *Line) compare(against string, other Sample, reason string) {
	if reason != "" {
		l.Missing[against] = reason
	} else {
		l.Others[against] = other
	}
}

// The names of what lines are compared with.
const (
	openBLAS  = "OpenBLAS"
	gonumBLAS = "gonum"
	floor     = "the floor"
	torchLSTM = "PyTorch"
	torchCell = "PyTorch's loop of the same cell"
	// torchAutocast is that loop with its products in bfloat16.
	torchAutocast = "PyTorch's loop under autocast"
	ourLSTM       = "the LSTM's step"
	// ourFloat32 is the step with products of float32.
	ourFloat32 = "the float32 step"
	single     = "one sequence"
	onnxFloat  = "ONNX Runtime float32"
	onnxInt8   = "ONNX Runtime int8"

	aStep       = "a training step"
	undisturbed = "steps without a checkpoint"
)

// multiples are the names for which a comparison says how many times their time ours is. For the
// others, which are peers, it says how many times as fast ours is.
var multiples = []string{floor, gonumBLAS, ourLSTM, aStep, undisturbed}
