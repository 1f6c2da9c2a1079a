package cli

import (
	"testing"

	"bittern/harness/store"
)

// TestUnfinishedExperiments checks that the error for an experiment without a deployed network
// says why and what to do.
func TestUnfinishedExperiments(t *testing.T) {
	t.Parallel()
	of := func(status store.Status, artifact, reason string) store.Experiment {
		return store.Experiment{Task: "a\nb", Model: "lstm", Quantizer: "none", Seed: 1, Status: status, Artifact: artifact, Reason: reason}
	}
	for want, e := range map[string]store.Experiment{
		`a\nb, lstm, none, seed 1 is not finished (running); run its suite again to go on`:               of(store.Running, "", ""),
		`a\nb, lstm, none, seed 1 is not finished (pending); run its suite again to go on`:               of(store.Pending, "", ""),
		`a\nb, lstm, none, seed 1 has failed (it crashed); mend that and run its suite again`:            of(store.Failed, "", "it crashed"),
		`a\nb, lstm, none, seed 1 cannot be exported: its row is damaged`:                                of(store.Damaged, "", "its row is damaged"),
		`a\nb, lstm, none, seed 1 has no deployed network; run its suite again with --again to train it`: of(store.Done, "", ""),
	} {
		if err := finished(e); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", e.Status, err, want)
		}
	}
	if err := finished(of(store.Done, "checksum", "")); err != nil {
		t.Errorf("a finished experiment: %v", err)
	}
}
