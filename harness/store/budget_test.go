package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bittern/harness/store"
	"bittern/plugins"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	s, err := store.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BudgetSteps(ctx, "a", time.Minute); !errors.Is(err, store.ErrNoBudget) {
		t.Errorf("an unknown budget: %v, want ErrNoBudget", err)
	}
	for _, put := range []struct {
		id          string
		budget      time.Duration
		steps, want int
	}{{"a", time.Minute, 100, 100}, {"a", time.Minute, 90, 100}, {"a", time.Hour, 6000, 6000}, {"b", time.Minute, 7, 7}} {
		got, err := s.PutBudget(ctx, put.id, put.budget, put.steps)
		if err != nil || got != put.want {
			t.Errorf("PutBudget(%s, %s, %d) = %d, %v, want %d", put.id, put.budget, put.steps, got, err, put.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	db, err := sql.Open("sqlite", filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE budgets SET steps = 101 WHERE steps = 100`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(ctx, dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.BudgetSteps(ctx, "a", time.Minute)
	if problem, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(problem.Sentence, "damaged") {
		t.Errorf("a damaged budget: %v, want a Problem", err)
	}
	if got, err := s.BudgetSteps(ctx, "a", time.Hour); err != nil || got != 6000 {
		t.Errorf("the other budget is %d, %v, want 6000", got, err)
	}
}
