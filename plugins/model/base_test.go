package model_test

import (
	"errors"
	"testing"

	"bittern/plugins/model"
	"bittern/plugins/network"
)

// session answers with its loss, and notes that it is closed.
type session struct {
	loss   float64
	closed bool
}

func (s *session) Step(model.Step) (model.StepResult, error) {
	return model.StepResult{Loss: s.loss}, nil
}
func (s *session) Update(model.Update) (model.UpdateResult, error) {
	return model.UpdateResult{}, nil
}
func (s *session) Evaluate(model.Evaluate) (network.Score, error) { return network.Score{}, nil }
func (s *session) Export() (network.Network, error)               { return network.Network{}, nil }
func (s *session) Close() error                                   { s.closed = true; return nil }

// Calls before Build are errors, those after it go to the session, and a second Build
// closes the first one's session even where it fails itself.
func TestBase(t *testing.T) {
	t.Parallel()
	var b model.Base
	for call, run := range map[string]func() error{
		"Step":     func() error { _, err := b.Step(t.Context(), model.Step{}); return err },
		"Update":   func() error { _, err := b.Update(t.Context(), model.Update{}); return err },
		"Evaluate": func() error { _, err := b.Evaluate(t.Context(), model.Evaluate{}); return err },
		"Export":   func() error { _, err := b.Export(t.Context()); return err },
	} {
		if run() == nil {
			t.Errorf("%s before Build: no error", call)
		}
	}
	first := &session{loss: 3}
	if err := b.Open(func() (model.Session, error) { return first, nil }); err != nil {
		t.Fatal(err)
	}
	if result, err := b.Step(t.Context(), model.Step{}); err != nil || result.Loss != 3 {
		t.Errorf("Step = %v, %v, want the session's loss of 3", result, err)
	}
	fault := errors.New("no memory")
	if err := b.Open(func() (model.Session, error) { return nil, fault }); !errors.Is(err, fault) || !first.closed {
		t.Errorf("the second Open = %v, the first session closed: %t, want its error and true", err, first.closed)
	}
	if _, err := b.Step(t.Context(), model.Step{}); err == nil {
		t.Error("Step after an Open that failed: no error")
	}
}
