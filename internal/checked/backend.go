package checked

import (
	"context"
	"fmt"
	"math"

	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// Backend wraps a backend: it fills in default options and checks answers.
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

func (c *checkedBackend) Explain(ctx context.Context, options plugins.Values) (backend.Explanation, error) {
	resolved, err := c.judge.resolve(options)
	if err != nil {
		return backend.Explanation{}, err
	}
	explanation, err := c.Backend.Explain(ctx, resolved)
	if err != nil {
		return backend.Explanation{}, err
	}
	for _, constant := range explanation.Constants {
		if !bounded(constant.Value) {
			return backend.Explanation{}, c.judge.nonsense("Explain", "the constant %s is %v", constant.Name, constant.Value)
		}
	}
	for _, r := range explanation.Calibration {
		for _, value := range []float64{r.Published, r.BottomUp, r.Fitted} {
			if !plausible(value) {
				return backend.Explanation{}, c.judge.nonsense("Explain", "the %s of %s is %v", r.Quantity, r.Machine, value)
			}
		}
	}
	return explanation, nil
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
		{"cycles", cost.Cycles}, {"seconds", cost.Seconds},
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
	}{{"energy", cost.Energy}, {"area", cost.Area}, {"memory", cost.Memory}} {
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

func (c *checkedBackend) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	// An element that the backend forgets to write stays NaN.
	for i := range request.Outputs {
		request.Outputs[i] = float32(math.NaN())
	}
	score, err := c.Backend.Execute(ctx, request)
	if err != nil {
		return network.Score{}, c.judge.blame("Execute", err)
	}
	if err := checkScore(score, request.Batch); err != nil {
		return network.Score{}, c.judge.nonsense("Execute", "%s", err)
	}
	if i := notFinite(request.Outputs); i >= 0 {
		return network.Score{}, c.judge.nonsense("Execute", "output %d of %d is %v", i, len(request.Outputs), request.Outputs[i])
	}
	return score, nil
}

// checkScore returns an error if no batch like this can have the score: the loss is not finite,
// is too large, or is below 0 by more than rounding; or the batch has another number of targets.
func checkScore(s network.Score, b network.Batch) error {
	const rounding = 1e-3 // nats a target
	targets := 0
	for _, target := range b.Targets {
		if target >= 0 {
			targets++
		}
	}
	if !bounded(s.LossSum) || s.LossSum < -rounding*float64(targets) || s.Count != targets || s.Correct < 0 || s.Correct > s.Count {
		return fmt.Errorf("the loss sums to %v over %d targets, %d of them correct, where the batch has %d targets", s.LossSum, s.Count, s.Correct, targets)
	}
	return nil
}
