package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/quantizerrpc"
	"bittern/plugins/packed"
	"bittern/plugins/quantizer"
)

// Quantizer holds a quantizer against the contract, once with its default
// options and once with each of the given options.
func Quantizer(t *testing.T, create func() quantizer.Quantizer, options ...plugins.Values) {
	t.Helper()
	runQuantizer(t, options,
		way[quantizer.Quantizer]{"in process", func(*testing.T, *arena.Arena) quantizer.Quantizer { return create() }},
		way[quantizer.Quantizer]{"over gRPC", func(t *testing.T, shared *arena.Arena) quantizer.Quantizer {
			var session io.Closer
			conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { session = quantizerrpc.Register(registrar, create()) })
			closeAfter(t, session)
			return quantizerrpc.NewClient(conn, shared)
		}})
}

// QuantizerProcess holds an executable, or a built-in, against the contract.
func QuantizerProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) {
	t.Helper()
	runQuantizer(t, options, way[quantizer.Quantizer]{"in its own process", func(t *testing.T, shared *arena.Arena) quantizer.Quantizer {
		process, err := catalogue.Quantizer(t.Context(), name, host.Settings{Arena: shared})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Quantizer
	}})
}

func closeAfter(t *testing.T, closer io.Closer) {
	t.Cleanup(func() {
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	})
}

// quantizerShapes are what every check runs on: the smallest, and sizes that
// are no multiple of any vector or word.
var quantizerShapes = []quantizer.Shape{{Name: "one", Rows: 1, Cols: 1}, {Name: "small", Rows: 3, Cols: 5}, {Name: "odd", Rows: 17, Cols: 33}}

func runQuantizer(t *testing.T, optionSets []plugins.Values, ways ...way[quantizer.Quantizer]) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			t.Run("Describe", func(t *testing.T) {
				t.Parallel()
				traits := []string{quantizer.TraitBackward, quantizer.TraitProject}
				checkDescription(t, plugins.KindQuantizer, traits, way.open(t, newArena(t)))
			})
			t.Run("option bounds", func(t *testing.T) {
				t.Parallel()
				checkBounds(t, way.open(t, newArena(t)))
			})
			for _, options := range append([]plugins.Values{nil}, optionSets...) {
				t.Run(fmt.Sprintf("options %v", options), func(t *testing.T) {
					t.Parallel()
					for name, check := range map[string]func(*testing.T, *quantizerSession){
						"draws replay":           checkReplay,
						"steps and seeds differ": checkDraws,
						"weights stand alone":    checkAlone,
						"inputs stay":            checkInputsStay,
						"Freeze":                 checkFreeze,
						"Backward":               checkBackward,
						"Project":                checkProject,
						"NaN":                    checkNaN,
					} {
						t.Run(name, func(t *testing.T) {
							t.Parallel()
							check(t, openQuantizer(t, way.open, options, quantizerShapes))
						})
					}
				})
			}
		})
	}
}

// quantizerSession is a quantizer that has been opened on weights of its own.
type quantizerSession struct {
	quantizer.Quantizer
	open        opener[quantizer.Quantizer]
	options     plugins.Values
	description plugins.Description
	weights     []quantizer.Weight
}

func openQuantizer(t *testing.T, open opener[quantizer.Quantizer], options plugins.Values, shapes []quantizer.Shape) *quantizerSession {
	t.Helper()
	ctx := t.Context()
	shared := newArena(t)
	q := open(t, shared)
	d, judge := describe(t, plugins.KindQuantizer, q)
	s := &quantizerSession{Quantizer: checked.Quantizer(q, judge), open: open, options: options, description: d}
	states, err := s.Plan(ctx, options, shapes)
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	for _, shape := range shapes {
		w := quantizer.Weight{Shape: shape, State: map[string][]float32{}}
		for _, tensor := range []*[]float32{&w.Latent, &w.Quantized, &w.Grad, &w.Moment2} {
			*tensor = allocate[float32](t, shared, shape.Rows, shape.Cols)
		}
		for _, state := range states {
			if state.Weight == shape.Name {
				w.State[state.Name] = allocate[float32](t, shared, state.Len)
			}
		}
		fillWeight(w)
		s.weights = append(s.weights, w)
	}
	if err := s.Open(ctx, options, s.weights); err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

// fillWeight gives a weight the values it might have in training: latents up to
// the Glorot bound √(6/(rows+cols)), zero among them. Equal shapes get equal values.
func fillWeight(w quantizer.Weight) {
	random := randomness()
	bound := math.Sqrt(6 / float64(w.Rows+w.Cols))
	for i := range w.Latent {
		w.Latent[i] = float32(bound * (2*random.Float64() - 1))
		w.Grad[i] = float32(0.1 * random.NormFloat64())
		w.Moment2[i] = w.Grad[i] * w.Grad[i]
	}
	w.Latent[len(w.Latent)/2] = 0
}

func (s *quantizerSession) quantize(t *testing.T, draw quantizer.Draw) [][]float32 {
	t.Helper()
	for _, w := range s.weights {
		for i := range w.Quantized {
			w.Quantized[i] = float32(math.NaN()) // every element must be written
		}
	}
	if err := s.Quantize(t.Context(), draw); err != nil {
		t.Fatalf("Quantize(%+v): %v", draw, err)
	}
	var quantized [][]float32
	for _, w := range s.weights {
		quantized = append(quantized, slices.Clone(w.Quantized))
	}
	return quantized
}

func checkBounds(t *testing.T, q quantizer.Quantizer) {
	d, judge := describe(t, plugins.KindQuantizer, q)
	whole := checked.Quantizer(q, judge)
	checkRefusals(t, d.Options, func(ctx context.Context, options plugins.Values) error {
		_, err := whole.Plan(ctx, options, quantizerShapes)
		return err
	})
}

// checkRefusals sees that options which the description rules out are refused
// as mistakes of the user's.
func checkRefusals(t *testing.T, options []plugins.Option, plan func(context.Context, plugins.Values) error) {
	t.Helper()
	bad := []plugins.Values{{"no-such-option": "1"}}
	for _, o := range options {
		switch {
		case o.Type == plugins.Bool:
			bad = append(bad, plugins.Values{o.Name: "perhaps"})
		case o.Type == plugins.String && len(o.Choices) > 0:
			bad = append(bad, plugins.Values{o.Name: "no such choice"})
		case (o.Type == plugins.Int || o.Type == plugins.Float) && o.Min <= o.Max:
			bad = append(bad,
				plugins.Values{o.Name: fmt.Sprintf("%.0f", math.Floor(o.Min)-1)},
				plugins.Values{o.Name: fmt.Sprintf("%.0f", math.Ceil(o.Max)+1)},
				plugins.Values{o.Name: "many"})
		}
	}
	for _, options := range bad {
		err := plan(t.Context(), options)
		if _, ok := errors.AsType[*plugins.Problem](err); !ok {
			t.Errorf("Plan with the options %v: error %v, want a *plugins.Problem", options, err)
		}
	}
}

func checkReplay(t *testing.T, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 7, Step: 11}
	first := s.quantize(t, draw)
	s.quantize(t, quantizer.Draw{Seed: 8, Step: 12})
	if _, err := s.Freeze(t.Context(), quantizer.Draw{Seed: 9}); err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	s.equal(t, "the same draw after other calls", s.quantize(t, draw), first)
	fresh := openQuantizer(t, s.open, s.options, quantizerShapes)
	s.equal(t, "the same draw in a fresh session", fresh.quantize(t, draw), first)
}

func (s *quantizerSession) equal(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for k, w := range s.weights {
		if i := difference(got[k], want[k]); i >= 0 {
			t.Errorf("%s: element %d of %s = %v, want %v", what, i, w.Name, got[k][i], want[k][i])
		}
	}
}

// difference returns the first index at which the bits differ, or −1.
func difference(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// varies says whether the draws given differ in any weight.
func (s *quantizerSession) varies(t *testing.T, draws ...quantizer.Draw) bool {
	t.Helper()
	first := s.quantize(t, draws[0])
	for _, draw := range draws[1:] {
		for k, quantized := range s.quantize(t, draw) {
			if difference(quantized, first[k]) >= 0 {
				return true
			}
		}
	}
	return false
}

func (s *quantizerSession) stochastic(t *testing.T) bool {
	t.Helper()
	return s.varies(t, quantizer.Draw{Seed: 1, Step: 0}, quantizer.Draw{Seed: 1, Step: 1}, quantizer.Draw{Seed: 1, Step: 2})
}

func checkDraws(t *testing.T, s *quantizerSession) {
	bySeed := s.varies(t, quantizer.Draw{Seed: 1}, quantizer.Draw{Seed: 2}, quantizer.Draw{Seed: 3})
	if byStep := s.stochastic(t); byStep != bySeed {
		t.Errorf("quantized weights differ between steps: %t, between seeds: %t; a stochastic quantizer must use both, another one neither", byStep, bySeed)
	}
}

// checkAlone sees that a weight's numbers depend on its name and not on what
// else is in the session.
func checkAlone(t *testing.T, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 3, Step: 5}
	all := s.quantize(t, draw)
	for k, shape := range quantizerShapes {
		alone := openQuantizer(t, s.open, s.options, []quantizer.Shape{shape})
		if got, want := alone.quantize(t, draw)[0], all[k]; difference(got, want) >= 0 {
			i := difference(got, want)
			t.Errorf("%s quantized alone: element %d = %v, want %v as among other weights", shape.Name, i, got[i], want[i])
		}
	}
	renamed := openQuantizer(t, s.open, s.options, []quantizer.Shape{{Name: "renamed", Rows: 17, Cols: 33}})
	if same := difference(renamed.quantize(t, draw)[0], all[2]) < 0; s.stochastic(t) && same {
		t.Errorf("two weights of different names draw the same random numbers, want them keyed by the name")
	}
}

func checkInputsStay(t *testing.T, s *quantizerSession) {
	type inputs struct{ latent, grad []float32 }
	var before []inputs
	for _, w := range s.weights {
		before = append(before, inputs{slices.Clone(w.Latent), slices.Clone(w.Grad)})
	}
	s.quantize(t, quantizer.Draw{Seed: 1, Step: 1})
	if _, err := s.Freeze(t.Context(), quantizer.Draw{Seed: 1, Step: 1}); err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	for k, w := range s.weights {
		if i := difference(w.Latent, before[k].latent); i >= 0 {
			t.Errorf("latent element %d of %s = %v after Quantize and Freeze, want %v as before", i, w.Name, w.Latent[i], before[k].latent[i])
		}
		if i := difference(w.Grad, before[k].grad); i >= 0 {
			t.Errorf("gradient element %d of %s = %v after Quantize and Freeze, want %v as before", i, w.Name, w.Grad[i], before[k].grad[i])
		}
	}
}

// checkFreeze sees that what is deployed is what was trained: every quantized
// value is a level of the codebook, and where there is no chance involved the
// frozen weights are the quantized ones. That codes fit their bits and codebooks
// their rows is checked on the way (package checked).
func checkFreeze(t *testing.T, s *quantizerSession) {
	draw := quantizer.Draw{Seed: 5, Step: 9}
	stochastic := s.stochastic(t)
	quantized := s.quantize(t, draw)
	frozen, err := s.Freeze(t.Context(), draw)
	if err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	again, err := s.Freeze(t.Context(), draw)
	if err != nil {
		t.Fatalf("Freeze again: %v", err)
	}
	for k, w := range s.weights {
		deployed := decode(t, frozen[k], w)
		if i := difference(decode(t, again[k], w), deployed); i >= 0 {
			t.Errorf("element %d of %s differs between two Freezes of the same draw", i, w.Name)
		}
		if frozen[k].Bits < packed.FullPrecision {
			checkLevels(t, w, frozen[k], quantized[k])
		}
		for i := range deployed {
			if !stochastic && !near(deployed[i], quantized[k][i]) {
				t.Errorf("frozen element %d of %s = %v, want %v as quantized", i, w.Name, deployed[i], quantized[k][i])
				break
			}
		}
	}
}

func decode(t *testing.T, f quantizer.Frozen, w quantizer.Weight) []float32 {
	t.Helper()
	if f.Bits == packed.FullPrecision {
		return f.Values
	}
	matrix, err := packed.Pack(f.Codes, w.Rows, w.Cols, f.Bits, f.Levels, f.PerRow)
	if err != nil {
		t.Fatalf("pack %s: %v", w.Name, err)
	}
	return matrix.Decode()
}

func checkLevels(t *testing.T, w quantizer.Weight, f quantizer.Frozen, quantized []float32) {
	t.Helper()
	for i, value := range quantized {
		levels := f.Levels
		if f.PerRow {
			perRow := len(f.Levels) / w.Rows
			levels = f.Levels[i/w.Cols*perRow : (i/w.Cols+1)*perRow]
		}
		if !slices.ContainsFunc(levels, func(level float32) bool { return near(level, value) }) {
			t.Errorf("Quantize wrote %v at element %d of %s, which is none of the deployed levels %v", value, i, w.Name, levels)
			return
		}
	}
}

// near allows for a scale that is computed in another order.
func near(a, b float32) bool {
	return math.Abs(float64(a-b)) <= 1e-5*math.Max(math.Abs(float64(a)), math.Abs(float64(b)))
}

func checkBackward(t *testing.T, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitBackward) {
		t.Skipf("%s has no trait %q", s.description.Name, quantizer.TraitBackward)
	}
	draw := quantizer.Draw{Seed: 2, Step: 3}
	backward := func(s *quantizerSession) [][]float32 {
		s.quantize(t, draw)
		if err := s.Backward(t.Context(), draw); err != nil {
			t.Fatalf("Backward: %v", err)
		}
		var grads [][]float32
		for _, w := range s.weights {
			grads = append(grads, slices.Clone(w.Grad))
		}
		return grads
	}
	first := backward(s)
	s.equal(t, "gradients in a fresh session", backward(openQuantizer(t, s.open, s.options, quantizerShapes)), first)
}

func checkProject(t *testing.T, s *quantizerSession) {
	if !slices.Contains(s.description.Traits, quantizer.TraitProject) {
		t.Skipf("%s has no trait %q", s.description.Name, quantizer.TraitProject)
	}
	project := func() [][]float32 {
		if err := s.Project(t.Context()); err != nil {
			t.Fatalf("Project: %v", err)
		}
		var latents [][]float32
		for _, w := range s.weights {
			latents = append(latents, slices.Clone(w.Latent))
		}
		return latents
	}
	once := project()
	s.equal(t, "Latent projected twice", project(), once)
}

// checkNaN sees that a latent weight that is not a number does not turn into a
// sound one behind the user's back.
func checkNaN(t *testing.T, s *quantizerSession) {
	for _, latent := range []float64{math.NaN(), math.Inf(1)} {
		s.weights[2].Latent[100] = float32(latent)
		err := s.Quantize(t.Context(), quantizer.Draw{})
		if _, ok := errors.AsType[*plugins.Problem](err); ok {
			t.Errorf("Quantize of a latent %v = the user's problem %q, want a fault", latent, err)
		}
		if err == nil {
			t.Errorf("Quantize of a latent %v: no error and the quantized weight %v, want an error or NaN", latent, s.weights[2].Quantized[100])
		}
	}
}
