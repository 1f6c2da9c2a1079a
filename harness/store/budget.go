package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"bittern/plugins"
)

// ErrNoBudget says that a budget of an experiment was never turned into steps.
var ErrNoBudget = errors.New("the run store has no steps for this budget")

const budgetColumns = `experiment, nanoseconds, steps`

// BudgetSteps is the number of training steps that a budget of an experiment was turned
// into. If it never was, the error is [ErrNoBudget]. experiment is the ID that the
// experiment would have with seed 0 and without a cap on its steps.
func (s *Store) BudgetSteps(ctx context.Context, experiment string, budget time.Duration) (steps int, err error) {
	all, err := collect(ctx, s, func(rows *sql.Rows) (int, error) {
		values, err := rawValues(rows)
		if err != nil {
			return 0, err
		}
		if !sound("budgets", values) {
			return 0, plugins.Problemf("the row of a budget in the run store %s is damaged; give the steps that were trained with --steps, or name another folder with --runs", s.path)
		}
		var id, sum string
		var nanoseconds int64
		var steps int
		return steps, rows.Scan(&id, &nanoseconds, &steps, &sum)
	}, `SELECT `+budgetColumns+`, checksum FROM budgets WHERE experiment = ? AND nanoseconds = ?`, experiment, int64(budget))
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, ErrNoBudget
	}
	return all[0], nil
}

// PutBudget stores the number of training steps that a budget is turned into, so that a
// resumed or repeated run trains as many. If another process was first, its number stays
// and is returned.
func (s *Store) PutBudget(ctx context.Context, experiment string, budget time.Duration, steps int) (int, error) {
	if first, err := s.BudgetSteps(ctx, experiment, budget); !errors.Is(err, ErrNoBudget) {
		return first, err
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		var known int
		err := tx.QueryRowContext(ctx, `SELECT steps FROM budgets WHERE experiment = ? AND nanoseconds = ?`, experiment, int64(budget)).Scan(&known)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return put(ctx, tx, "budgets", budgetColumns, experiment, int64(budget), steps)
	})
	if err != nil {
		return 0, err
	}
	return s.BudgetSteps(ctx, experiment, budget)
}
