package mcu

import (
	"context"

	"bittern/accel/backends/internal/integer"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

const name = "mcu"

// The options.
const (
	partName     = "part"
	weights      = "weights"
	megahertz    = "megahertz"
	microamperes = "microamperes-per-megahertz"
	volts        = "volts"
	waitStates   = "wait-states"
)

var options = []plugins.Option{{
	Name: partName, Type: plugins.String, Default: "stm32l476", Choices: []string{"stm32l412", "stm32l452", "stm32l476", "stm32l4r5"},
	Doc: "microcontroller, which says how much flash and SRAM there is, and the fastest clock",
}, {
	Name: weights, Type: plugins.String, Default: "packed", Choices: []string{"packed", "bytes"},
	Doc: "whether codes of at most 4 bits are kept packed and looked up when they are multiplied, or as bytes",
}, {
	Name: megahertz, Type: plugins.Float, Default: "0", Min: 0, Max: 120,
	Role: backend.RoleClock, Doc: "clock, in MHz; 0 is the part's fastest",
}, {
	Name: microamperes, Type: plugins.Float, Default: "79", Min: 1, Max: 1000,
	Doc: "current of the whole part in run mode, in µA for each MHz",
}, {
	Name: volts, Type: plugins.Float, Default: "3", Min: 1.71, Max: 3.6,
	Doc: "supply",
}, {
	Name: waitStates, Type: plugins.Int, Default: "4", Min: 0, Max: 15,
	Doc: "cycles that reading 64 bits of weights or tables from flash holds the core up",
}}

// New returns the backend.
func New() backend.Backend { return &simulator{} }

type simulator struct{ integer.Session }

// machine is a part with a network deployed.
type machine struct {
	name       string
	part       part
	clock      float64 // Hz
	perCycle   float64 // joules
	waitStates int

	program *integer.Program
	values  map[string]network.Value
	kernels map[string][]kernel // of the planes of each weight
	flash   map[string]float64  // bytes by part of the memory
}

func (s *simulator) Describe(ctx context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindBackend, Name: name, Version: "2.1.0", API: plugins.APIVersion,
		Summary: "simulated microcontroller with a Cortex-M4F core, by its instructions' cycles",
		Options: options,
		Facts: []plugins.Fact{
			{Name: "products", Value: "8-bit whole numbers, the loop of arm_nn_vec_mat_mult_t_s8", Source: "ARM-software/CMSIS-NN 058a6a1"},
			{Name: "cycles of instructions", Value: "arithmetic 1, floating-point division 14, load 2, branch 3", Source: "TI SWCU192 tables 3-25 and 3-27; loads, branches and SIMD recalled, unverified"},
			{Name: "current", Value: currentSource, Source: "read for the STM32L412, assumed for the others"},
			{Name: "supply, wait states, e^x, codes of less than 8 bits, code and stack", Value: "3 V, 4, 20 cycles, look-up, 32 and 4 KiB", Source: "assumed"},
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
		name: o.Text(partName), part: parts[o.Text(partName)], waitStates: o.Int(waitStates),
		perCycle: o.Float(microamperes) * 1e-12 * o.Float(volts), kernels: map[string][]kernel{},
	}
	mhz := o.Float(megahertz)
	if mhz == 0 {
		mhz = m.part.megahertz
	}
	if mhz > m.part.megahertz {
		return nil, nil, plugins.Problemf("backend %s: the %s runs at up to %g MHz; give %s of at most that", name, m.name, m.part.megahertz, megahertz)
	}
	m.clock = 1e6 * mhz
	return m, o, nil
}

func (s *simulator) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	m, o, err := resolve(request.Options)
	if err != nil {
		return backend.Deployed{}, err
	}
	rounding := integer.Precision{Weights: integer.MostBits, Activations: integer.MostBits}
	return s.Session.Deploy(ctx, request, rounding, func(p *integer.Program) (integer.Machine, error) {
		return m, m.load(p, o.Text(weights) == "bytes")
	})
}

// load puts a program on the machine. With bytes no code is kept packed.
func (m *machine) load(p *integer.Program, bytes bool) error {
	m.program, m.values = p, p.Values()
	for weight, w := range p.Weights {
		for _, plane := range w.Planes {
			m.kernels[weight] = append(m.kernels[weight], kernelOf(plane.Bits, plane.Most(), bytes))
		}
	}
	m.store()
	return m.fitFlash()
}
