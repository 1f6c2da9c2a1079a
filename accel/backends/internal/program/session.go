package program

import (
	"context"
	"errors"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// Deployed is a network on a machine.
type Deployed interface {
	// Cost is [backend.Backend.Cost], of steps that the network can have.
	Cost(ctx context.Context, steps map[string]int) (backend.Cost, error)
	// Execute is [backend.Backend.Execute].
	Execute(ctx context.Context, request backend.Execute) (network.Score, error)
}

// Session answers Cost and Execute with the network that was deployed last. A backend
// embeds it, and sets its network at the end of Deploy.
type Session struct {
	network  network.Network
	deployed Deployed // nil before Deploy
}

// Set puts a network in place of the one before.
func (s *Session) Set(n network.Network, deployed Deployed) { s.network, s.deployed = n, deployed }

var errNothingDeployed = errors.New("no network is deployed: call Deploy first")

func (s *Session) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	if err := ctx.Err(); err != nil {
		return backend.Cost{}, err
	}
	if s.deployed == nil {
		return backend.Cost{}, errNothingDeployed
	}
	if err := s.network.Shape(1, request.Steps, false).Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	return s.deployed.Cost(ctx, request.Steps)
}

func (s *Session) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	if s.deployed == nil {
		return network.Score{}, errNothingDeployed
	}
	return s.deployed.Execute(ctx, request)
}
