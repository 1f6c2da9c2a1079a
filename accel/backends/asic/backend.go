package asic

import (
	"context"
	"errors"
	"fmt"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/accel/backends/internal/energy"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// The options.
const (
	integerBits  = "integer-bits"
	energyTable  = "energy-table"
	designOption = "design"
	defaultTable = "ihp130-scaled"
	name         = "asic"
)

var options = []plugins.Option{
	{
		Name: integerBits, Type: plugins.Int, Default: "3", Min: 0, Max: 8,
		Doc: "most integer bits of the 12-bit activations; values known to be smaller take fewer, larger ones saturate",
	},
	{
		Name: energyTable, Type: plugins.String, Default: defaultTable, Choices: energy.Names(),
		Doc: "the figures that energies and areas are made of",
	},
	{
		Name: calibrationOption, Type: plugins.String, Default: fitted, Choices: []string{fitted, bottomUp},
		Doc: "fitted: the table times the constants that were fitted to the paper's designs; none: the table as it is",
	},
}

// version is the version of every design: all compute the same outputs.
const version = "3.1.0"

// New returns the backend "asic". Its option says which design it simulates: one that comes with
// the program, or a design file.
func New() backend.Backend {
	return &simulator{name: name, options: append([]plugins.Option{{
		Name: designOption, Type: plugins.File, Default: "asic-lowpower", Choices: designNames(),
		Doc: "a design that comes with the program, or a design file: units for each width of weights, clock, node, lanes, memories, overlap, DRAM",
	}}, options...)}
}

// Instance returns the backend of a design that comes with the program, under the
// design's name.
func Instance(design string) backend.Backend {
	return &simulator{name: design, design: design, options: options}
}

type simulator struct {
	name      string
	design    string // empty if the option "design" names it
	options   []plugins.Option
	model     model
	network   network.Network
	program   *datapath.Program // nil before Deploy
	execution datapath.Execution
}

// resolve returns the options with defaults filled in, and the model that they ask for.
func (s *simulator) resolve(given plugins.Values) (plugins.Values, model, error) {
	values, err := plugins.Resolve("backend "+s.name, s.options, given)
	if err != nil {
		return nil, model{}, err
	}
	design := s.design
	if design == "" {
		design = values.Text(designOption)
	}
	d, err := load(design)
	if err != nil {
		return nil, model{}, err
	}
	m := model{d, energy.Find(values.Text(energyTable)).In(d.process()), uncalibrated}
	if values.Text(calibrationOption) == fitted {
		m.factors = factorsOf(m.costs.Table.Name)
	}
	return values, m, nil
}

func (s *simulator) Describe(ctx context.Context) (plugins.Description, error) {
	_, m, err := s.resolve(nil)
	if err != nil {
		return plugins.Description{}, err
	}
	d := m.design
	description := plugins.Description{
		Kind: plugins.KindBackend, Name: s.name, Version: version, API: plugins.APIVersion,
		Summary: d.Summary, Options: s.options,
		Facts: []plugins.Fact{
			{Name: "activations", Value: fmt.Sprintf("%d-bit fixed point", d.ActivationBits), Source: d.Source},
			{Name: "weights", Value: "a pass of the column for each plane of two levels, or of two and 0; two levels of different size take a second accumulator in the units and a second multiplication on the lanes", Source: "assumed"},
			{Name: "energy", Value: "counted events × a table, calibrated to the paper's designs; bittern backends explain " + s.name + " has every constant and the errors"},
		},
	}
	if s.design == "" {
		description.Summary = "simulated accelerator of any design: a column of MAC units for each width of weights, lanes and memories"
		return description, ctx.Err()
	}
	fact := func(name, format string, args ...any) plugins.Fact {
		return plugins.Fact{Name: name, Value: fmt.Sprintf(format, args...), Source: d.Source}
	}
	facts := []plugins.Fact{fact("technology", "%s", d.process()), fact("clock", "%g MHz", d.ClockMHz)}
	for _, w := range widths {
		facts = append(facts, fact(w.String()+" column", "%s", d.describe(w)))
	}
	facts = append(facts, plugins.Fact{Name: "elementwise lanes", Value: fmt.Sprint(d.Lanes), Source: "assumed"})
	if d.Root != nil {
		facts = append(facts, plugins.Fact{Name: "unit for roots", Value: fmt.Sprintf("%d cycles a root or a reciprocal, for layer normalization and attention", d.Root.Cycles), Source: "assumed"})
	}
	description.Facts = append(facts, description.Facts...)
	return description, ctx.Err()
}

// describe returns a sentence about a column, with the figures that its source publishes.
func (d Design) describe(w datapath.Width) string {
	c := d.column(w)
	text := fmt.Sprintf("%d units, %.0f GOps/s", c.Units, d.throughput(w)/1e9)
	if c.Published != nil {
		text += fmt.Sprintf(", published %.2f mm², %.0f mW", c.Published.Area, c.Published.Power)
	}
	return text
}

// tolerance is how much 12-bit arithmetic may change the mean loss, in nats a
// target. It is four times the largest change that was seen: 0.008 nats (0.012 BPC), of the
// ternary War & Peace network in reports/results.
const tolerance = 0.032

func (s *simulator) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	if err := ctx.Err(); err != nil {
		return backend.Deployed{}, err
	}
	values, m, err := s.resolve(request.Options)
	if err != nil {
		return backend.Deployed{}, err
	}
	program, err := datapath.Compile(request.Network, request.Weights, values.Int(integerBits))
	if err != nil {
		return backend.Deployed{}, fmt.Errorf("deploying on %s: %w", s.name, err)
	}
	if program.Root != "" && m.design.Root == nil {
		return backend.Deployed{}, &backend.ErrUnsupported{Reason: fmt.Sprintf(
			"%s needs a unit for roots, which the design %s does not have; add one to the design file, such as root: {cycles: %d}",
			program.Root, m.design.Name, rootCycles)}
	}
	s.model, s.network, s.program, s.execution = m, request.Network, program, program.NewExecution()
	return backend.Deployed{
		Tolerance: new(tolerance),
		// No output depends on the design.
		Arithmetic: fmt.Sprintf("asic %s, %s=%d", version, integerBits, values.Int(integerBits)),
	}, nil
}

var errNothingDeployed = errors.New("no network is deployed: call Deploy first")

func (s *simulator) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	if s.program == nil {
		return backend.Cost{}, errNothingDeployed
	}
	if err := s.network.Shape(1, request.Steps, false).Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	return newCost(s.model, s.program, request.Steps).report(), ctx.Err()
}

func (s *simulator) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	if s.program == nil {
		return network.Score{}, errNothingDeployed
	}
	return s.execution.Execute(ctx, request)
}
