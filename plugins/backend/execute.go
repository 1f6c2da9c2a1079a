package backend

import (
	"bittern/plugins"
	"bittern/plugins/network"
)

// Validate returns a *plugins.Problem if the batch does not fit the network, which must be
// valid, or Outputs has another length than the network's logits.
func (e Execute) Validate(n network.Network) error {
	b := e.Batch
	if err := b.Check(n.Shape(b.Sequences, b.Steps, b.Fresh != nil)); err != nil {
		return plugins.Problemf("%v", err)
	}
	if want := len(b.Targets) * n.Classes(); e.Outputs != nil && len(e.Outputs) != want {
		return plugins.Problemf("there is room for %d outputs, and %d targets of %d classes give %d", len(e.Outputs), len(b.Targets), n.Classes(), want)
	}
	return nil
}
