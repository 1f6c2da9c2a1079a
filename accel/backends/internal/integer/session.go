package integer

import (
	"context"
	"fmt"

	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
)

// Session is that of a backend which simulates a machine with whole-number multipliers.
type Session struct{ program.Session }

// Machine says what a program costs.
type Machine interface {
	// Cost is [backend.Backend.Cost], of steps that the program can have.
	Cost(ctx context.Context, steps map[string]int) (backend.Cost, error)
}

// deployed computes with one and costs what the other says.
type deployed struct {
	Machine
	Execution
}

// Deploy compiles the network of a request and puts it in place of the one before. load
// gives it to the machine, which may have no room for it.
func (s *Session) Deploy(ctx context.Context, request backend.Deploy, precision Precision, load func(*Program) (Machine, error)) (backend.Deployed, error) {
	if err := ctx.Err(); err != nil {
		return backend.Deployed{}, err
	}
	p, err := Compile(request.Network, request.Weights, precision)
	if err != nil {
		return backend.Deployed{}, fmt.Errorf("compiling the network: %w", err)
	}
	m, err := load(p)
	if err != nil {
		return backend.Deployed{}, err
	}
	s.Set(request.Network, deployed{m, p.NewExecution()})
	return backend.Deployed{
		Tolerance: new(precision.Tolerance()),
		// No output depends on the machine.
		Arithmetic: fmt.Sprintf("whole numbers of %d bits times those of %d", precision.Weights, precision.Activations),
	}, nil
}
