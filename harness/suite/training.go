package suite

import (
	"math"

	"bittern/plugins/model"
)

// Decay says how the learning rate moves from its first to its final value.
type Decay string

// Constant keeps the learning rate. Exponential multiplies it by the same
// factor at every step, so that the last step has the final learning rate.
const (
	Constant    Decay = "constant"
	Exponential Decay = "exponential"
)

// Training is a recipe: how an experiment's parameters are found. Its JSON holds what
// determines the numbers, which how often a run is saved does not.
type Training struct {
	Optimiser         model.Optimiser `mapstructure:"optimiser" json:"optimiser"`
	LearningRate      float64         `mapstructure:"learning_rate" json:"learning_rate"`
	FinalLearningRate float64         `mapstructure:"final_learning_rate" json:"final_learning_rate"` // exponential decay only
	Decay             Decay           `mapstructure:"decay" json:"decay"`
	ClipNorm          float64         `mapstructure:"clip_norm" json:"clip_norm"` // of the gradient over all parameters; 0 = off
	Epochs            int             `mapstructure:"epochs" json:"epochs"`
	Steps             int             `mapstructure:"steps" json:"steps"`                             // at most this many steps; 0 = no cap
	ValidateEvery     int             `mapstructure:"validate_every" json:"validate_every"`           // steps; 0 = once an epoch
	Patience          int             `mapstructure:"patience" json:"patience"`                       // validations without a new best before stopping; 0 = never stop early
	ResetMomentsEvery int             `mapstructure:"reset_moments_every" json:"reset_moments_every"` // steps of an epoch after which the optimiser's moments restart; 0 = never
	ResetMomentsEpoch bool            `mapstructure:"reset_moments_epoch" json:"reset_moments_epoch"` // restart the moments with each epoch, as the paper's code does
	// ValidationCalibration counts the training batches that the frozen
	// statistics of a validation are gathered over; see [Freeze] for those of
	// the deployed network.
	ValidationCalibration int `mapstructure:"validation_calibration_batches" json:"validation_calibration_batches"`

	CheckpointSteps   int `mapstructure:"checkpoint_every_steps" json:"-"`   // 0 = by time and validation only
	CheckpointSeconds int `mapstructure:"checkpoint_every_seconds" json:"-"` // 0 = by steps and validation only
}

// Rate is the learning rate of step number step (from 0) of total.
func (t Training) Rate(step, total int) float64 {
	if t.Decay != Exponential || total <= 1 {
		return t.LearningRate
	}
	return t.LearningRate * math.Pow(t.FinalLearningRate/t.LearningRate, float64(step)/float64(total-1))
}

// recipe is what a suite file need not repeat: the paper's optimiser (Adam at
// 0.002, constant) and the harness's own housekeeping.
var recipe = Training{
	Optimiser:             model.Adam,
	LearningRate:          0.002,
	Decay:                 Constant,
	Epochs:                1,
	ValidationCalibration: 20,
	CheckpointSeconds:     60,
}

// Freeze says how a trained network becomes a deployed one. It is no part of
// what is trained: another freeze of a finished network takes no training.
type Freeze struct {
	// Draws is how often the weights are drawn; the draw that validates best
	// is deployed. A deterministic quantizer draws once.
	Draws int `mapstructure:"draws" json:"draws"`
	// CalibrationBatches counts the training batches that the deployed
	// statistics are gathered over, as many as an epoch has at most.
	CalibrationBatches int `mapstructure:"calibration_batches" json:"calibration_batches"`
}

// freeze is what a suite file need not repeat.
var freeze = Freeze{Draws: 5, CalibrationBatches: 100}
