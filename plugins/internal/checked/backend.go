package checked

import (
	"context"
	"fmt"
	"math"

	"bittern/plugins/backend"
)

// Backend wraps a backend.
func Backend(next backend.Backend, judge Judge) backend.Backend {
	return &checkedBackend{Backend: next, judge: judge}
}

type checkedBackend struct {
	backend.Backend
	judge Judge
}

func (c *checkedBackend) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	resolved, err := c.judge.resolve(request.Options)
	if err != nil {
		return backend.Deployed{}, err
	}
	request.Options = resolved
	deployed, err := c.Backend.Deploy(ctx, request)
	if err != nil {
		return backend.Deployed{}, c.judge.blame("Deploy", err)
	}
	if deployed.Tolerance != nil && !plausible(*deployed.Tolerance) {
		return backend.Deployed{}, c.judge.nonsense("Deploy", "its tolerance is %v", *deployed.Tolerance)
	}
	return deployed, nil
}

func (c *checkedBackend) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	cost, err := c.Backend.Cost(ctx, request)
	if err != nil {
		return backend.Cost{}, err
	}
	if cost.N < 0 {
		return backend.Cost{}, c.judge.nonsense("Cost", "N = %d", cost.N)
	}
	for _, quantity := range []struct {
		name  string
		value *float64
	}{
		{"cycles", cost.Cycles}, {"seconds", cost.Seconds}, {"area", cost.Area},
		{"the lower quartile of seconds", cost.SecondsLow}, {"the upper quartile of seconds", cost.SecondsHigh},
	} {
		if quantity.value != nil && !plausible(*quantity.value) {
			return backend.Cost{}, c.judge.nonsense("Cost", "%s = %v", quantity.name, *quantity.value)
		}
	}
	if low, high := cost.SecondsLow, cost.SecondsHigh; low != nil || high != nil {
		if cost.Seconds == nil || low == nil || high == nil || *low > *cost.Seconds || *cost.Seconds > *high {
			return backend.Cost{}, c.judge.nonsense("Cost", "the quartiles of seconds are %s and %s, and the median is %s", shown(low), shown(high), shown(cost.Seconds))
		}
	}
	for _, quantity := range []struct {
		name  string
		parts []backend.Part
	}{{"energy", cost.Energy}, {"memory", cost.Memory}} {
		for _, part := range quantity.parts {
			if !plausible(part.Value) {
				return backend.Cost{}, c.judge.nonsense("Cost", "the %s of %s is %v", quantity.name, part.Name, part.Value)
			}
		}
	}
	return cost, nil
}

func shown(quantity *float64) string {
	if quantity == nil {
		return "not given"
	}
	return fmt.Sprint(*quantity)
}

func plausible(quantity float64) bool { return bounded(quantity) && quantity >= 0 }

func (c *checkedBackend) Execute(ctx context.Context, request backend.Execute) error {
	// What the backend forgets to write stays NaN.
	for i := range request.Outputs {
		request.Outputs[i] = float32(math.NaN())
	}
	if err := c.Backend.Execute(ctx, request); err != nil {
		return c.judge.blame("Execute", err)
	}
	if i := notFinite(request.Outputs); i >= 0 {
		return c.judge.nonsense("Execute", "output %d of %d is %v", i, len(request.Outputs), request.Outputs[i])
	}
	return nil
}
