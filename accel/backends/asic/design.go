package asic

import (
	"embed"
	"path"
	"slices"
	"strings"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/internal/energy"
)

// Design is an accelerator, as a design file describes it.
type Design struct {
	Name           string   `yaml:"name"`
	Summary        string   `yaml:"summary"`
	Source         string   `yaml:"source"`  // of the figures, and whether they are verified
	Assumed        []string `yaml:"assumed"` // keys whose values the source does not give
	Node           int      `yaml:"node"`    // nm
	Voltage        float64  `yaml:"voltage"`
	ClockMHz       float64  `yaml:"clock_mhz"`
	ActivationBits int      `yaml:"activation_bits"`
	Lanes          int      `yaml:"lanes"`   // for elementwise operations
	Overlap        []string `yaml:"overlap"` // what works while the recurrent column does: "lanes", "layers"

	Activations Memory    `yaml:"activations"`
	Functions   Functions `yaml:"functions"`
	Columns     Columns   `yaml:"columns"`
	Root        *Root     `yaml:"root"` // nil: the machine has neither layer normalization nor attention
	DRAM        *DRAM     `yaml:"dram"` // nil: all weights count as on the chip
}

// Columns are those of a design, one for each width of weights.
type Columns struct {
	Binary    Column `yaml:"binary"`
	Ternary   Column `yaml:"ternary"`
	TwelveBit Column `yaml:"twelve_bit"`
}

// Column is a column of MAC units for one width of weights, with its memory.
type Column struct {
	Units           int        `yaml:"units"`
	AccumulatorBits int        `yaml:"accumulator_bits"`
	Weights         Memory     `yaml:"weights"`
	Published       *Published `yaml:"published"`
}

// Memory is an SRAM of equal banks. Each gives a word in a cycle.
type Memory struct {
	Words    int `yaml:"words"` // of a bank
	Banks    int `yaml:"banks"`
	PortBits int `yaml:"port_bits"` // of a word
}

// bits is the capacity.
func (m Memory) bits() float64 { return float64(m.Words) * float64(m.Banks) * float64(m.PortBits) }

// perCycle are the bits that can be read in a cycle.
func (m Memory) perCycle() int { return m.Banks * m.PortBits }

// Functions are the function tables: each lane has one, for sigmoid, tanh, roundings and
// exponentials.
type Functions struct {
	Words int `yaml:"words"`
}

// Root is the unit for roots and reciprocals, see "Vectors" in the package comment.
type Root struct {
	Cycles int `yaml:"cycles"` // of a root
}

// Published are figures that the source of a design gives for a column. They take part in
// the calibration and in nothing else.
type Published struct {
	Throughput float64 `yaml:"gops"`
	Area       float64 `yaml:"area_mm2"`
	Power      float64 `yaml:"power_mw"`
}

// DRAM is the memory outside of the chip, for weights that do not fit on it.
type DRAM struct {
	Type         string `yaml:"type"` // one of energy.DRAMs
	BitsPerCycle int    `yaml:"bits_per_cycle"`
}

// What may overlap with the recurrent column.
const (
	overlapLanes  = "lanes"  // the lanes
	overlapLayers = "layers" // the 12-bit column of the layers that are not recurrent
)

func (d Design) overlaps(what string) bool { return slices.Contains(d.Overlap, what) }

func (d Design) clock() float64 { return d.ClockMHz * 1e6 }

func (d Design) process() energy.Process { return energy.Process{Node: d.Node, Voltage: d.Voltage} }

// column returns the column for a width of weights.
func (d Design) column(w datapath.Width) Column {
	switch w {
	case datapath.Binary:
		return d.Columns.Binary
	case datapath.Ternary:
		return d.Columns.Ternary
	default:
		return d.Columns.TwelveBit
	}
}

// widths are the widths of weights that there are columns for.
var widths = []datapath.Width{datapath.Binary, datapath.Ternary, datapath.TwelveBit}

// throughput is in operations per second while all units work: a MAC counts as two.
func (d Design) throughput(w datapath.Width) float64 {
	c := d.column(w)
	return 2 * float64(c.Units) * d.clock() / float64(c.stretch(w))
}

// stretch is the number of cycles that the memory takes to give every unit a weight.
func (c Column) stretch(w datapath.Width) int { return ceil(c.Units*int(w), c.Weights.perCycle()) }

func ceil(a, b int) int { return (a + b - 1) / b }

//go:embed designs/*.yaml
var designs embed.FS

// designNames are the designs that come with the program.
func designNames() []string {
	entries, err := designs.ReadDir("designs")
	if err != nil {
		panic(err) // the folder is part of the executable
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// load returns the design that comes with the program under a name, or else parses the text of a
// design file.
func load(design string) (Design, error) {
	if slices.Contains(designNames(), design) {
		content, err := designs.ReadFile(path.Join("designs", design+".yaml"))
		if err != nil {
			return Design{}, err
		}
		return Parse(string(content))
	}
	return Parse(design)
}
