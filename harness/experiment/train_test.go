package experiment

import (
	"testing"
	"time"
)

// Checkpoints come after 5, 10, 20 and 40 s, and from then on every minute.
func TestCheckpointGapGrowsToTheLongest(t *testing.T) {
	t.Parallel()
	saved := time.Duration(0)
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 140, 200} {
		if saved += checkpointGap(saved, time.Minute); saved != want*time.Second {
			t.Fatalf("checkpoint after %s, want one after %s", saved, want*time.Second)
		}
	}
	if gap := checkpointGap(0, 2*time.Second); gap != 2*time.Second {
		t.Errorf("gap with a longest of 2s = %s, want 2s", gap)
	}
}
