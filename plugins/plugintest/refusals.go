package plugintest

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"bittern/plugins/conformance"
)

// Refusals notes which of what the kit tried a plugin refused, with what options
// and in what process it may have been: programs of package network/sample for a
// backend, shapes of batches for a model. A refusal is no fault; that it is meant can
// be said with Want.
type Refusals struct {
	mutex   sync.Mutex
	tried   map[string]bool
	refused map[string]string // the reason by name
}

func newRefusals() *Refusals {
	return &Refusals{tried: map[string]bool{}, refused: map[string]string{}}
}

func (r *Refusals) note(name string, result conformance.Result) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.tried[name] = true
	if result.Outcome == conformance.Refused {
		r.refused[name] = result.Seen
	}
}

// Want fails the test at its end unless these, and no others, were refused. Of
// those that -test.run left out nothing is said.
//
//	plugintest.Backend(t, mine.New).Want(t, "gru-layer-norm", "attention")
func (r *Refusals) Want(t *testing.T, names ...string) {
	t.Helper()
	t.Cleanup(func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		for _, name := range slices.Sorted(maps.Keys(r.tried)) {
			reason, refused := r.refused[name]
			switch wanted := slices.Contains(names, name); {
			case refused && !wanted:
				t.Errorf("%s is refused, want it served: %s", name, reason)
			case !refused && wanted:
				t.Errorf("%s is served, want it refused", name)
			}
		}
	})
}
