package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"

	"bittern/harness/artifact"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// outcome is what a backend answered for a deployed network. If it does not serve a
// request, missing says why.
type outcome struct {
	cost  *backend.Cost
	steps map[string]int // of the sequence that cost is of
	// calibration is what the model behind the cost says of machines with published figures.
	calibration []backend.Residual
	score       *float64
	groups      []store.GroupScore // of score
	doubt       string             // why the score is not to be trusted
	// scoredBy is the backend that the score was executed on, where it was another
	// of the same arithmetic, which arithmetic names.
	scoredBy, arithmetic string
	// missing is why there is no score, or no cost.
	missing string
}

// scores are those that backends have computed of one network, by arithmetic: what is
// named in one executable is computed once.
type scores map[computation]execution

// computation is an arithmetic of an executable. That of the built-in plugins, which is
// this program, has no hash.
type computation struct{ sha256, arithmetic string }

// sharable says what a deployed network computes, where that may be taken from another
// backend: a machine that is timed computes itself.
func sharable(plugin Plugin, deployed backend.Deployed) (computes computation, ok bool) {
	return computation{plugin.SHA256, deployed.Arithmetic}, deployed.Arithmetic != "" && !plugin.Has(backend.TraitTimed)
}

// execution is what a test part scored on the backend of a label.
type execution struct {
	scored
	backend string
}

// costed loads a network on a backend and asks what a sequence costs. deployed is nil where
// the backend cannot run the network.
func costed(ctx context.Context, b backend.Backend, plugin Plugin, n artifact.Network, t task.Task, quiet *Quiet) (deployed *backend.Deployed, o outcome, err error) {
	calls := context.WithoutCancel(ctx)
	err = quiet.compute(func() error {
		loaded, err := b.Deploy(calls, backend.Deploy{Options: plugin.Options, Network: n.Program, Weights: n.Weights})
		deployed = &loaded
		return err
	})
	if err != nil {
		o, err = unsupported(outcome{}, failure(err))
		return nil, o, err
	}
	turn := quiet.compute
	if plugin.Has(backend.TraitTimed) {
		turn = quiet.alone
	}
	var cost backend.Cost
	steps := t.Steps()
	err = turn(func() (err error) {
		cost, err = b.Cost(calls, backend.CostRequest{Steps: steps})
		return err
	})
	if err != nil {
		o, err = unsupported(outcome{}, failure(err))
		return deployed, o, err
	}
	explanation, err := b.Explain(calls, plugin.Options)
	if err != nil {
		return nil, outcome{}, failure(err)
	}
	return deployed, outcome{cost: &cost, steps: steps, calibration: explanation.Calibration}, nil
}

// deploy asks a backend what a network costs, and lets it compute and score the whole test
// part. The backend scores its own logits and returns the sums, since the logits of a test
// part may take gigabytes.
//
// loss is the mean loss in nats a target that the model computes with the same frozen
// network. If the backend's loss is further from it than the tolerance that the backend
// claims, the outcome is in doubt. A score that another backend computed by the same
// arithmetic is taken from known; a new one is added to it.
func deploy(ctx context.Context, b backend.Backend, plugin Plugin, n artifact.Network, t task.Task, loss float64, known scores, quiet *Quiet, report func(done, of int)) (outcome, error) {
	deployed, o, err := costed(ctx, b, plugin, n, t, quiet)
	if err != nil || deployed == nil {
		return o, err
	}
	computes, shared := sharable(plugin, *deployed)
	found, computed := known[computes]
	if shared && computed {
		o.scoredBy, o.arithmetic = found.backend, deployed.Arithmetic
	} else {
		found.backend = plugin.Label
		if found.scored, err = execute(ctx, b, plugin, t, quiet, report); err != nil {
			return unsupported(o, err)
		}
		if shared {
			known[computes] = found
		}
	}
	o.score, o.groups = &found.metric, found.groups
	if deployed.Tolerance != nil && math.Abs(found.loss-loss) > *deployed.Tolerance {
		o.doubt = fmt.Sprintf("%s computes a loss of %.4f nats a target and the model that trained the network %.4f, further apart than the %g that the machine claims; the export or the machine is wrong", plugin.Label, found.loss, loss, *deployed.Tolerance)
	}
	return o, nil
}

// execute scores the test part on a machine that has the network.
func execute(ctx context.Context, b backend.Backend, plugin Plugin, t task.Task, quiet *Quiet, report func(done, of int)) (found scored, err error) {
	calls := context.WithoutCancel(ctx)
	batches, batch := t.Evaluation(task.Test), t.Shape().Allocate()
	var sums tally
	for i := range batches.Len() {
		if err := ctx.Err(); err != nil {
			return scored{}, err
		}
		report(i, batches.Len())
		var one network.Score
		if err := quiet.compute(func() (err error) {
			if err := batches.Fill(i, batch); err != nil {
				return err
			}
			one, err = b.Execute(calls, backend.Execute{Batch: batch})
			return failure(err)
		}); err != nil {
			return scored{}, err
		}
		sums.add(batches.Group(i), one)
	}
	if found = sums.score(t.Metric()); !found.finite() {
		return scored{}, &Failure{Reason: fmt.Sprintf("%s has losses that sum to %v over %d targets, a score of %v", plugin.Label, sums.total.LossSum, sums.total.Count, found.metric)}
	}
	return found, nil
}

// unsupported notes in the outcome why a backend does not serve a request, which is not a
// failure. It returns every other error.
func unsupported(o outcome, err error) (outcome, error) {
	var cannot *backend.ErrUnsupported
	if errors.As(err, &cannot) {
		o.missing = cannot.Reason
		return o, nil
	}
	return outcome{}, err
}
