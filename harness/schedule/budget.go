package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bittern/harness/experiment"
	"bittern/harness/store"
	"bittern/plugins"
)

// Budgets keeps how many training steps a budget of time was turned into. A run store is
// one.
type Budgets interface {
	BudgetSteps(ctx context.Context, experiment string, budget time.Duration) (steps int, err error)
	PutBudget(ctx context.Context, experiment string, budget time.Duration, steps int) (int, error)
}

// ApplyBudget turns a budget of training time into a number of steps, at which it caps each
// experiment. It takes the number from the store if that has one. Otherwise it times a few
// steps and stores the number, so that a resumed or repeated run trains as many steps on a
// machine that is slower by then. Experiments that differ only in their seed get the same
// number. The time of validations and deployments does not count.
//
// A budget shorter than one step is a *plugins.Problem. If a plugin fails while steps are
// timed, the experiment is returned as a Failure and not among the others.
func ApplyBudget(ctx context.Context, forecaster *experiment.Forecaster, budgets Budgets, specs []*experiment.Spec, budget time.Duration, log func(line string)) ([]*experiment.Spec, []Failure, error) {
	var ready []*experiment.Spec
	var failures []Failure
	for _, spec := range specs {
		err := ApplyKnownBudget(ctx, budgets, spec, budget)
		if errors.Is(err, store.ErrNoBudget) {
			err = measureBudget(ctx, forecaster, budgets, spec, budget, log)
		}
		if f, ok := errors.AsType[*experiment.Failure](err); ok {
			failures = append(failures, Failure{Spec: spec, Failed: experiment.Failed{Failure: *f}})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		ready = append(ready, spec)
	}
	return ready, failures, nil
}

// ApplyKnownBudget is [ApplyBudget] for an experiment whose number of steps is stored. If
// it is not, the error is [store.ErrNoBudget].
func ApplyKnownBudget(ctx context.Context, budgets Budgets, spec *experiment.Spec, budget time.Duration) error {
	id, err := budgetID(spec)
	if err != nil {
		return err
	}
	steps, err := budgets.BudgetSteps(ctx, id, budget)
	if err != nil {
		return err
	}
	limit(spec, steps)
	return nil
}

func measureBudget(ctx context.Context, forecaster *experiment.Forecaster, budgets Budgets, spec *experiment.Spec, budget time.Duration, log func(line string)) error {
	step, _, err := forecaster.StepTime(ctx, spec)
	if err != nil {
		return err
	}
	if err := KeepBudget(ctx, budgets, spec, budget, step); err != nil {
		return err
	}
	log(fmt.Sprintf("%s: %s of training are %d steps on this machine", spec, budget, experiment.StepsWithin(budget, step)))
	return nil
}

// KeepBudget stores how many steps of a measured duration fit into a budget, and caps the
// experiment's steps at the stored number: that of another process if it was first. A
// budget shorter than one step is a *plugins.Problem.
func KeepBudget(ctx context.Context, budgets Budgets, spec *experiment.Spec, budget, step time.Duration) error {
	if step > budget {
		return plugins.Problemf("one training step of %s takes %s on this machine, and --budget %s has no room for it; give a longer budget", spec, step.Round(time.Millisecond), budget)
	}
	id, err := budgetID(spec)
	if err != nil {
		return err
	}
	steps, err := budgets.PutBudget(ctx, id, budget, experiment.StepsWithin(budget, step))
	if err != nil {
		return err
	}
	limit(spec, steps)
	return nil
}

// Distinct refuses experiments that a budget has made the same: those that differed only in
// the cap on their steps.
func Distinct(specs []*experiment.Spec) error {
	known := make(map[string]*experiment.Spec)
	for _, spec := range specs {
		row, err := spec.Row()
		if err != nil {
			return err
		}
		if twin := known[row.ID]; twin != nil {
			return plugins.Problemf("%q and %q differ in their training steps alone, and --budget gives both the same; remove one of them from the suite, or leave out --budget", twin, spec)
		}
		known[row.ID] = spec
	}
	return nil
}

// limit caps the steps of an experiment. If its suite trains no more steps than that, it is
// left unchanged, and is the same experiment as without a budget.
func limit(spec *experiment.Spec, steps int) {
	perEpoch := spec.Loaded.Task.Training(spec.Seed, 0).Len()
	if steps < spec.Task.Training.Planned(perEpoch) {
		spec.Task.Training.Steps = steps
	}
}

// budgetID identifies an experiment whatever its seed and the cap on its steps: a budget is
// the same for all of these.
func budgetID(spec *experiment.Spec) (string, error) {
	any := *spec
	any.Seed, any.Task.Training.Steps = 0, 0
	row, err := any.Row()
	return row.ID, err
}
