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

// Auto is the arithmetic of a suite that leaves the choice to the machine: package schedule makes it.
const Auto model.Arithmetic = "auto"

// Training is a recipe: how an experiment's parameters are trained. Its JSON has what
// determines the numbers of the trained network, so that the time between checkpoints is not in it.
type Training struct {
	Optimiser         model.Optimiser  `key:"optimiser" json:"optimiser" choices:"adam,sgd" doc:"what moves the latent weights"`
	LearningRate      float64          `key:"learning_rate" json:"learning_rate" above:"0" doc:"of the first step"`
	FinalLearningRate float64          `key:"final_learning_rate" json:"final_learning_rate" min:"0" doc:"with decay exponential the rate of the last step, above 0; with decay_on_rise the lowest that it is divided down to, 0 where there is none"`
	Decay             Decay            `key:"decay" json:"decay" choices:"constant,exponential" doc:"how the learning rate moves from the first step to the last"`
	DecayOnRise       float64          `key:"decay_on_rise" json:"decay_on_rise" min:"0" max:"1000" doc:"divide the learning rate by this, above 1, after each validation whose deployable score is no better than the best before it; 0 is off"`
	ClipNorm          float64          `key:"clip_norm" json:"clip_norm" min:"0" doc:"bound on the norm of the gradient over all parameters; 0 is off"`
	Arithmetic        model.Arithmetic `key:"arithmetic" json:"arithmetic,omitzero" choices:"auto,float32,bfloat16" flag:"arithmetic" doc:"what the matrix products of training compute with; bfloat16 rounds their operands and sums in float32, and all else stays float32; auto is bfloat16 where the processor has fast instructions for it and the model can, otherwise float32"`
	Epochs            int              `key:"epochs" json:"epochs" min:"1" max:"1048576" flag:"epochs" doc:"passes over the training part"`
	Steps             int              `key:"steps" json:"steps" min:"0" max:"1000000000000" flag:"steps" doc:"train at most this many steps; 0 is no cap"`
	ValidateEvery     int              `key:"validate_every" json:"validate_every" min:"0" max:"1000000000000" doc:"steps between validations; 0 is once an epoch"`
	Patience          int              `key:"patience" json:"patience" min:"0" max:"1000000000000" doc:"validations without a new best after which training stops; 0 is never"`
	ResetMomentsEvery int              `key:"reset_moments_every" json:"reset_moments_every" min:"0" max:"1000000000000" doc:"steps of an epoch after which the optimiser's moments restart; 0 is never"`
	ResetMomentsEpoch bool             `key:"reset_moments_epoch" json:"reset_moments_epoch" doc:"restart the moments with each epoch, as the paper's code does"`

	// ValidationCalibration counts the training batches that the frozen
	// statistics of a validation are gathered over; see [Freeze] for those of
	// the deployed network.
	ValidationCalibration int `key:"validation_calibration_batches" json:"validation_calibration_batches" min:"1" max:"1000000000000" doc:"training batches that the frozen statistics of a validation are gathered over"`

	// PaperStyleValidation has validations scored as the paper does too, which decides nothing.
	PaperStyleValidation bool `key:"paper_style_validation" json:"-" doc:"score each validation with the statistics of each batch and fresh draws too, as the paper does; it decides nothing and takes about as long again"`

	CheckpointSteps   int `key:"checkpoint_every_steps" json:"-" min:"0" max:"1000000000000" doc:"steps between checkpoints; 0 is by time and validation alone"`
	CheckpointSeconds int `key:"checkpoint_every_seconds" json:"-" min:"0" max:"1000000000" doc:"longest time between checkpoints; the first ones of a sitting come sooner; 0 is by steps and validation alone"`
}

// Planned is the number of training steps of the recipe if an epoch has perEpoch steps.
func (t Training) Planned(perEpoch int) int {
	if t.Steps > 0 {
		return min(t.Epochs*perEpoch, t.Steps)
	}
	return t.Epochs * perEpoch
}

// Rate is the learning rate of step number step (from 0) of total, after a number of
// validations that were no better than the best before them.
func (t Training) Rate(step, total, rises int) float64 {
	if t.DecayOnRise > 0 {
		return max(t.LearningRate/math.Pow(t.DecayOnRise, float64(rises)), t.FinalLearningRate)
	}
	if t.Decay != Exponential || total <= 1 {
		return t.LearningRate
	}
	return t.LearningRate * math.Pow(t.FinalLearningRate/t.LearningRate, float64(step)/float64(total-1))
}

// defaultSuite has the values of keys that a file leaves out: the paper's optimiser (Adam
// at a constant 0.002), and the harness's own checkpoints and freezes.
func defaultSuite() *Suite {
	return &Suite{
		Threads: 2,
		Training: Training{
			Optimiser:    model.Adam,
			LearningRate: 0.002,
			Decay:        Constant,
			Arithmetic:   Auto,
			Epochs:       1,

			// With 20 a validation takes a sixth longer, and its score is lower by nearly the same in
			// every epoch: 0.0018 to 0.0024 BPC in the first two of War & Peace, full precision and
			// ternary.
			ValidationCalibration: 10,
			CheckpointSeconds:     60,
		},
		Freeze: Freeze{Draws: 5, CalibrationBatches: 100},
	}
}

// Freeze says how a trained network becomes a deployed one. Training does not depend on it:
// a trained network can be frozen in another way without training.
type Freeze struct {
	Draws              int `key:"draws" json:"draws" min:"1" max:"1000" flag:"draws" doc:"how often the weights are drawn; the draw that validates best is deployed; a deterministic quantizer draws once"`
	CalibrationBatches int `key:"calibration_batches" json:"calibration_batches" min:"1" max:"1000000000000" flag:"calibration" doc:"training batches that the deployed statistics are gathered over, as many as an epoch has at most"`
}
