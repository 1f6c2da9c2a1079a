package recurrent

import "errors"

// LastStep passes on the last time step of a sequence alone: what a classifier
// of whole sequences looks at.
type LastStep struct {
	steps  int
	output []float32
}

// NewLastStep returns the operator for sequences of steps of width floats
// (Batch·Units) each.
func NewLastStep(steps, width int) *LastStep {
	return &LastStep{steps: steps, output: make([]float32, width)}
}

// Output is what Forward writes, the width of a step.
func (s *LastStep) Output() []float32 { return s.output }

// Forward computes the output of x [steps × width].
func (s *LastStep) Forward(x []float32) error {
	if err := s.check(s.output, x); err != nil {
		return err
	}
	copy(s.output, s.last(x))
	return nil
}

// Backward overwrites dx with the gradient with respect to x, given the one
// with respect to the output.
func (s *LastStep) Backward(dx, gradient []float32) error {
	if err := s.check(gradient, dx); err != nil {
		return err
	}
	last := s.last(dx)
	clear(dx[:len(dx)-len(last)])
	copy(last, gradient)
	return nil
}

func (s *LastStep) last(x []float32) []float32 { return x[(s.steps-1)*len(s.output):] }

func (s *LastStep) check(step, sequence []float32) error {
	return errors.Join(
		mismatch("last step", "the step", len(step), len(s.output)),
		mismatch("last step", "the sequence", len(sequence), s.steps, len(s.output)))
}
