package plugintest

import (
	"context"
	"fmt"
	"testing"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/internal/checked"
)

// opener returns a fresh plugin whose tensors lie in the arena.
type opener[P any] func(t *testing.T, shared *arena.Arena) P

// way is one way to reach the plugin under test.
type way[P any] struct {
	name string
	open opener[P]
}

// describer is what all kinds have in common.
type describer interface {
	Describe(ctx context.Context) (plugins.Description, error)
}

// contract is what plugins of one kind are held against.
type contract[P describer] struct {
	kind   plugins.Kind
	traits []string // that the kind knows
	// wrap checks a plugin's answers as the host would.
	wrap func(P, checked.Judge) P
	// configure makes the first call that hands a plugin options.
	configure func(ctx context.Context, plugin P, options plugins.Values) error
	// check holds a plugin with some options against what is particular to the kind.
	check func(t *testing.T, open opener[P], options plugins.Values)
}

func (c contract[P]) run(t *testing.T, optionSets []plugins.Values, ways ...way[P]) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			t.Run("Describe", func(t *testing.T) {
				t.Parallel()
				checkDescription(t, c.kind, c.traits, way.open(t, newArena(t)))
			})
			t.Run("option bounds", func(t *testing.T) {
				t.Parallel()
				plugin := way.open(t, newArena(t))
				d, judge := describe(t, c.kind, plugin)
				checkRefusals(t, d.Options, func(ctx context.Context, options plugins.Values) error {
					return c.configure(ctx, c.wrap(plugin, judge), options)
				})
			})
			for _, options := range optionSets {
				t.Run(fmt.Sprintf("options %v", options), func(t *testing.T) {
					t.Parallel()
					c.check(t, way.open, options)
				})
			}
		})
	}
}

// withDefaults puts a plugin's default options before those given.
func withDefaults(options []plugins.Values) []plugins.Values {
	return append([]plugins.Values{nil}, options...)
}
