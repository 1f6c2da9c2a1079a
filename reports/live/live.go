// Package live says how far the experiments of a suite have come, from the run store
// alone, while other processes write it. It writes nothing and takes no lock.
package live

import (
	"slices"
	"time"

	"bittern/harness/store"
	"bittern/reports"
)

// Phase says what is happening to an experiment.
type Phase string

// The phases of an experiment. Testing lasts from the last training step to the stored result:
// a validation, the freezes and the test. Stopped means that the process ended before the
// experiment was finished, by an interrupt or a kill; running the suite again resumes it.
const (
	Queued    Phase = "queued"
	Starting  Phase = "starting"
	Training  Phase = "training"
	Testing   Phase = "testing"
	Deploying Phase = "deploying"
	Stopped   Phase = "stopped"
	Done      Phase = "done"
	Failed    Phase = "failed"
)

// Active are the phases in which a process works on the experiment.
var Active = []Phase{Starting, Training, Testing, Deploying}

// Experiment is how far one experiment has come.
type Experiment struct {
	ID, Task, Model, Quantizer string
	Seed                       uint64

	Phase   Phase
	Reason  string // of a failure or a stop, or why the steps cannot be read
	Trained bool   // all but the deployments is done
	// Finished is when the training ended, as done, failed or stopped.
	Finished time.Time

	Hosts []string // workers' machines that have trained it, in order; empty if this run did

	Step  uint64   // training steps done
	Steps uint64   // planned, if nothing stops the training early; 0 where it is not known
	Loss  *float64 // of the last step, nats a target
	Best  *float64 // validation score so far, in the unit of Metric

	Metric string

	StepSeconds float64       // mean of the last steps; 0 where it is not known
	Symbols     int           // of a step; 0 where it is not known
	Remaining   time.Duration // of the training, validations not counted; 0 where it is not known

	Deployed, Backends int // deployments that have ended, and all that the suite asks for

	// Failures are the deployments that failed.
	Failures []Failure

	// Losses and Validations are those of the training so far. They are empty for
	// experiments that are trained, as the report has them.
	Losses      []reports.TrainingLoss
	Validations []store.Validation
}

// Failure is a deployment that failed.
type Failure struct{ Backend, Reason string }

// SymbolsPerSecond is the speed of the training; 0 where it is not known.
func (e Experiment) SymbolsPerSecond() float64 {
	if e.StepSeconds == 0 {
		return 0
	}
	return float64(e.Symbols) / e.StepSeconds
}

// Share is how much of the training is done, from 0 to 1.
func (e Experiment) Share() float64 {
	switch {
	case e.Trained:
		return 1
	case e.Steps == 0:
		return 0
	}
	return min(1, float64(e.Step)/float64(e.Steps))
}

// Suite is how far a suite has come.
type Suite struct {
	Name        string
	Experiments []Experiment  // in the suite's order
	Remaining   time.Duration // until all are trained, as the others were; 0 where it is not known
}

// Count counts the experiments in some phases.
func (s Suite) Count(phases ...Phase) int {
	n := 0
	for _, e := range s.Experiments {
		if slices.Contains(phases, e.Phase) {
			n++
		}
	}
	return n
}

// Share is how much of the training of all experiments is done, from 0 to 1.
func (s Suite) Share() float64 {
	sum := 0.0
	for _, e := range s.Experiments {
		sum += e.Share()
	}
	return sum / float64(max(1, len(s.Experiments)))
}

// phase says what is happening to an experiment that is not done with all deployments.
// alive says whether a process has its lock.
func phase(row store.Experiment, alive bool) Phase {
	switch {
	case row.Status == store.Done && alive:
		return Deploying
	case row.Status == store.Done:
		return Queued
	case alive && row.Status == store.Running:
		return Training
	case alive:
		return Starting
	case row.Status == store.Pending && row.StartedAt.IsZero():
		return Queued
	case row.Status == store.Pending || row.Status == store.Running:
		return Stopped
	}
	return Failed
}

// remaining estimates how much longer the training of all experiments takes. It assumes that
// waiting experiments take the mean time of the others, and that as many run at a time as
// run now. It is 0 if none runs or nothing is known.
func remaining(experiments []Experiment, trained []float64) time.Duration {
	var left float64 // seconds
	waiting, active := 0, 0
	for _, e := range experiments {
		switch e.Phase {
		case Queued, Stopped:
			if !e.Trained {
				waiting++
			}
		case Starting:
			active++
			waiting++
		case Training, Testing:
			active++
			left += e.Remaining.Seconds()
			if e.Steps > 0 && e.StepSeconds > 0 {
				trained = append(trained, float64(e.Steps)*e.StepSeconds)
			}
		}
	}
	if active == 0 || waiting > 0 && len(trained) == 0 {
		return 0
	}
	sum := 0.0
	for _, seconds := range trained {
		sum += seconds
	}
	if waiting > 0 {
		left += float64(waiting) * sum / float64(len(trained))
	}
	return time.Duration(left / float64(active) * float64(time.Second))
}
