package model

import (
	"context"
	"errors"

	"bittern/plugins/network"
)

// Session is a network that Build has made, in the tensors of its request. Its methods
// are those of [Model] with the same names; Close frees what the session holds beside
// those tensors.
type Session interface {
	Step(request Step) (StepResult, error)
	Update(request Update) (UpdateResult, error)
	Evaluate(request Evaluate) (network.Score, error)
	Export() (network.Network, error)
	Close() error
}

// Base answers the calls of a [Model] that need a network. Embed it, and write Describe,
// Plan and a Build that calls [Base.Open]: the other calls then go to the session that it
// opened, and are an error before.
type Base struct{ Session Session } // nil before Build

// Open closes the session that there is and opens another in its place.
func (b *Base) Open(open func() (Session, error)) error {
	if b.Session != nil {
		err := b.Session.Close()
		b.Session = nil
		if err != nil {
			return err
		}
	}
	session, err := open()
	if err != nil {
		return err
	}
	b.Session = session
	return nil
}

var errNotBuilt = errors.New("the network is not built: call Build first")

// Step implements [Model].
func (b *Base) Step(_ context.Context, request Step) (StepResult, error) {
	if b.Session == nil {
		return StepResult{}, errNotBuilt
	}
	return b.Session.Step(request)
}

// Update implements [Model].
func (b *Base) Update(_ context.Context, request Update) (UpdateResult, error) {
	if b.Session == nil {
		return UpdateResult{}, errNotBuilt
	}
	return b.Session.Update(request)
}

// Evaluate implements [Model].
func (b *Base) Evaluate(_ context.Context, request Evaluate) (network.Score, error) {
	if b.Session == nil {
		return network.Score{}, errNotBuilt
	}
	return b.Session.Evaluate(request)
}

// Export implements [Model].
func (b *Base) Export(context.Context) (network.Network, error) {
	if b.Session == nil {
		return network.Network{}, errNotBuilt
	}
	return b.Session.Export()
}
