package attentivereader

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bittern/models/internal/reference"
	"bittern/models/recurrent"
	"bittern/models/stack"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// sizes are those of a task.
type sizes struct {
	document, question, sequences, vocabulary, classes int
	candidates                                         bool
}

func (s sizes) shape() network.Shape {
	shape := network.Shape{
		Inputs: []network.Input{
			{Name: "text", Role: network.Tokens, Stream: "story", Size: s.vocabulary},
			{Name: "asked", Role: network.Tokens, Stream: "query", Size: s.vocabulary},
			{Name: "asked length", Role: network.Lengths, Stream: "query", Size: 1},
			{Name: "text length", Role: network.Lengths, Stream: "story", Size: 1},
		},
		Steps:     map[string]int{"story": s.document, "query": s.question},
		Sequences: s.sequences, Classes: s.classes,
	}
	if s.candidates {
		shape.Inputs = append(shape.Inputs, network.Input{Name: "logits", Role: network.Candidates, Size: s.classes})
	}
	return shape
}

// rig is a built network with the tensors a harness would keep in its arena.
type rig struct {
	t       testing.TB
	sizes   sizes
	session *session
	model   *plugin
	plan    model.Plan
	request model.Build
}

func build(t testing.TB, options plugins.Values, s sizes, threads int) *rig {
	t.Helper()
	r := &rig{t: t, sizes: s, model: New().(*plugin)}
	shape := s.shape()
	var err error
	if r.plan, err = r.model.Plan(t.Context(), options, shape); err != nil {
		t.Fatal(err)
	}
	r.request = model.Build{
		Options: options, Shape: shape, Seed: 11, Threads: threads, Optimiser: model.Adam,
		Parameters: map[string]model.Tensors{}, Buffers: map[string][]float32{}, Batch: shape.Allocate(),
	}
	for _, p := range r.plan.Parameters {
		n := volume(p.Shape)
		tensors := model.Tensors{Value: nans(n), Grad: nans(n), Moment1: make([]float32, n), Moment2: make([]float32, n)}
		if p.Quantize {
			tensors.Quantized = nans(n)
		}
		r.request.Parameters[p.Name] = tensors
	}
	for _, b := range r.plan.Buffers {
		r.request.Buffers[b.Name] = nans(volume(b.Shape))
	}
	if err := r.model.Build(t.Context(), r.request); err != nil {
		t.Fatal(err)
	}
	r.session = r.model.Session.(*session)
	t.Cleanup(func() {
		if err := r.session.Close(); err != nil {
			t.Error(err)
		}
	})
	r.quantize()
	return r
}

func volume(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

func nans(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(math.NaN())
	}
	return out
}

// quantize copies values: what a quantizer makes of them is no matter of this package.
func (r *rig) quantize() {
	for _, p := range r.request.Parameters {
		copy(p.Quantized, p.Value)
	}
}

// randomise moves every parameter off its start, so that none has a gradient of nothing.
func (r *rig) randomise() {
	random := rand.New(rand.NewPCG(1, 9))
	for _, p := range r.plan.Parameters {
		for i := range r.request.Parameters[p.Name].Value {
			r.request.Parameters[p.Name].Value[i] += float32(random.NormFloat64()) / 3
		}
	}
	r.quantize()
}

// fill draws a batch. One sequence has all steps, one has one; the second has no target.
func (r *rig) fill(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 4))
	b := r.request.Batch
	for _, name := range []string{"text", "asked"} {
		for i := range b.Int32[name] {
			b.Int32[name][i] = int32(random.IntN(r.sizes.vocabulary))
		}
	}
	for name, steps := range map[string]int{"text length": r.sizes.document, "asked length": r.sizes.question} {
		lengths := b.Int32[name]
		for i := range lengths {
			lengths[i] = int32(1 + (i*5+int(seed))%steps)
		}
		lengths[0], lengths[len(lengths)-1] = int32(steps), 1
	}
	for i := range b.Targets {
		b.Targets[i] = int32(random.IntN(r.sizes.classes))
	}
	if marks := b.Int32["logits"]; marks != nil {
		for i := range marks {
			marks[i] = int32(random.IntN(2))
		}
		for i, target := range b.Targets {
			marks[i*r.sizes.classes+int(target)] = 1
		}
	}
	b.Targets[1] = -1
	if err := b.Check(r.request.Shape); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) step(number uint64) float64 {
	r.t.Helper()
	result, err := r.model.Step(r.t.Context(), model.Step{Number: number})
	if err != nil {
		r.t.Fatal(err)
	}
	return result.Loss
}

func (r *rig) evaluate(request model.Evaluate) network.Score {
	r.t.Helper()
	score, err := r.model.Evaluate(r.t.Context(), request)
	if err != nil {
		r.t.Fatal(err)
	}
	return score
}

// oracle is the reference of the network, and its parameters as they are.
func (r *rig) oracle() (reference.AttentiveReader, map[string][]float64) {
	a := r.session.architecture
	layer := func(s stream) reference.Layer {
		l := reference.Layer{
			Steps: s.steps, Batch: r.sizes.sequences, Inputs: a.embedding, Units: a.units,
			GRU: a.kind == recurrent.GRU, NormalizeCell: a.normalizeCell, Bits: a.hiddenBits,
			Normalization: map[recurrent.Normalization]reference.Normalization{
				recurrent.NoNorm: reference.None, recurrent.BatchNorm: reference.Batch, recurrent.SharedBatchNorm: reference.Batch,
				recurrent.LayerNorm: reference.Over, recurrent.WeightNorm: reference.Weight,
			}[a.normalization],
		}
		for _, n := range r.request.Batch.Int32[s.lengths] {
			l.Lengths = append(l.Lengths, int(n))
		}
		return l
	}
	parameters := map[string][]float64{}
	for name := range r.request.Parameters {
		for _, v := range r.session.Effective(name) {
			parameters[name] = append(parameters[name], float64(v))
		}
	}
	return reference.AttentiveReader{
		Text: layer(a.document), Question: layer(a.question), Vocabulary: a.vocabulary, Units: a.units, Classes: r.sizes.classes,
	}, parameters
}

// networks are options of small networks with every normalization.
var networks = []plugins.Values{
	{"units": "3", "embedding": "2", "normalization": "none"},
	{"units": "3", "embedding": "2", "normalization": "none", "cell": "gru"},
	{"units": "3", "embedding": "2", "normalization": "batch"},
	{"units": "3", "embedding": "2", "normalization": "batch", "normalize-cell": "false"},
	{"units": "3", "embedding": "2", "normalization": "batch", "cell": "gru"},
	{"units": "3", "embedding": "2", "normalization": "batch-shared"},
	{"units": "3", "embedding": "2", "normalization": "layer"},
	{"units": "3", "embedding": "2", "normalization": "weight"},
}

// rounded are options of networks that round their hidden states.
var rounded = []plugins.Values{
	{"units": "3", "embedding": "2", "normalization": "layer", "hidden-bits": "3"},
	{"units": "3", "embedding": "2", "normalization": "none", "cell": "gru", "hidden-bits": "2"},
}

// TestGradients holds the loss and the gradient of every parameter against a network in
// plain float64 loops and its finite differences, on two teams.
func TestGradients(t *testing.T) {
	t.Parallel()
	for i, options := range networks {
		s := sizes{5, 3, 4, 7, 4, true}
		if i%2 == 1 {
			s = sizes{4, 4, 3, 5, 3, false}
		}
		t.Run(fmt.Sprintf("%v %+v", options, s), func(t *testing.T) {
			t.Parallel()
			var want map[string][]float64
			for threads := 1; threads <= 2; threads++ {
				r := build(t, options, s, threads)
				r.randomise()
				r.fill(3)
				r.step(0)
				loss := r.step(0) // nothing is left of the pass before
				b := r.request.Batch
				oracle, parameters := r.oracle()
				plain := func() float64 {
					return oracle.Loss(parameters, b.Int32["text"], b.Int32["asked"], b.Targets, b.Int32["logits"])
				}
				if want == nil {
					want = map[string][]float64{}
					for name, value := range parameters {
						want[name] = differences(value, plain)
					}
				}
				if want := plain(); math.Abs(loss-want) > 1e-5 {
					t.Errorf("loss %v, want %v", loss, want)
				}
				for name := range want {
					near(t, "gradient of "+name, r.request.Parameters[name].Grad, want[name], 1e-3)
				}
			}
		})
	}
}

// TestRoundedLoss holds the loss of networks that round their hidden states against the
// same. Their gradients, which no finite differences find, are those of the layers, and
// package recurrent's tests look at them.
func TestRoundedLoss(t *testing.T) {
	t.Parallel()
	for _, options := range rounded {
		r := build(t, options, sizes{5, 3, 4, 7, 4, true}, 2)
		r.randomise()
		r.fill(3)
		loss := r.step(0)
		b := r.request.Batch
		oracle, parameters := r.oracle()
		if want := oracle.Loss(parameters, b.Int32["text"], b.Int32["asked"], b.Targets, b.Int32["logits"]); math.Abs(loss-want) > 1e-5 {
			t.Errorf("%v: loss %v, want %v", options, loss, want)
		}
	}
}

func differences(value []float64, loss func() float64) []float64 {
	const step = 1e-5
	out := make([]float64, len(value))
	for i, v := range value {
		value[i] = v + step
		above := loss()
		value[i] = v - step
		out[i] = (above - loss()) / (2 * step)
		value[i] = v
	}
	return out
}

// near compares relative to the largest magnitude of want.
func near(t *testing.T, name string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, want %d", name, len(got), len(want))
	}
	scale := 1e-3
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i, v := range want {
		if !(math.Abs(float64(got[i])-v) <= tolerance*scale) {
			t.Errorf("%s[%d]: got %v, want %v (largest %v)", name, i, got[i], v, scale)
			return
		}
	}
}

// TestExport runs the exported program in the reference executor and finds the loss and the
// answer of each sequence that a frozen evaluation does.
func TestExport(t *testing.T) {
	t.Parallel()
	for _, options := range slices.Concat(networks, rounded) {
		for _, s := range []sizes{{7, 5, 5, 11, 6, true}, {5, 6, 4, 9, 3, false}} {
			t.Run(fmt.Sprintf("%v %+v", options, s), func(t *testing.T) {
				t.Parallel()
				options := maps.Clone(options)
				options["units"], options["embedding"] = "13", "5"
				r := build(t, options, s, 2)
				r.randomise()
				for seed := range uint64(3) {
					r.fill(seed)
					r.evaluate(model.Evaluate{Statistics: model.Calibrate, First: seed == 0})
				}
				r.fill(7)
				exported, err := r.model.Export(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				weights := map[string]packed.Matrix{}
				for _, stage := range exported.Stages {
					for _, node := range stage.Graph.Nodes {
						if node.Weight == "" {
							continue
						}
						if want := strings.Contains(node.Weight, "document.") || strings.Contains(node.Weight, "question."); node.Recurrent != want {
							t.Errorf("the weight %s is marked recurrent: %v, want %v", node.Weight, node.Recurrent, want)
						}
						i := slices.IndexFunc(r.plan.Parameters, func(p model.Parameter) bool { return p.Name == node.Weight })
						p := r.plan.Parameters[i]
						if weights[p.Name], err = packed.FromValues(r.session.Effective(p.Name), p.Shape[0], p.Shape[1]); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := exported.Serves(r.request.Shape); err != nil {
					t.Fatal(err)
				}
				executor, err := network.NewReference(exported, weights)
				if err != nil {
					t.Fatal(err)
				}
				b := r.request.Batch
				targets := slices.Clone(b.Targets)
				targets[1] = int32(slices.Index(append(slices.Clone(b.Candidates(r.request.Shape.Inputs, 1)), 1), 1))
				for i, target := range targets {
					for j := range b.Targets {
						b.Targets[j] = -1
					}
					b.Targets[i] = target % int32(s.classes)
					got := r.evaluate(model.Evaluate{Statistics: model.Frozen})
					want, err := executor.Score(b)
					if err != nil {
						t.Fatal(err)
					}
					if got.Count != 1 || want.Count != 1 || got.Correct != want.Correct || !(math.Abs(got.LossSum-want.LossSum) <= 1e-4) {
						t.Errorf("sequence %d: the model's score is %+v, the program's %+v", i, got, want)
					}
				}
			})
		}
	}
}

// TestFillingIsNotRead changes every token beyond a sequence's length, and finds the same bits.
func TestFillingIsNotRead(t *testing.T) {
	t.Parallel()
	r := build(t, plugins.Values{"units": "9", "embedding": "5", "dropout": "0.3"}, sizes{7, 6, 4, 11, 5, true}, 2)
	r.randomise()
	r.fill(1)
	b := r.request.Batch
	outcome := func() []float64 {
		out := []float64{r.step(3)}
		for _, p := range r.plan.Parameters {
			if p.Name == stack.EmbeddingName {
				continue // the filling's columns have a gradient of 0 wherever they are
			}
			for _, v := range r.request.Parameters[p.Name].Grad {
				out = append(out, float64(v))
			}
		}
		return append(out, r.evaluate(model.Evaluate{Statistics: model.Batch}).LossSum)
	}
	want := outcome()
	for _, read := range r.session.streams() {
		for i, n := range b.Int32[read.lengths] {
			for t := int(n); t < read.steps; t++ {
				b.Int32[read.tokens][t*r.sizes.sequences+i] = int32((i + t) % 11)
			}
		}
	}
	if got := outcome(); !slices.Equal(got, want) {
		t.Error("tokens beyond the lengths change the loss or a gradient")
	}
}

// TestDropout drops by the step's number in training and nothing in evaluation.
func TestDropout(t *testing.T) {
	t.Parallel()
	r := build(t, plugins.Values{"units": "9", "embedding": "5", "dropout": "0.5", "normalization": "none"}, sizes{5, 3, 4, 11, 5, false}, 2)
	r.randomise()
	r.fill(1)
	plain := build(t, plugins.Values{"units": "9", "embedding": "5", "normalization": "none"}, r.sizes, 2)
	plain.randomise()
	plain.fill(1)
	first := r.step(1)
	if again, other := r.step(1), r.step(2); again != first || other == first {
		t.Errorf("losses of steps 1, 1 and 2 are %v, %v and %v; want the same twice and another", first, again, other)
	}
	if got, want := r.evaluate(model.Evaluate{Statistics: model.Batch}), plain.evaluate(model.Evaluate{Statistics: model.Batch}); got != want {
		t.Errorf("evaluation with dropout gives %+v, without %+v", got, want)
	}
}

// TestFrozenNeedsStatistics evaluates and exports before anything is gathered.
func TestFrozenNeedsStatistics(t *testing.T) {
	t.Parallel()
	r := build(t, plugins.Values{"units": "3", "embedding": "2"}, sizes{5, 3, 4, 11, 5, false}, 1)
	r.fill(1)
	_, evaluated := r.model.Evaluate(t.Context(), model.Evaluate{Statistics: model.Frozen})
	_, exported := r.model.Export(t.Context())
	for _, err := range []error{evaluated, exported} {
		if err == nil || !strings.Contains(err.Error(), "statistics are empty; evaluate with \"calibrate\" first") {
			t.Errorf("%v, want an error that says what to do", err)
		}
	}
}

// TestRefusals gives the model shapes that it does not serve.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*network.Shape)
		options plugins.Values
		want    string
	}{
		"targets at each step": {func(s *network.Shape) { s.Targets = "story" }, nil, `has a target at each step of the stream "story"`},
		"carried":              {func(s *network.Shape) { s.Carried = true }, nil, "carries state"},
		"features":             {func(s *network.Shape) { s.Inputs[0].Role = network.Features }, nil, `has features in the stream "story"`},
		"vocabularies":         {func(s *network.Shape) { s.Inputs[1].Size = 5 }, nil, "has vocabularies of 7 and 5"},
		"no lengths":           {func(s *network.Shape) { s.Inputs = s.Inputs[:3] }, nil, `lacks one of them in the stream "story"`},
		"one stream":           {func(s *network.Shape) { s.Inputs = slices.Delete(s.Inputs, 1, 3) }, nil, "has not two streams but 1"},
		"two tokens":           {func(s *network.Shape) { s.Inputs[1].Stream = "story" }, nil, `has the tokens "text" and "asked" in one stream`},
		"no class":             {func(s *network.Shape) { s.Classes = 0 }, nil, "0 classes"},
		"a batch of one":       {func(s *network.Shape) { s.Sequences = 1 }, nil, "raise the batch to at least 2"},
		"no such option":       {func(*network.Shape) {}, plugins.Values{"cel": "gru"}, "cell"},
	} {
		shape := sizes{5, 3, 4, 7, 5, false}.shape()
		test.change(&shape)
		_, err := New().Plan(t.Context(), test.options, shape)
		if p, ok := errors.AsType[*plugins.Problem](err); !ok || !strings.Contains(p.Sentence, test.want) {
			t.Errorf("%s: got %v, want a problem that says %q", name, err, test.want)
		}
	}
}

// TestSettings reads what tables show of a network.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		options                   plugins.Values
		cell, normalization, bits string
	}{
		{plugins.Values{}, "LSTM", "batch-cell", ""},
		{plugins.Values{"normalize-cell": "false"}, "LSTM", "batch-shared", ""}, // one set is deployed
		{plugins.Values{"cell": "gru"}, "GRU", "batch-shared", ""},
		{plugins.Values{"normalization": "layer", "hidden-bits": "4"}, "LSTM", "layer", "4"},
	} {
		plan, err := New().Plan(t.Context(), test.options, sizes{5, 3, 4, 7, 5, false}.shape())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, s := range plan.Settings {
			got[s.Name] = s.Value
		}
		if got[model.SettingCell] != test.cell || got[model.SettingNormalization] != test.normalization || got[model.SettingUnits] != "256" || got[model.SettingLayers] != "1" || got[model.SettingHiddenBits] != test.bits {
			t.Errorf("%v: settings %v, want %s, 256 units, 1 layer, %s and hidden bits %q", test.options, got, test.cell, test.normalization, test.bits)
		}
		quantized := 0
		for _, p := range plan.Parameters {
			if p.Quantize {
				quantized++
			}
		}
		if quantized != 8 {
			t.Errorf("%v: %d parameters are quantized, want Wx and Wh of four layers", test.options, quantized)
		}
	}
}

// TestLearnsToRead trains a network to name the entity that follows the question's
// word in the document, which no counting of words tells.
func TestLearnsToRead(t *testing.T) {
	t.Parallel()
	const entities, words = 3, 3
	s := sizes{8, 2, 32, entities + words + 1, entities, true}
	r := build(t, plugins.Values{"units": "24", "embedding": "12", "normalization": "layer"}, s, 1)
	random := rand.New(rand.NewPCG(2, 6))
	draw := func() {
		b := r.request.Batch
		clear(b.Int32["logits"])
		for i := range s.sequences {
			n := 2 + random.IntN(2) // of pairs of a word and an entity
			b.Int32["text length"][i], b.Int32["asked length"][i] = int32(2*n+random.IntN(3)), 2
			wordOrder, entityOrder := random.Perm(words), random.Perm(entities)
			for t := range s.document {
				token := entities + words // a word that says nothing
				if t < 2*n && t%2 == 0 {
					token = entities + wordOrder[t/2]
				} else if t < 2*n {
					token = entityOrder[t/2]
					b.Int32["logits"][i*entities+token] = 1
				}
				b.Int32["text"][t*s.sequences+i] = int32(token)
			}
			asked := random.IntN(n)
			b.Int32["asked"][i], b.Int32["asked"][s.sequences+i] = int32(entities+words), int32(entities+wordOrder[asked])
			b.Targets[i] = int32(entityOrder[asked])
		}
	}
	for number := range uint64(300) {
		draw()
		r.quantize()
		r.step(number)
		if _, err := r.model.Update(t.Context(), model.Update{Number: number + 1, LearningRate: 0.01, ClipNorm: 5}); err != nil {
			t.Fatal(err)
		}
	}
	r.quantize()
	var score network.Score
	for range 4 {
		draw()
		score.Add(r.evaluate(model.Evaluate{Statistics: model.Frozen}))
	}
	// A guess among the candidates is right in 5 of 12 cases.
	if accuracy := float64(score.Correct) / float64(score.Count); accuracy < 0.9 {
		t.Errorf("%d of %d answers are right after 300 steps, want 90 %%", score.Correct, score.Count)
	}
}
