package backend

import (
	"context"
	"fmt"
	"iter"

	"bittern/plugins/network"
)

// RTL is a backend whose machine is also written in a hardware description language, which
// is run by tools of this machine: a referee of its own simulation. It is no part of the
// protocol between processes: of built-in backends the command line asks for it.
type RTL interface {
	Backend
	// CheckRTL runs so many sequences of the batches through the deployed network in both
	// ways and compares what they give. A tool that is missing is a *plugins.Problem that says
	// how to install it.
	CheckRTL(ctx context.Context, batches iter.Seq2[network.Batch, error], windows int) (RTLCheck, error)
	// SynthesizeRTL makes gates of the columns, of the cells of a liberty file, which may be
	// packed with gzip. The first column is what others are compared with.
	SynthesizeRTL(ctx context.Context, liberty string) ([]RTLColumn, error)
	// PowerRTL tells what the column of the deployed network's recurrent weights draws as such
	// gates while it computes so many sequences of the batches. What the gates have not is an
	// *ErrUnsupported, a tool that is missing a *plugins.Problem.
	PowerRTL(ctx context.Context, liberty string, batches iter.Seq2[network.Batch, error], windows int) (RTLPower, error)
}

// RTLColumn is a column of units as gates, without control, beside what was published of
// the column.
type RTLColumn struct {
	Weights       string  `json:"weights"`
	Units         int     `json:"units"`
	CellArea      float64 `json:"cell_area"`              // in the unit of the liberty file, mostly µm²
	MemoryArea    float64 `json:"weight_memory_area_um2"` // of the design's weight memory, by MemorySource
	PublishedArea float64 `json:"published_area_mm2"`     // for as many units
	Source        string  `json:"source"`                 // of PublishedArea
	MemorySource  string  `json:"weight_memory_source"`
}

// RTLPower is what a column of units as gates draws while it works, in watts.
type RTLPower struct {
	Weights   string  `json:"weights"`
	Units     int     `json:"units"`
	ClockMHz  float64 `json:"clock_mhz"`
	Windows   int     `json:"windows"`
	Cycles    int64   `json:"cycles"`            // of a unit, in which the changes of its cells were counted
	Changes   float64 `json:"changes_per_cycle"` // of the output of a cell, the mean over cells
	Internal  float64 `json:"internal_w"`        // within cells
	Switching float64 `json:"switching_w"`       // of what cells drive
	Leakage   float64 `json:"leakage_w"`
	Memory    float64 `json:"weight_memory_w"` // a word read in each cycle, by MemorySource of the column
	Published float64 `json:"published_w"`     // for as many units, with memories; 0 if there is none
}

// Cells is what all cells draw.
func (p RTLPower) Cells() float64 { return p.Internal + p.Switching + p.Leakage }

// RTLCheck is what a check has found.
type RTLCheck struct {
	Windows    int   `json:"windows"`
	Steps      int   `json:"steps"` // time steps of all graphs
	Bits       int64 `json:"bits"`  // compared: states and outputs after every time step
	Mismatches int64 `json:"mismatches"`
	Cycles     int64 `json:"cycles"` // of the machine in the hardware description language
	// SimulatedCycles are those that the backend's Cost tells.
	SimulatedCycles int64  `json:"simulated_cycles"`
	First           string `json:"first_mismatch,omitempty"`
}

// Same says that both ways give the same bits in the same cycles.
func (c RTLCheck) Same() bool { return c.Mismatches == 0 && c.Cycles == c.SimulatedCycles }

func (c RTLCheck) String() string {
	text := fmt.Sprintf("%d windows, %d time steps, %d bits compared, %d mismatches, %d cycles", c.Windows, c.Steps, c.Bits, c.Mismatches, c.Cycles)
	if c.Cycles == c.SimulatedCycles {
		text += " as simulated"
	} else {
		text += fmt.Sprintf(" where %d are simulated", c.SimulatedCycles)
	}
	if c.First != "" {
		text += "; first mismatch: " + c.First
	}
	return text
}
