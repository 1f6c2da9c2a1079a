package conformance

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"bittern/internal/arena"
	"bittern/internal/checked"
	"bittern/plugins"
)

// Way says how to start the plugin under test.
type Way[P any] struct {
	Name string
	// Open returns a new plugin, whose tensors lie in the arena, and a Closer that ends it.
	Open func(ctx context.Context, shared *arena.Arena) (P, io.Closer, error)
	// Separate says that the plugin runs in another process, which can be killed.
	Separate bool
}

// describer is what the plugins of all kinds have in common.
type describer interface {
	Describe(ctx context.Context) (plugins.Description, error)
}

// contract is what the checks need to know of a kind of plugin.
type contract[P describer] struct {
	kind   plugins.Kind
	traits []string // all traits of the kind
	roles  []string // all roles that its options can have
	// wrap checks a plugin's answers as the host would.
	wrap func(P, checked.Judge) P
	// configure makes the first call that gives a plugin options.
	configure func(ctx context.Context, plugin P, options plugins.Values) error
	// checks returns the checks of a plugin with these options.
	checks func(all *pool[P], options plugins.Values) []Check
}

// groups returns one group of checks that all kinds have in common, and one for each set of
// options.
func (c contract[P]) groups(way Way[P], optionSets []plugins.Values) []*Group {
	group := func(name string, checks func(*pool[P]) []Check) *Group {
		shared := &pool[P]{contract: c, way: way}
		return &Group{Name: name, Checks: checks(shared), separate: way.Separate, limit: Limit, shared: shared}
	}
	groups := []*Group{group("all options", func(all *pool[P]) []Check {
		return []Check{
			{Name: "Describe", run: func(r *recorder) { checkDescription(r, c.kind, c.traits, c.roles, all.open(r, 0).description) }},
			{Name: "option bounds", run: func(r *recorder) {
				o := all.open(r, 0)
				checkRefusals(r, o.description.Options, func(ctx context.Context, options plugins.Values) error {
					return c.configure(ctx, o.plugin, options)
				})
			}},
		}
	})}
	for _, options := range optionSets {
		groups = append(groups, group(optionsName(options), func(all *pool[P]) []Check { return c.checks(all, options) }))
	}
	return groups
}

func optionsName(options plugins.Values) string {
	if len(options) == 0 {
		return "default options"
	}
	var list []string
	for name, value := range options {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// pool is the plugins that the checks of a group share. Number 0 is the one under test; it is
// compared with the others. Each has its own arena.
type pool[P describer] struct {
	contract contract[P]
	way      Way[P]
	mutex    sync.Mutex
	opened   map[int]opened[P]
	closers  []func() error
}

// opened is a plugin that serves one session after another.
type opened[P any] struct {
	plugin      P
	bare        P // without the checks of package checked
	description plugins.Description
	shared      *arena.Arena
}

// open returns the plugin of this number. It starts the plugin unless it runs already.
func (p *pool[P]) open(r *recorder, number int) opened[P] {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if o, ok := p.opened[number]; ok {
		return o
	}
	var o opened[P]
	var err error
	o.shared, err = arena.Create("", 0)
	r.must("create an arena", err)
	p.closers = append(p.closers, o.shared.Close)
	var closer io.Closer
	o.bare, closer, err = p.way.Open(r.ctx, o.shared)
	r.must("start the plugin", err)
	p.closers = append(p.closers, closer.Close)
	o.description, err = o.bare.Describe(r.ctx)
	r.must("Describe", err)
	o.plugin = p.contract.wrap(o.bare, checked.Judge{
		Owner: plugins.ID{Kind: p.contract.kind, Name: o.description.Name}.String(), Options: o.description.Options, Traits: o.description.Traits,
		Nonsense: func(call, detail string) error { return &nonsense{call + ": " + detail} },
	})
	if p.opened == nil {
		p.opened = map[int]opened[P]{}
	}
	p.opened[number] = o
	return o
}

func (p *pool[P]) close() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var errs []error
	for _, closing := range slices.Backward(p.closers) {
		errs = append(errs, closing())
	}
	p.opened, p.closers = nil, nil
	return errors.Join(errs...)
}

func (p *pool[P]) abandon() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.opened, p.closers = nil, nil
}

// nonsense is the error for an answer that the host would refuse.
type nonsense struct{ detail string }

func (n *nonsense) Error() string { return n.detail }

func allocate[T arena.Element](r *recorder, shared *arena.Arena, shape ...int) []T {
	slice, err := arena.Make[T](shared, shape...)
	r.must("allocate a tensor", err)
	return slice
}
