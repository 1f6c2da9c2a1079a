package experiment

import (
	"errors"
	"testing"
)

func TestQuietTakesTurns(t *testing.T) {
	t.Parallel()
	var q Quiet
	fault := errors.New("fault")
	if err := q.compute(func() error {
		if q.turn.TryLock() {
			t.Error("something could be timed beside a step")
		}
		if !q.turn.TryRLock() {
			t.Fatal("two experiments cannot compute at a time")
		}
		q.turn.RUnlock()
		return fault
	}); err != fault {
		t.Errorf("compute: %v, want %v", err, fault)
	}
	if err := q.alone(func() error {
		if q.turn.TryRLock() {
			t.Error("a step could begin beside something that is timed")
		}
		return fault
	}); err != fault {
		t.Errorf("alone: %v, want %v", err, fault)
	}
}
