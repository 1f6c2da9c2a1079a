// Package checktest runs the checks of package conformance as Go tests.
package checktest

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"bittern/internal/conformance"
)

// Run runs each check as a subtest, and records in refusals what the plugin refuses.
func Run(t *testing.T, refusals *Refusals, groups []*conformance.Group) {
	t.Helper()
	for _, group := range groups {
		t.Run(group.Name, func(t *testing.T) {
			t.Parallel()
			runGroup(t, refusals, group)
		})
	}
}

func runGroup(t *testing.T, refusals *Refusals, group *conformance.Group) {
	t.Cleanup(func() {
		if err := group.Close(); err != nil {
			t.Error(err)
		}
	})
	refused := map[string]bool{}
	for _, check := range group.Checks {
		if refused[check.Of] {
			continue
		}
		name := check.Name
		if check.Of != "" {
			name = check.Of + "/" + name
		}
		t.Run(name, func(t *testing.T) {
			result, err := group.Run(t.Context(), check)
			if err != nil {
				t.Fatal(err)
			}
			if check.Of != "" {
				refusals.note(check.Of, result)
			}
			switch result.Outcome {
			case conformance.Failed:
				t.Errorf("%s, want %s", result.Seen, result.Expected)
			case conformance.Skipped:
				t.Skip(result.Seen)
			case conformance.Refused:
				refused[check.Of] = true
				t.Skipf("refused: %s", result.Seen)
			}
		})
	}
}

// Refusals records what a plugin refused: tasks for a model, programs for a backend. A plugin
// may refuse them; with Want, a test says which it should. The zero value is ready for use.
type Refusals struct {
	mutex   sync.Mutex
	tried   map[string]bool
	refused map[string]string // the reason, by name
}

func (r *Refusals) note(name string, result conformance.Result) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.tried == nil {
		r.tried, r.refused = map[string]bool{}, map[string]string{}
	}
	r.tried[name] = true
	if result.Outcome == conformance.Refused {
		r.refused[name] = result.Seen
	}
}

// Want makes the test fail at its end unless the plugin refused exactly these, with any of its
// options. It ignores what -test.run left out.
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
