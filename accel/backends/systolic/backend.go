package systolic

import (
	"context"
	"strconv"

	"bittern/accel/backends/internal/energy"
	"bittern/accel/backends/internal/integer"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

const name = "systolic"

// The options.
const (
	rows            = "rows"
	columns         = "columns"
	flow            = "dataflow"
	precision       = "precision"
	activationBits  = "activation-bits"
	lanes           = "lanes"
	stepsAtOnce     = "steps-at-once"
	weightKiB       = "weight-kib"
	activationKiB   = "activation-kib"
	doubleBuffering = "double-buffering"
	megahertz       = "megahertz"
	dramBytes       = "dram-bytes"
	dramType        = "dram"
	energyTable     = "energy-table"
	node            = "node"
	voltage         = "voltage"
)

// The memories are made of banks, of which one is read or written at a time. These are the
// most words of a bank, and the bits of a word: assumptions.
const (
	bankWords = 2048
	wordBits  = 64
)

// bank is the words of a bank of a memory with so many KiB.
func bank(kib int) int { return min(bankWords, kib*1024*8/wordBits) }

var options = []plugins.Option{{
	Name: rows, Type: plugins.Int, Default: "32", Min: 1, Max: 1024,
	Doc: "rows of the array, along which sums run",
}, {
	Name: columns, Type: plugins.Int, Default: "32", Min: 1, Max: 1024,
	Doc: "columns of the array",
}, {
	Name: flow, Type: plugins.String, Default: string(weightStationary), Choices: []string{string(weightStationary), string(outputStationary), string(inputStationary)},
	Doc: "what stays in the array",
}, {
	Name: precision, Type: plugins.Int, Default: "8", Min: 1, Max: integer.MostBits,
	Doc: "bits of a weight that an element multiplies; wider ones take several passes",
}, {
	Name: activationBits, Type: plugins.Int, Default: "8", Min: 2, Max: integer.MostBits,
	Doc: "bits that a vector is rounded to before it is multiplied",
}, {
	Name: lanes, Type: plugins.Int, Default: "32", Min: 1, Max: 1024,
	Doc: "lanes of the vector unit, for everything that is no matrix product",
}, {
	Name: stepsAtOnce, Type: plugins.Int, Default: "16", Min: 1, Max: 4096,
	Doc: "time steps whose products are done at once where none depends on the step before; at most as many as the activation memory has room for",
}, {
	Name: weightKiB, Type: plugins.Int, Default: "256", Min: 1, Max: 1 << 16,
	Doc: "KiB of on-chip memory for weights and tables; what does not fit is read from DRAM",
}, {
	Name: activationKiB, Type: plugins.Int, Default: "256", Min: 1, Max: 1 << 16,
	Doc: "KiB of on-chip memory for values",
}, {
	Name: doubleBuffering, Type: plugins.Bool, Default: "true",
	Doc: "whether DRAM is read while the array computes",
}, {
	Name: megahertz, Type: plugins.Float, Default: "400", Min: 1, Max: 4000,
	Role: backend.RoleClock, Doc: "clock, in MHz",
}, {
	Name: dramBytes, Type: plugins.Float, Default: "16", Min: 0.01, Max: 4096,
	Doc: "bytes that DRAM moves in a cycle of the clock",
}, {
	Name: dramType, Type: plugins.String, Default: "lpddr4", Choices: energy.DRAMs(),
	Doc: "type of DRAM, which says what a bit takes",
}, {
	Name: energyTable, Type: plugins.String, Default: "ihp130-scaled", Choices: energy.Names(),
	Doc: "the figures that energies and areas are made of",
}, {
	Name: node, Type: plugins.String, Default: "65", Choices: nodes(),
	Doc: "technology node in nm, to which the table is scaled",
}, {
	Name: voltage, Type: plugins.Float, Default: "1", Min: energy.LowestVoltage, Max: energy.HighestVoltage,
	Doc: "supply, in V, to which the table is scaled",
}}

func nodes() []string {
	var names []string
	for _, n := range energy.Nodes() {
		names = append(names, strconv.Itoa(n))
	}
	return names
}

// New returns the backend.
func New() backend.Backend { return &simulator{} }

type simulator struct{ integer.Session }

// machine is an array with a network deployed.
type machine struct {
	array           array
	precision       int
	activationBits  int
	lanes           int
	weightKiB       int
	activationKiB   int
	doubleBuffering bool
	clock           float64 // Hz
	dramBits        float64 // a cycle
	dram            string  // its type
	costs           energy.Costs

	program *integer.Program
	values  map[string]network.Value
	stored  []stored
	chunks  map[string]int // steps at once by stage
}

func (s *simulator) Describe(ctx context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindBackend, Name: name, Version: "2.1.0", API: plugins.APIVersion,
		Summary: "simulated systolic array of whole-number multipliers, with its memories and DRAM",
		Options: options,
		Facts: []plugins.Fact{
			{Name: "cycles of products", Value: "those of SCALE-Sim without stalls", Source: "Samajdar et al., arXiv 1811.02883 and ISPASS 2020; scalesim-project/scale-sim-v2 11a8413"},
			{Name: "weights", Value: "whole numbers of at most 8 bits, plane by plane as packed; any other is rounded to 8 bits with a scale a row"},
			{Name: "activations", Value: "rounded to whole numbers with one scale a vector and time step where they are multiplied; everything else is float32"},
			{Name: "energy", Value: "counted events × a table, which nothing is fitted to; bittern backends explain " + name + " has every constant"},
			{Name: "clock, node, vector unit, memory sizes", Value: "options", Source: "assumed"},
		},
	}, ctx.Err()
}

// resolve is the machine of some options, without a network.
func resolve(given plugins.Values) (*machine, plugins.Values, error) {
	o, err := plugins.Resolve("backend "+name, options, given)
	if err != nil {
		return nil, nil, err
	}
	m := &machine{
		array:     array{o.Int(rows), o.Int(columns), dataflow(o.Text(flow))},
		precision: o.Int(precision), activationBits: o.Int(activationBits), lanes: o.Int(lanes),
		weightKiB: o.Int(weightKiB), activationKiB: o.Int(activationKiB), doubleBuffering: o.Bool(doubleBuffering),
		clock: 1e6 * o.Float(megahertz), dramBits: 8 * o.Float(dramBytes), dram: o.Text(dramType), chunks: map[string]int{},
	}
	nanometres, err := strconv.Atoi(o.Text(node))
	if err != nil {
		return nil, nil, err
	}
	m.costs = energy.Find(o.Text(energyTable)).In(energy.Process{Node: nanometres, Voltage: o.Float(voltage)})
	if m.foldBits() > float64(m.weightKiB*1024*8) {
		return nil, nil, plugins.Problemf("backend %s: the weights that fill the array take %.1f KiB with their buffers and the weight memory has %d; give more %s, or a smaller array",
			name, m.foldBits()/8/1024, m.weightKiB, weightKiB)
	}
	return m, o, nil
}

func (s *simulator) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	m, o, err := resolve(request.Options)
	if err != nil {
		return backend.Deployed{}, err
	}
	rounding := integer.Precision{Weights: integer.MostBits, Activations: m.activationBits}
	return s.Session.Deploy(ctx, request, rounding, func(p *integer.Program) (integer.Machine, error) {
		return m, m.load(p, o.Int(stepsAtOnce))
	})
}

// load puts a program on the machine.
func (m *machine) load(p *integer.Program, atOnce int) error {
	m.program, m.values = p, p.Values()
	m.stored = m.store()
	return m.fitSteps(atOnce)
}
