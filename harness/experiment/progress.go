package experiment

import "bittern/harness/metric"

// Stage is the kind of work that is under way for an experiment.
type Stage string

// The stages of an experiment, in order.
const (
	Waiting    Stage = "waiting for a worker" // only of an experiment that workers run
	Starting   Stage = "starting"
	Resuming   Stage = "resuming" // told once, with the steps that earlier sittings have done
	Training   Stage = "training"
	Validating Stage = "validating"
	Testing    Stage = "freezing and testing"
	Deploying  Stage = "deploying"
)

// Progress says how far an experiment has come.
type Progress struct {
	Stage       Stage
	Step, Steps int           // training steps, or test batches over all backends, done and planned
	Loss        float64       // of the last step's batch, nats; training only
	Speed       float64       // targets that the last step trained on, a second; training only
	Best        *float64      // best validation score so far
	Metric      metric.Metric // of Best
	Backend     string        // being deployed on; deploying only
}
