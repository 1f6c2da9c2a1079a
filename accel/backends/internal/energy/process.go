package energy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Process is a technology node and its supply voltage.
type Process struct {
	Node    int     // nm, one of [Nodes]
	Voltage float64 // V
}

func (p Process) String() string { return fmt.Sprintf("%d nm, %g V", p.Node, p.Voltage) }

// The voltages within which the energy of a node is scaled. The fits are of
// simulations from near the threshold to a little above the nominal voltage.
const (
	LowestVoltage  = 0.5
	HighestVoltage = 1.3
)

// Check returns an error that says which node or voltage would do.
func (p Process) Check() error {
	if _, ok := nodes[p.Node]; !ok {
		return fmt.Errorf("node must be one of %s nm, not %d", strings.Trim(fmt.Sprint(Nodes()), "[]"), p.Node)
	}
	if !(p.Voltage >= LowestVoltage && p.Voltage <= HighestVoltage) {
		return fmt.Errorf("voltage must be between %g and %g V, not %g", LowestVoltage, HighestVoltage, p.Voltage)
	}
	return nil
}

// node has the fit a·V² + b·V + c of the relative energy of a gate, and the area
// relative to that at 65 nm.
type node struct{ a, b, c, area float64 }

// ScalingSource is where the factors between nodes come from.
const ScalingSource = "Stillmaker & Baas, Integration 58 (2017), as in hwcomponents e67d7f1 and nodeScale; 45 and 32 nm are the low-power fits, below are the high-performance ones"

var nodes = map[int]node{
	130: {7.171, -6.709, 2.904, 4.3},
	90:  {4.762, -4.781, 2.092, 1.9},
	65:  {3.755, -4.398, 1.975, 1},
	45:  {1.103, -0.362, 0.2767, 0.66},
	32:  {0.9559, -0.7823, 0.471, 0.31},
	20:  {0.373, -0.1582, 0.04104, 0.14},
	16:  {0.2958, -0.1241, 0.03024, 0.13},
	14:  {0.2363, -0.09675, 0.02239, 0.12},
	10:  {0.2068, -0.09311, 0.02375, 0.068},
	7:   {0.1776, -0.09097, 0.02447, 0.039},
}

// Nodes lists the technology nodes in nm, the largest first.
func Nodes() []int {
	return slices.SortedFunc(maps.Keys(nodes), func(a, b int) int { return b - a })
}

// Scale returns the energy of an event in the process to, divided by that in the process
// from. Leakage, for which there is no fit, is scaled by the same factor.
func Scale(from, to Process) float64 { return to.relative() / from.relative() }

func (p Process) relative() float64 {
	n := nodes[p.Node]
	return n.a*p.Voltage*p.Voltage + n.b*p.Voltage + n.c
}

// ScaleArea returns the area of a circuit at the node to, divided by that at the node from.
func ScaleArea(from, to int) float64 { return nodes[to].area / nodes[from].area }
