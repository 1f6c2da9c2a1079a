package reports

import (
	"bittern/harness/store"
)

// TrainingLoss is the loss of a stretch of training steps.
type TrainingLoss struct {
	Step uint64  // training steps done at its end
	Loss float64 // the mean over its steps, in nats a target
}

// stretches is how many a training is summarised in at most: enough for a curve, and
// independent of how long the training was.
const stretches = 100

// ReadTraining reads the training losses of all experiments from their folders in the run
// store. [Collect] does not do so, because the files are long.
func (r *Report) ReadTraining() {
	for i := range r.Experiments {
		e := &r.Experiments[i]
		if e.Folder == "" {
			e.TrainingUnread = "the report was not collected from a run store"
			continue
		}
		steps, err := store.ReadSteps(e.Folder)
		if err != nil {
			e.TrainingUnread = err.Error()
			continue
		}
		if len(steps) == 0 {
			e.TrainingUnread = "no training step is recorded"
		}
		e.Training = stretched(steps)
	}
}

// stretched returns the mean losses of stretches of equal length; the last one may be
// shorter.
func stretched(steps []store.Step) []TrainingLoss {
	length := (len(steps) + stretches - 1) / stretches
	var losses []TrainingLoss
	for len(steps) > 0 {
		n := min(length, len(steps))
		sum := 0.0
		for _, step := range steps[:n] {
			sum += step.Loss
		}
		losses = append(losses, TrainingLoss{Step: steps[n-1].Step + 1, Loss: sum / float64(n)})
		steps = steps[n:]
	}
	return losses
}
