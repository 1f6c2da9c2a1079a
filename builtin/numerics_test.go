package builtin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bittern/accel/backends/asic"
	"bittern/accel/backends/asichighspeed"
	"bittern/accel/backends/asiclowpower"
	"bittern/accel/backends/cpu"
	"bittern/accel/backends/mcu"
	"bittern/accel/backends/systolic"
	"bittern/accel/kernels/isa"
	"bittern/builtin"
	"bittern/models/attentivereader"
	"bittern/models/gru"
	"bittern/models/lstm"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
	"bittern/quantizers/absmean"
	"bittern/quantizers/alternating"
	"bittern/quantizers/binaryconnect"
	"bittern/quantizers/bwn"
	"bittern/quantizers/dorefa"
	"bittern/quantizers/fixedpoint"
	"bittern/quantizers/lab"
	"bittern/quantizers/laq"
	"bittern/quantizers/lat"
	"bittern/quantizers/lsq"
	"bittern/quantizers/none"
	"bittern/quantizers/stochasticbinary"
	"bittern/quantizers/stochasticternary"
	"bittern/quantizers/ternaryconnect"
	"bittern/quantizers/ttq"
	"bittern/quantizers/twn"
)

var update = flag.Bool("update", false, "record the numbers of plugins whose version is new")

// fingerprint is what a plugin computes from fixed numbers.
type fingerprint struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// A result is stored under the version of the built-in plugins that made it, and
// used again as long as that stays. So a plugin whose numbers change, in its own
// code or in the kernels below it, must get a new version: this test fails until it
// has one, and -update records the numbers of a new version only. Numbers depend on
// the instruction set, so each level has a file of its own.
func TestVersionsChangeWithNumbers(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "numerics-"+isa.Numbers()+".json")
	recorded := map[string]fingerprint{}
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		must(t, json.Unmarshal(text, &recorded))
	case !errors.Is(err, fs.ErrNotExist):
		t.Fatal(err)
	case !*update:
		t.Skipf("no numbers are recorded for the instruction set %s; run the test with -update on such a machine", isa.Numbers())
	}
	found := fingerprints(t)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		before, now := recorded[name], found[name]
		switch {
		case before == now:
		case before.Version == now.Version:
			t.Errorf("%s %s computes other numbers than were recorded for this version on %s; raise its version, then run the test with -update at every level", name, now.Version, isa.Numbers())
		case !*update:
			t.Errorf("%s has version %s, and numbers are recorded for %q; run the test with -update at every level (BITTERN_ISA)", name, now.Version, before.Version)
		}
	}
	if !*update || t.Failed() {
		return
	}
	if text, err = json.MarshalIndent(found, "", "  "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fingerprints are those of every built-in plugin but the null ones, which compute
// nothing.
func fingerprints(t *testing.T) map[string]fingerprint {
	t.Helper()
	found := map[string]fingerprint{}
	add := func(d plugins.Description, digest []byte) {
		found[plugins.ID{Kind: d.Kind, Name: d.Name}.String()] = fingerprint{d.Version, hex.EncodeToString(digest)}
	}
	for _, make := range quantizers {
		add(quantizerNumbers(t, make()))
	}
	for _, make := range []func() model.Model{lstm.New, gru.New, attentivereader.New} {
		modelNumbers(t, make, func(d plugins.Description, options string, digest []byte) {
			found[plugins.ID{Kind: d.Kind, Name: d.Name}.String()+" "+options] = fingerprint{d.Version, hex.EncodeToString(digest)}
		})
	}
	for _, make := range []func() backend.Backend{asic.New, asiclowpower.New, asichighspeed.New, systolic.New, mcu.New, cpu.New} {
		backendNumbers(t, make, func(d plugins.Description, program string, digest []byte) {
			found[plugins.ID{Kind: d.Kind, Name: d.Name}.String()+" "+program] = fingerprint{d.Version, hex.EncodeToString(digest)}
		})
	}
	for _, plugin := range builtin.Plugins() {
		looked := slices.ContainsFunc(slices.Collect(maps.Keys(found)), func(name string) bool {
			id, _, _ := strings.Cut(name, " ")
			return id == plugin.ID.String()
		})
		if !looked && plugin.ID.Name != "null" {
			t.Errorf("the numbers of %s are not looked at", plugin.ID)
		}
	}
	return found
}

// volume is the number of a tensor's elements.
func volume(shape []int) int {
	n := 1
	for _, size := range shape {
		n *= size
	}
	return n
}

// wave fills values with numbers that have nothing regular about them.
func wave(values []float32, phase float64) []float32 {
	for i := range values {
		values[i] = float32(0.3 * math.Sin(phase+1.7*float64(i)))
	}
	return values
}

func write(h hash.Hash, what ...any) { fmt.Fprintf(h, "%#v\n", what) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quantizerNumbers(t *testing.T, q quantizer.Quantizer) (plugins.Description, []byte) {
	ctx, h := t.Context(), sha256.New()
	d, weights := openQuantizer(t, q, quantizer.Shape{Name: "a", Rows: 5, Cols: 37}, quantizer.Shape{Name: "b", Rows: 3, Cols: 4})
	for step := range uint64(3) {
		draw := quantizer.Draw{Seed: 5, Step: step}
		must(t, q.Quantize(ctx, draw))
		if slices.Contains(d.Traits, quantizer.TraitBackward) {
			must(t, q.Backward(ctx, quantizer.Backward{Draw: draw, LearningRate: 0.01, Update: step + 1}))
		}
		if slices.Contains(d.Traits, quantizer.TraitProject) {
			must(t, q.Project(ctx))
		}
		for _, w := range weights {
			states := map[string][]float32{}
			for name, tensors := range w.State {
				states[name] = slices.Concat(tensors.Value, tensors.Grad)
			}
			write(h, w.Latent, w.Quantized, w.Grad, states)
		}
	}
	frozen, err := q.Freeze(ctx, quantizer.Draw{Seed: 7})
	must(t, err)
	for i, f := range frozen {
		m, err := f.Pack(weights[i].Rows, weights[i].Cols)
		must(t, err)
		write(h, f.Name, m.Format(), m.Decode())
	}
	return d, h.Sum(nil)
}

// quantizers are those of the field that come with the program.
var quantizers = []func() quantizer.Quantizer{
	none.New, fixedpoint.New, stochasticbinary.New, stochasticternary.New, binaryconnect.New, ternaryconnect.New,
	bwn.New, twn.New, absmean.New, dorefa.New, lab.New, lat.New, laq.New, alternating.New, ttq.New, lsq.New,
}

// openQuantizer opens a quantizer with its default options on weights of the shapes, as
// at the start of training, with some gradient.
func openQuantizer(t *testing.T, q quantizer.Quantizer, shapes ...quantizer.Shape) (plugins.Description, []quantizer.Weight) {
	ctx := t.Context()
	d, err := q.Describe(ctx)
	must(t, err)
	options, err := plugins.Resolve(d.Name, d.Options, nil)
	must(t, err)
	states, err := q.Plan(ctx, options, shapes)
	must(t, err)
	var weights []quantizer.Weight
	for i, shape := range shapes {
		n := shape.Rows * shape.Cols
		w := quantizer.Weight{
			Shape: shape, Latent: wave(make([]float32, n), float64(i)), Quantized: make([]float32, n),
			Grad: wave(make([]float32, n), 9), Moment2: make([]float32, n), State: map[string]quantizer.StateTensors{},
		}
		for k, grad := range w.Grad {
			w.Moment2[k] = grad * grad
		}
		for _, s := range states {
			if s.Weight == shape.Name {
				tensors := quantizer.StateTensors{Value: make([]float32, volume(s.Shape))}
				if s.Trained {
					tensors.Grad = make([]float32, len(tensors.Value))
				}
				w.State[s.Name] = tensors
			}
		}
		weights = append(weights, w)
	}
	must(t, q.Open(ctx, options, weights))
	if slices.Contains(d.Traits, quantizer.TraitInitialise) {
		must(t, q.Initialise(ctx))
	}
	return d, weights
}

// fill writes numbers that have nothing regular about them into a batch.
func fill(b network.Batch, shape network.Shape) {
	for _, in := range shape.Inputs {
		wave(b.Float32[in.Name], 2)
		values, limit := b.Int32[in.Name], in.Size
		for i := range values {
			switch in.Role {
			case network.Lengths:
				values[i] = int32(1 + (3+i*i)%shape.Steps[in.Stream])
			case network.Candidates:
				values[i] = int32((i + 1) % 2)
			default:
				values[i] = int32(i * i % limit)
			}
		}
	}
	for i := range b.Targets {
		b.Targets[i] = int32((i*i + 3*i) % shape.Classes)
	}
	for i := range b.Sequences { // a target must be a candidate
		if candidates := b.Candidates(shape.Inputs, i); candidates != nil {
			candidates[b.Targets[i]] = 1
		}
	}
}

// shapes are those of the batches that a model's numbers are found with: each model
// serves some.
var shapes = map[string]network.Shape{
	"symbols": symbols(11, 6, 5),
	"carried": func() network.Shape {
		s := symbols(11, 6, 5)
		s.Carried = true
		return s
	}(),
	"class": {
		Inputs: []network.Input{
			{Name: "text", Role: network.Tokens, Stream: "text", Size: 11},
			{Name: "lengths", Role: network.Lengths, Stream: "text", Size: 1},
		},
		Steps: map[string]int{"text": 5}, Sequences: 6, Classes: 4,
	},
	"pixels": {
		Inputs: []network.Input{{Name: "pixels", Role: network.Features, Stream: "pixels", Size: 1}},
		Steps:  map[string]int{"pixels": 5}, Sequences: 6, Classes: 4,
	},
	"reading": {
		Inputs: []network.Input{
			{Name: "document", Role: network.Tokens, Stream: "document", Size: 11},
			{Name: "document lengths", Role: network.Lengths, Stream: "document", Size: 1},
			{Name: "question", Role: network.Tokens, Stream: "question", Size: 11},
			{Name: "question lengths", Role: network.Lengths, Stream: "question", Size: 1},
			{Name: "candidates", Role: network.Candidates, Size: 4},
		},
		Steps: map[string]int{"document": 5, "question": 3}, Sequences: 6, Classes: 4,
	},
}

// modelNumbers finds a model's numbers on every shape that it serves, with every choice
// of every option that has some, and a quarter of the most that a number may be.
func modelNumbers(t *testing.T, make func() model.Model, found func(d plugins.Description, options string, digest []byte)) {
	ctx := t.Context()
	d, err := make().Describe(ctx)
	must(t, err)
	for _, option := range d.Options {
		choices := option.Choices
		switch option.Type {
		case plugins.Bool:
			choices = []string{"false", "true"}
		case plugins.Float:
			choices = []string{fmt.Sprint(option.Max / 4)}
		}
		for _, choice := range choices {
			served := false
			for _, name := range slices.Sorted(maps.Keys(shapes)) {
				options, err := plugins.Resolve(d.Name, d.Options, plugins.Values{"units": "19", option.Name: choice})
				must(t, err)
				_, err = make().Plan(ctx, options, shapes[name])
				if _, refused := errors.AsType[*plugins.Problem](err); refused {
					continue
				}
				must(t, err)
				h := sha256.New()
				trainAndExport(t, h, make(), options, shapes[name])
				found(d, name+" "+option.Name+"="+choice, h.Sum(nil))
				served = true
			}
			if !served {
				t.Errorf("%s serves no shape with %s=%s", d.Name, option.Name, choice)
			}
		}
	}
}

func trainAndExport(t *testing.T, h hash.Hash, m model.Model, options plugins.Values, shape network.Shape) {
	ctx := t.Context()
	plan, err := m.Plan(ctx, options, shape)
	must(t, err)
	build := model.Build{
		Options: options, Shape: shape, Seed: 3, Threads: 2, Optimiser: model.Adam,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{},
		Batch: shape.Allocate(),
	}
	fill(build.Batch, shape)
	for _, p := range plan.Parameters {
		n := volume(p.Shape)
		tensors := model.Tensors{Value: make([]float32, n), Grad: make([]float32, n), Moment1: make([]float32, n), Moment2: make([]float32, n)}
		if p.Quantize {
			tensors.Quantized = make([]float32, n)
		}
		build.Parameters[p.Name] = tensors
	}
	for _, b := range plan.Buffers {
		build.Buffers[b.Name] = make([]float32, volume(b.Shape))
	}
	must(t, m.Build(ctx, build))
	quantize := func() {
		for _, p := range build.Parameters {
			copy(p.Quantized, p.Value)
		}
	}
	for step := range uint64(3) {
		quantize()
		result, err := m.Step(ctx, model.Step{Number: step})
		must(t, err)
		updated, err := m.Update(ctx, model.Update{Number: step + 1, LearningRate: 0.01, ClipNorm: 0.5})
		must(t, err)
		write(h, result, updated)
	}
	quantize()
	for _, request := range []model.Evaluate{{Statistics: model.Batch}, {Statistics: model.Calibrate, First: true}, {Statistics: model.Frozen}} {
		if request.Statistics == model.Frozen { // the last two only fill up the batch
			for i := range build.Batch.Targets {
				if i%shape.Sequences >= 4 {
					build.Batch.Targets[i] = -1
				}
			}
		}
		evaluation, err := m.Evaluate(ctx, request)
		must(t, err)
		write(h, evaluation)
	}
	exported, err := m.Export(ctx)
	must(t, err)
	for i := range exported.Stages {
		rename(&exported.Stages[i].Graph)
	}
	text, err := json.Marshal(exported.Stages)
	must(t, err)
	h.Write(text)
	for _, name := range slices.Sorted(maps.Keys(build.Parameters)) {
		write(h, name, build.Parameters[name].Value)
	}
}

// rename numbers the values of a graph: what they are called is no number.
func rename(g *stepgraph.Graph) {
	names := map[string]string{}
	for i := range g.Inputs {
		name := fmt.Sprint("input ", i)
		names[g.Inputs[i].Name], g.Inputs[i].Name = name, name
	}
	for i, s := range g.States {
		names[s.Name] = fmt.Sprint("state ", i)
	}
	for i, n := range g.Nodes {
		names[n.Name] = fmt.Sprint("node ", i)
	}
	g.Output = names[g.Output]
	for i := range g.States {
		s := &g.States[i]
		s.Name, s.Next = names[s.Name], names[s.Next]
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		n.Name = names[n.Name]
		for j, input := range n.Inputs {
			n.Inputs[j] = names[input]
		}
	}
}

// marks are what a part of a cost says of itself beside its number.
var marks = regexp.MustCompile(", (Static|Assumed):(true|false)")

// backendNumbers finds a backend's numbers of every program: one that is new changes
// nothing of the others.
func backendNumbers(t *testing.T, fresh func() backend.Backend, found func(d plugins.Description, program string, digest []byte)) {
	ctx := t.Context()
	d, err := fresh().Describe(ctx)
	must(t, err)
	resolved, err := plugins.Resolve(d.Name, d.Options, nil)
	must(t, err)
	for _, program := range sample.Programs() {
		b, h := fresh(), sha256.New()
		_, err = b.Deploy(ctx, backend.Deploy{Options: resolved, Network: program.Network, Weights: program.Weights})
		if refused, ok := errors.AsType[*backend.ErrUnsupported](err); ok {
			write(h, program.Name, refused.Reason)
			found(d, program.Name, h.Sum(nil))
			continue
		}
		must(t, err)
		for number := range 2 {
			batch := program.Batch(3, number)
			outputs := make([]float32, len(batch.Targets)*program.Network.Classes())
			score, err := b.Execute(ctx, backend.Execute{Batch: batch, Outputs: outputs})
			must(t, err)
			write(h, score, outputs)
		}
		if !slices.Contains(d.Traits, backend.TraitTimed) {
			cost, err := b.Cost(ctx, backend.CostRequest{Steps: program.Steps})
			must(t, err)
			text := fmt.Sprintf("%#v\n", []any{cost.Energy, cost.Memory, *cost.Cycles, *cost.Seconds})
			h.Write([]byte(marks.ReplaceAllString(text, "")))
		}
		found(d, program.Name, h.Sum(nil))
	}
}
