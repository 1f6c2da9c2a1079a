package recurrent

import "errors"

// LastStates passes on the states that scans of a sequence end with alone: what a
// classifier of whole sequences looks at. A row is what scans forward in time give,
// then what scans backward do: of the first it takes the last step, of the others the first.
type LastStates struct {
	steps, batch      int
	forward, backward int // floats of a row
	output            []float32
}

// NewLastStates returns the operator for sequences of rows of forward + backward floats.
func NewLastStates(steps, batch, forward, backward int) *LastStates {
	return &LastStates{
		steps: steps, batch: batch, forward: forward, backward: backward,
		output: make([]float32, batch*(forward+backward)),
	}
}

// Output is what Forward writes, [Batch × (forward + backward)].
func (s *LastStates) Output() []float32 { return s.output }

// Forward computes the output of x [Steps × Batch × (forward + backward)].
func (s *LastStates) Forward(x []float32) error {
	if err := s.check(s.output, x); err != nil {
		return err
	}
	last := x[len(x)-len(s.output):]
	for at := 0; at < len(s.output); at += s.forward + s.backward {
		copy(s.output[at:at+s.forward], last[at:])
		copy(s.output[at+s.forward:at+s.forward+s.backward], x[at+s.forward:])
	}
	return nil
}

// Backward overwrites dx with the gradient with respect to x, given the one
// with respect to the output.
func (s *LastStates) Backward(dx, gradient []float32) error {
	if err := s.check(gradient, dx); err != nil {
		return err
	}
	clear(dx)
	last := dx[len(dx)-len(gradient):]
	for at := 0; at < len(gradient); at += s.forward + s.backward {
		copy(last[at:at+s.forward], gradient[at:])
		copy(dx[at+s.forward:at+s.forward+s.backward], gradient[at+s.forward:])
	}
	return nil
}

func (s *LastStates) check(step, sequence []float32) error {
	return errors.Join(
		mismatch("last states", "the step", len(step), len(s.output)),
		mismatch("last states", "the sequence", len(sequence), s.steps, len(s.output)))
}
