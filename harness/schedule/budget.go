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

// Budgets are the steps that budgets stand for, as a run store keeps them.
type Budgets interface {
	BudgetSteps(ctx context.Context, experiment string, budget time.Duration) (steps int, err error)
	PutBudget(ctx context.Context, experiment string, budget time.Duration, steps int) (int, error)
}

// ApplyBudget caps the training steps of each experiment at as many as the budget
// has room for. Where the store knows them they are those; else a short calibration
// finds them, and they are stored, so that a resumed or a repeated run trains the
// same steps whatever the machine does meanwhile. Experiments that differ in their
// seed alone have the same steps. Validations and deployments are not of the budget.
//
// A budget that has no room for one step is a *plugins.Problem. An experiment whose
// plugins fail while it is calibrated is a Failure and left out of what is returned.
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

// ApplyKnownBudget is [ApplyBudget] for an experiment whose steps are stored; where
// they are not the error is [store.ErrNoBudget].
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

// KeepBudget stores how many steps, each of the time that was measured, a budget has
// room for, and caps the experiment's steps at what is then stored. A budget that has no room for
// one step is a *plugins.Problem.
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

// Distinct refuses experiments that a budget has made one and the same: those that
// differ in the cap on their steps alone.
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

// limit caps the steps of an experiment. One whose suite trains no more steps stays as
// it is, so that it is the same experiment as without a budget.
func limit(spec *experiment.Spec, steps int) {
	perEpoch := spec.Loaded.Task.Training(spec.Seed, 0).Len()
	if steps < spec.Task.Training.Planned(perEpoch) {
		spec.Task.Training.Steps = steps
	}
}

// budgetID names what a budget is calibrated for: the experiment with any seed and no
// cap on its steps.
func budgetID(spec *experiment.Spec) (string, error) {
	any := *spec
	any.Seed, any.Task.Training.Steps = 0, 0
	row, err := any.Row()
	return row.ID, err
}
