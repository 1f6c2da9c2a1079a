package recurrent

import "errors"

// LastStep passes on the last time step of a sequence alone: what a classifier
// of whole sequences looks at.
type LastStep struct{ steps, width int }

// NewLastStep returns the operator for sequences of steps of width floats
// (Batch·Units) each.
func NewLastStep(steps, width int) LastStep { return LastStep{steps: steps, width: width} }

// Forward copies the last step of x [steps × width] to out [width].
func (s LastStep) Forward(out, x []float32) error {
	if err := s.check(out, x); err != nil {
		return err
	}
	copy(out, x[(s.steps-1)*s.width:])
	return nil
}

// Backward overwrites dx with the gradient with respect to x.
func (s LastStep) Backward(dx, gradient []float32) error {
	if err := s.check(gradient, dx); err != nil {
		return err
	}
	clear(dx[:(s.steps-1)*s.width])
	copy(dx[(s.steps-1)*s.width:], gradient)
	return nil
}

func (s LastStep) check(step, sequence []float32) error {
	return errors.Join(
		mismatch("last step", "the step", len(step), s.width),
		mismatch("last step", "the sequence", len(sequence), s.steps, s.width))
}
