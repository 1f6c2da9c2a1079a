package conformance_test

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bittern/internal/arena"
	"bittern/internal/conformance"
	"bittern/internal/null"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
)

// fault is a plugin with one fault, and what should find it.
type fault struct {
	message string // part of the message of the check that finds it
	groups  []*conformance.Group
	checks  []string // the names of all checks that find it; nil: any
}

// TestTheKitFindsFaults runs the checks on plugins with one fault each, and checks that one of
// them fails with the message for that fault. Without their faults the plugins pass: see the
// tests of package null, and TestSoundPluginsPass.
func TestTheKitFindsFaults(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := false
			var said []string
			err := conformance.RunAll(t.Context(), f.groups, func(r conformance.Result) {
				if r.Outcome != conformance.Failed {
					return
				}
				words := r.Seen + ", want " + r.Expected
				said = append(said, r.Check+": "+words)
				found = found || strings.Contains(words, f.message)
				if check := r.Check[strings.LastIndex(r.Check, "/")+1:]; f.checks != nil && !slices.Contains(f.checks, check) {
					t.Errorf("%s fails too: %s", r.Check, words)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if !found {
				t.Errorf("no check fails with %q; what fails:\n%s", f.message, strings.Join(said, "\n"))
			}
		})
	}
}

var faults = map[string]fault{
	"no summary": {message: "want both given", groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Summary = "" }
	})},
	"an unknown trait": {message: `the trait "bakward" is not one of`, groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{"bakward"} }
	})},
	"a default out of bounds": {message: "the defaults do not satisfy", groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) {
			d.Options = []plugins.Option{{Name: "scale", Type: plugins.Float, Default: "2", Max: 1, Doc: "a scale"}}
		}
	})},
	"an element left out": {message: "is NaN, from the latent", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(q *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			copy(w.Quantized[1:], w.Latent[1:])
		}
	})},
	"draws that depend on the calls before": {message: "the same draw after other calls", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(q *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			fill(w.Quantized, float32(q.calls))
		}
	})},
	"draws that ignore the seed": {message: "differ between steps: true, between seeds: false", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, draw quantizer.Draw) {
			fill(w.Quantized, float32(draw.Step))
		}
	})},
	"draws that ignore the name": {message: "want them keyed by the name", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, draw quantizer.Draw) {
			fill(w.Quantized, float32(draw.Step+draw.Seed))
		}
	})},
	"weights that depend on each other": {message: "quantized alone: element 0", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(q *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			fill(w.Quantized, float32(len(q.weights)))
		}
	})},
	"a latent overwritten": {message: "latent element 0 of one", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			copy(w.Quantized, w.Latent)
			w.Latent[0]++
		}
	})},
	"NaN made sound": {message: "no error and the quantized weight 0", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			for i, v := range w.Latent {
				w.Quantized[i] = v
				if v != v || math.IsInf(float64(v), 0) {
					w.Quantized[i] = 0
				}
			}
		}
	})},
	"deployed weights that were not trained": {message: "want 0 as quantized", groups: onQuantizer(func(q *faultyQuantizer) {
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) { fill(w.Quantized, 0) }
	})},
	"levels that were not trained": {message: "which is none of the deployed levels", groups: onQuantizer(func(q *faultyQuantizer) {
		q.freeze = func(w quantizer.Weight) quantizer.Frozen {
			return quantizer.Frozen{Name: w.Name, Planes: []quantizer.Plane{{Bits: 1, Codes: make([]uint16, len(w.Latent)), Levels: []float32{-1, 1}, Scales: []float32{9}}}}
		}
	})},
	"states that start otherwise": {message: "initialised in a fresh session: element 0 of the state scale of odd", groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitInitialise} }
		q.states = true
		q.initialise = func(w quantizer.Weight) { w.State["scale"].Value[0] = float32(starts.Add(1)) }
	})},
	"a latent that is initialised": {message: "latent element 0 of one = 1 after Initialise", groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitInitialise} }
		q.initialise = func(w quantizer.Weight) { w.Latent[0] = 1 }
	})},
	"a trained state without a gradient": {message: "nothing fills its gradient without the trait", groups: onQuantizer(func(q *faultyQuantizer) { q.states, q.trained = true, true })},
	"a gradient of a state left out": {message: "element 0 of the gradient of the state scale of one is NaN", groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitBackward} }
		q.states, q.trained = true, true
		q.backward = func(quantizer.Weight) {}
	})},
	"a state outside State": {message: "1 steps after training went on in a fresh session with the same latent weights and states, element 0 of the quantized weights of one = ", groups: onQuantizer(func(q *faultyQuantizer) {
		scale := float32(1)
		q.describe = withTraits(quantizer.TraitProject)
		q.project = func(quantizer.Weight) { scale *= 0.99 }
		q.write = func(_ *faultyQuantizer, w quantizer.Weight, _ quantizer.Draw) {
			for i, v := range w.Latent {
				w.Quantized[i] = scale * v
			}
		}
	}), checks: []string{"training goes on from State"}},
	"a state outside State that is deployed": {message: "frozen element 0 of one = ", groups: onQuantizer(func(q *faultyQuantizer) {
		offset := float32(0)
		q.describe = withTraits(quantizer.TraitProject)
		q.project = func(quantizer.Weight) { offset += 1e-7 }
		q.freeze = func(w quantizer.Weight) quantizer.Frozen {
			f := quantizer.Frozen{Name: w.Name, Values: slices.Clone(w.Latent)}
			f.Values[0] += offset
			return f
		}
	}), checks: []string{"training goes on from State"}},
	"a NaN in State": {message: "Project: element 0 of the state scale of one is NaN", groups: onQuantizer(func(q *faultyQuantizer) {
		q.states = true
		q.describe = withTraits(quantizer.TraitProject)
		q.project = func(w quantizer.Weight) { w.State["scale"].Value[0] = float32(math.NaN()) }
	}), checks: []string{"Project", "training goes on from State"}},
	"a backward whose trait is forgotten": {message: `Backward turns element 0 of the gradient of one from `, groups: onQuantizer(func(q *faultyQuantizer) {
		q.backward = func(w quantizer.Weight) { clear(w.Grad) }
	}), checks: []string{"traits are told"}},
	"a projection whose trait is forgotten": {message: `but the description has no trait "project", so it is never called`, groups: onQuantizer(func(q *faultyQuantizer) {
		q.project = func(w quantizer.Weight) { clear(w.Latent) }
	}), checks: []string{"traits are told"}},
	"a straight-through gradient that is scaled": {message: "Backward multiplies the gradients of every element of every weight by 0.5", groups: onBackward(func(i int, g float32) float32 {
		return g / 2
	}), checks: []string{"gradients keep their direction"}},
	"a gradient of the wrong sign": {message: "Backward turns the gradients of one around: along those that came in they are -1 of them", groups: onBackward(func(i int, g float32) float32 {
		return -g
	}), checks: []string{"gradients keep their direction"}},
	"a gradient that is not linear": {message: "twice what it was", groups: onBackward(func(i int, g float32) float32 {
		return g * g * g
	}), checks: []string{"gradients keep their direction"}},
	"a projection without an end": {message: "Latent projected twice", groups: onQuantizer(func(q *faultyQuantizer) {
		q.describe = func(d *plugins.Description) { d.Traits = []string{quantizer.TraitProject} }
		q.project = func(w quantizer.Weight) { w.Latent[0] /= 2 }
	})},

	"gradients accumulated":          {message: "still is, want every one overwritten", groups: onModel(func(m *faultyModel) { m.accumulate = true })},
	"a loss that differs":            {message: "the same step again", groups: onModel(func(m *faultyModel) { m.drift = true })},
	"a norm that is not the norm":    {message: "GradNorm of gradients clipped to 0 = 5, want 0", groups: onModel(func(m *faultyModel) { m.norm = 5 })},
	"a norm as of Step":              {message: "GradNorm of gradients clipped to 0 = 1, want 3", groups: onModel(func(m *faultyModel) { m.norm, m.gradient = -2, 1 })},
	"a count of all targets":         {message: "over 15 targets, 0 of them correct, where the batch has 5 targets", groups: onModel(func(m *faultyModel) { m.countAll = true })},
	"filling in the loss":            {message: "with batch statistics, the scores of parts of a batch's targets", groups: onModel(func(m *faultyModel) { m.scoreFilling = true })},
	"a statistic that is not marked": {message: "no buffer of the plan is marked Statistic, and with batch statistics Evaluate = ", groups: onModel(func(m *faultyModel) { m.unmarked = true })},
	"filling left out of a batch's statistics": {message: "with batch statistics, the scores of parts of a batch's targets", groups: onModel(func(m *faultyModel) {
		m.leaveOut = model.Batch
	})},
	"filling left out of a calibration": {message: "buffers calibrated with a batch of which some sequences have no target: element 0 of mean", groups: onModel(func(m *faultyModel) {
		m.leaveOut = model.Calibrate
	})},
	"a network that computes otherwise": {message: "batch 0: the exported network scores", groups: onModel(func(m *faultyModel) { m.wrongLoss = true })},
	"a weight that is no parameter":     {message: `wants the weight "lost"`, groups: onModel(func(m *faultyModel) { m.rename = "lost" })},
	"a network for another task":        {message: "the network gives out logits once a sequence, and the task", groups: onModel(func(m *faultyModel) { m.once = true })},
	"all tasks refused":                 {message: "the model serves no task", groups: onModel(func(m *faultyModel) { m.refuse = true })},

	"a mean over all elements of targets": {message: "the losses of steps on parts of a batch's targets", groups: onToy(toy{meanOfAll: true})},
	"gradients of a mean over all":        {message: "the gradients of steps on parts of a batch's targets", groups: onToy(toy{gradientOfAll: true})},
	"filling that is read":                {message: "with batch statistics and other values in the steps beyond lengths", groups: onToy(toy{readFilling: true})},
	"evaluation that starts fresh always": {message: "batch 1: the exported network scores", groups: onToy(toy{evaluateFresh: true})},
	"evaluation that goes on always":      {message: "Evaluate of fresh sequences after another batch", groups: onToy(toy{evaluateOn: true})},
	"steps that start fresh always":       {message: "whether sequences start fresh or go on", groups: onToy(toy{stepFresh: true})},
	"steps that go on always":             {message: "a step on fresh sequences after another step", groups: onToy(toy{stepOn: true})},
	"one mark for all sequences":          {message: "Evaluate of sequence 1, where sequence 0 alone starts fresh", groups: onToy(toy{firstMark: true})},
	"a learned state left out":            {message: "parameters beyond the plan counted", groups: onToy(toy{planOnly: true})},
	"a learned state's gradient lost":     {message: "to the gradient of a parameter beyond the plan, want it left alone", groups: onToy(toy{stepAll: true})},
	"a learned state overwritten":         {message: "made 8 of a parameter beyond the plan that was 7", groups: onToy(toy{buildAll: true})},
	"a state that is in no buffer":        {message: "a step that goes on from the buffers of another session", groups: onToy(toy{hidden: true})},
	"one state for steps and evaluation":  {message: "Evaluate that goes on after a step between", groups: onToy(toy{shared: true})},
	"one state for evaluation and steps":  {message: "Step that goes on after an evaluation between", groups: onToy(toy{shared: true})},
	"values of the session before":        {message: "the same step in a fresh session", groups: onToy(toy{sticky: true})},
	"a long sequence that is none":        {message: "as of one long sequence", groups: onToy(toy{fade: true})},
	"gradients halved":                    {message: "along a direction near them, want ", groups: onToy(toy{factor: 0.5}), checks: []string{"Step's gradients"}},
	"gradients negated":                   {message: "the gradients of O that Step writes come to a slope of 0.2584 along a direction near them, want -0.2584", groups: onToy(toy{factor: -1}), checks: []string{"Step's gradients"}},
	"an export with swapped gates":        {message: "batch 0: the exported network scores", groups: onToy(toy{swapDecays: true}), checks: []string{"Export"}},
	"an export without a bias":            {message: "batch 0: the exported network scores", groups: onToy(toy{forgetBias: true}), checks: []string{"Export"}},
	"clipping ignored":                    {message: "after an update with ClipNorm a quarter of the gradients' norm and one more, element 0 of ", groups: onToy(toy{ignoreClip: true}), checks: []string{"Update clips"}},
	"SGD that ascends":                    {message: "with SGD and a learning rate of 0.25, element 0 of O goes from", groups: onToy(toy{ascend: true}), checks: []string{"Update with SGD"}},
	"bfloat16 that rounds nothing":        {message: "with bfloat16 every gradient is that of float32", groups: onToy(toy{claimsBFloat16: true}), checks: []string{"Step and Evaluate with bfloat16"}},
	"bfloat16 scores that round nothing":  {message: "Evaluate with bfloat16 = {LossSum:", groups: onToy(toy{claimsBFloat16: true, roundsGradients: true}), checks: []string{"Step and Evaluate with bfloat16"}},
	"a seed ignored":                      {message: "the parameters start with the same values for the seeds 42 and 43", groups: onToy(toy{oneSeed: true}), checks: []string{"Build draws by the seed"}},
	"a step counter of its own":           {message: "the same step again = ", groups: onToy(toy{ownSteps: true})},
	"an update counter of its own":        {message: "values after update 4 in a fresh session with the values and moments of update 3: element 0 of ", groups: onToy(toy{ownCount: true}), checks: []string{"Update goes on from moments"}},
	"evaluation of latent weights":        {message: "Evaluate with other latent weights and the same quantized ones = ", groups: onToy(toy{latent: true}), checks: []string{"Evaluate uses Quantized", "Export"}},
	"latent weights used in a step":       {message: "with latent weights of NaN", groups: onModel(func(m *faultyModel) { m.useLatent = true })},
	"an update of learning rate 0":        {message: "values after an update of learning rate 0", groups: onModel(func(m *faultyModel) { m.moveAlways = true })},
	"quantized values that get lost":      {message: "quantized values after Step", groups: onModel(func(m *faultyModel) { m.spoilQuantized = true })},
	"starting values that are a draw":     {message: "starting values of the same seed", groups: onModel(func(m *faultyModel) { m.randomStart = true })},
	"nothing to quantize":                 {message: "is marked Quantize: a quantizer has nothing to do", groups: onModel(func(m *faultyModel) { m.quantizeNothing = true })},
	"costs without a reason":              {message: `Cost: area given: false, reason for missing: ""`, groups: onBackend(&faultyBackend{forget: "area"})},
	"a time without its spread":           {message: "Cost: Measured without the quartiles", groups: onBackend(&faultyBackend{timed: true})},
	"a substitution of nothing":           {message: `Cost: substitution {Weight:lost From:float32`, groups: onBackend(&faultyBackend{substitute: "lost"})},
	"a substitution by itself":            {message: `Cost: substitution {Weight:softmax.W From:float32`, groups: onBackend(&faultyBackend{substitute: "softmax.W"})},
	"a cost of no steps":                  {message: "Cost of a sequence without steps: no error", groups: onBackend(&faultyBackend{costAll: true})},
	"cycles of a step":                    {message: "the cycles of a sequence of twice the steps", groups: onBackend(&faultyBackend{cycles: 3})},
	"a machine that explains nothing":     {message: "Explain says nothing", groups: onBackend(&faultyBackend{silent: true}), checks: []string{"Explain"}},
	"a constant from nowhere":             {message: "Explain: the constant {Name:guess Value:1", groups: onBackend(&faultyBackend{guess: true}), checks: []string{"Explain"}},
	"bits that are cheaper the more":      {message: "with the first plane of each weight alone the memory is", groups: onExact(exact{inverse: true}), checks: []string{"Cost of fewer bits", "Cost of more units", "Cost of wider weights"}},
	"a part that counts twice":            {message: `Cost: "arithmetic" is a part of the energy twice`, groups: onExact(exact{twice: true}), checks: []string{"Cost"}},
	"units that are free":                 {message: "the dynamic energy of the largest LSTM is", groups: onExact(exact{flat: true}), checks: []string{"Cost of more units"}},
	"wide weights that are cheap":         {message: "the energy of an LSTM with weights of 2 bits is", groups: onExact(exact{narrow: true}), checks: []string{"Cost of wider weights"}},
	"energy for nothing":                  {message: `where nothing is computed "arithmetic" takes 9e-12 J`, groups: onExact(exact{overhead: true}), checks: []string{"Cost of no work"}},
	"leakage that is no static part":      {message: `where nothing is computed "leakage" takes`, groups: onExact(exact{dynamicLeakage: true}), checks: []string{"Cost of no work", "Cost at another clock"}},
	"a fast clock that takes more":        {message: "with megahertz = 50 the energy of arithmetic is", groups: onExact(exact{fastIsDear: true}), checks: []string{"Cost at another clock"}},
	"a clock that is half heard":          {message: "with megahertz = 50 the seconds is", groups: onExact(exact{deaf: true}), checks: []string{"Cost at another clock"}},
	"an unknown role":                     {message: `the role "tempo" of the option "megahertz" is not one of ["clock"]`, groups: onExact(exact{role: "tempo"}), checks: []string{"Describe"}},
	"outputs that differ":                 {message: "Execute again: output 0", groups: onBackend(&faultyBackend{drift: true})},
	"outputs left out":                    {message: "is NaN", groups: onBackend(&faultyBackend{writeNothing: true})},
	"sequences that are not their own":    {message: "sequence 0 alone: output 0", groups: onBackend(&faultyBackend{mix: true})},
	"a refusal without a reason":          {message: "no reason is given", groups: onBackend(&faultyBackend{refuse: true})},
	"a claim without arithmetic":          {message: "from those of exact arithmetic in the root mean square", groups: onBackend(&faultyBackend{claim: true})},
	"a network that lacks a weight":       {message: "Deploy of a network that lacks a weight: no error", groups: onBackend(&faultyBackend{deployAll: true})},
	"a batch that is none":                {message: "Execute of a batch that is empty: no error", groups: onBackend(&faultyBackend{executeAll: true})},

	"outputs negated": {message: "from those of exact arithmetic in the root mean square", groups: onExact(exact{output: func(v float32) float32 { return -v }}), checks: []string{"Execute against exact arithmetic"}},
	"outputs of zero": {message: "from those of exact arithmetic in the root mean square", groups: onExact(exact{output: func(float32) float32 { return 0 }}), checks: []string{"Execute against exact arithmetic"}},
	"outputs that are merely wrong": {message: "from those of exact arithmetic in the root mean square", groups: onExact(exact{output: func(v float32) float32 {
		return v + 0.01*v*v
	}}), checks: []string{"Execute against exact arithmetic"}},
	"a part of the memory dropped":         {message: `Cost: of the memory, "recurrent codes" and "recurrent float32" come to 0 bytes, want at least 7`, groups: onExact(exact{drop: backend.PartCodes}), checks: []string{"Cost's memory"}},
	"another part of the memory dropped":   {message: `Cost: of the memory, "embedding", "output layer" and parts of other names come to 0 bytes, want at least 140`, groups: onExact(exact{drop: backend.PartOutputLayer}), checks: []string{"Cost's memory"}},
	"no memory for states":                 {message: `Cost: of the memory, "state" come to 0 bytes`, groups: onExact(exact{drop: backend.PartState}), checks: []string{"Cost's memory"}},
	"one name for two arithmetics":         {message: `the arithmetic is "float64" both times`, groups: onExact(exact{amplify: true}), checks: []string{"one arithmetic, one result"}},
	"an option ignored":                    {message: `with the option gain = ["1.25" "0.75"] in place of "1", nothing of any program changes`, groups: onExact(exact{ignoreGain: true}), checks: []string{"options have an effect"}},
	"a state that is forgotten":            {message: "sequences that go on give other outputs than one long sequence", groups: onExact(exact{forget: true})},
	"a state that is kept":                 {message: "Execute again: output 0", groups: onExact(exact{keep: true})},
	"one mark for all sequences, deployed": {message: "a sequence that goes on among fresh ones: output 0", groups: onExact(exact{firstMark: true})},
	"a reverse scan that goes forward":     {message: "from those of exact arithmetic", groups: onExact(exact{change: func(n *network.Network) { n.Stages[1].Reverse = false }})},
	"a graph of the first step's table": {message: "from those of exact arithmetic", groups: onExact(exact{change: func(n *network.Network) {
		for _, s := range n.Stages {
			for i := range s.Graph.Nodes {
				node := &s.Graph.Nodes[i]
				for _, table := range []*stepgraph.Table{&node.Scale, &node.Shift} {
					if table.Rows > 1 {
						*table = stepgraph.Table{Rows: 1, Values: table.Values[:node.Size]}
					}
				}
			}
		}
	}})},
	"filling that is read, deployed": {message: "with other values in the steps beyond lengths", groups: onExact(exact{readFilling: true})},
	"outputs of filling":             {message: "want 0 beyond its length", groups: onExact(exact{fillOutputs: true})},
	"a score of all classes":         {message: "as its outputs say", groups: onExact(exact{allClasses: true})},
	"a score that needs outputs":     {message: "Execute without outputs", groups: onExact(exact{needOutputs: true})},
	"a score that is not exact":      {message: "of exact arithmetic; the tolerance is 1e-06", groups: onExact(exact{sharpen: true})},
}

// inProcess returns the way to start a plugin in this process.
func inProcess[P any](create func() P) conformance.Way[P] {
	return conformance.Way[P]{Name: "in process", Open: func(context.Context, *arena.Arena) (P, io.Closer, error) {
		return create(), io.NopCloser(nil), nil
	}}
}

func onQuantizer(spoil func(*faultyQuantizer)) []*conformance.Group {
	return conformance.Quantizer(inProcess(func() quantizer.Quantizer {
		q := &faultyQuantizer{Quantizer: null.NewQuantizer()}
		spoil(q)
		return q
	}), []plugins.Values{nil})
}

func withTraits(traits ...string) func(*plugins.Description) {
	return func(d *plugins.Description) { d.Traits = traits }
}

// onBackward returns the checks of a quantizer whose Backward changes each gradient.
func onBackward(change func(i int, g float32) float32) []*conformance.Group {
	return onQuantizer(func(q *faultyQuantizer) {
		q.describe = withTraits(quantizer.TraitBackward)
		q.backward = func(w quantizer.Weight) {
			for i, g := range w.Grad {
				w.Grad[i] = change(i, g)
			}
		}
	})
}

func onModel(spoil func(*faultyModel)) []*conformance.Group {
	return conformance.Model(inProcess(func() model.Model {
		m := &faultyModel{Model: null.NewModel()}
		spoil(m)
		return m
	}), []plugins.Values{{"units": "2"}})
}

func onToy(faulty toy) []*conformance.Group {
	return conformance.Model(inProcess(func() model.Model {
		m := faulty
		return &m
	}), []plugins.Values{nil})
}

func onExact(faulty exact) []*conformance.Group {
	return conformance.Backend(inProcess(func() backend.Backend {
		b := faulty
		return &b
	}), []plugins.Values{nil})
}

func onBackend(b *faultyBackend) []*conformance.Group {
	return conformance.Backend(inProcess(func() backend.Backend {
		faulty := *b
		faulty.Backend = null.NewBackend()
		return &faulty
	}), []plugins.Values{nil})
}

func fill(values []float32, value float32) {
	for i := range values {
		values[i] = value
	}
}

// faultyQuantizer is the null quantizer with the faults that are set.
type faultyQuantizer struct {
	quantizer.Quantizer
	describe func(*plugins.Description)
	write    func(*faultyQuantizer, quantizer.Weight, quantizer.Draw)
	freeze   func(quantizer.Weight) quantizer.Frozen
	project  func(quantizer.Weight)
	states   bool // each weight has a state "scale"
	trained  bool

	initialise func(quantizer.Weight)
	backward   func(quantizer.Weight)
	calls      int
	weights    []quantizer.Weight
}

func (q *faultyQuantizer) Plan(_ context.Context, _ plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	var states []quantizer.State
	for _, w := range weights {
		if q.states {
			states = append(states, quantizer.State{Name: "scale", Weight: w.Name, Shape: []int{1}, Trained: q.trained})
		}
	}
	return states, nil
}

func (q *faultyQuantizer) Initialise(context.Context) error {
	return q.each(q.initialise)
}

func (q *faultyQuantizer) Backward(context.Context, quantizer.Backward) error {
	return q.each(q.backward)
}

func (q *faultyQuantizer) each(call func(quantizer.Weight)) error {
	if call == nil {
		return errors.New("this quantizer has no such call")
	}
	for _, w := range q.weights {
		call(w)
	}
	return nil
}

func (q *faultyQuantizer) Describe(ctx context.Context) (plugins.Description, error) {
	d, err := q.Quantizer.Describe(ctx)
	if q.describe != nil {
		q.describe(&d)
	}
	return d, err
}

func (q *faultyQuantizer) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	q.weights = weights
	return q.Quantizer.Open(ctx, options, weights)
}

func (q *faultyQuantizer) Quantize(ctx context.Context, draw quantizer.Draw) error {
	q.calls++
	if q.write == nil {
		return q.Quantizer.Quantize(ctx, draw)
	}
	for _, w := range q.weights {
		q.write(q, w, draw)
	}
	return nil
}

func (q *faultyQuantizer) Project(context.Context) error { return q.each(q.project) }

func (q *faultyQuantizer) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	if q.freeze == nil {
		return q.Quantizer.Freeze(ctx, draw)
	}
	var frozen []quantizer.Frozen
	for _, w := range q.weights {
		frozen = append(frozen, q.freeze(w))
	}
	return frozen, nil
}

// faultyModel is the null model with the faults that are set.
type faultyModel struct {
	model.Model
	accumulate, drift, countAll, wrongLoss, refuse, once bool
	useLatent, moveAlways, spoilQuantized, randomStart   bool
	quantizeNothing, unmarked                            bool
	scoreFilling                                         bool
	leaveOut                                             model.Statistics // taken only over sequences with a target
	norm                                                 float64
	gradient                                             float32 // left by Step
	rename                                               string
	steps                                                int
	build                                                model.Build
}

// starts counts the models that were built; randomStart draws from it.
var starts atomic.Int32

func (m *faultyModel) Plan(ctx context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	if m.refuse {
		return model.Plan{}, plugins.Problemf("use another model")
	}
	plan, err := m.Model.Plan(ctx, options, shape)
	for i := range plan.Parameters {
		plan.Parameters[i].Quantize = plan.Parameters[i].Quantize && !m.quantizeNothing
	}
	plan.Buffers = append(plan.Buffers, model.Buffer{Name: "mean", Shape: []int{1}, Statistic: !m.unmarked})
	return plan, err
}

func (m *faultyModel) Build(ctx context.Context, build model.Build) error {
	m.build = build
	err := m.Model.Build(ctx, build)
	if m.randomStart {
		build.Parameters["output"].Value[0] = float32(starts.Add(1))
	}
	return err
}

func (m *faultyModel) Step(ctx context.Context, step model.Step) (model.StepResult, error) {
	before := slices.Clone(m.build.Parameters["recurrent"].Grad)
	result, err := m.Model.Step(ctx, step)
	m.steps++
	if m.accumulate {
		copy(m.build.Parameters["recurrent"].Grad, before)
	}
	if m.drift {
		result.Loss += float64(m.steps)
	}
	if m.useLatent && m.build.Parameters["recurrent"].Value[0] != 0 {
		result.Loss++
	}
	if m.spoilQuantized {
		m.build.Parameters["recurrent"].Quantized[0]++
	}
	m.build.Parameters["output"].Grad[0] = m.gradient
	return result, err
}

func (m *faultyModel) Update(ctx context.Context, update model.Update) (model.UpdateResult, error) {
	if m.moveAlways {
		m.build.Parameters["output"].Value[0]++
	}
	result, err := m.Model.Update(ctx, update)
	result.GradNorm += m.norm
	return result, err
}

func (m *faultyModel) Evaluate(ctx context.Context, request model.Evaluate) (network.Score, error) {
	score, err := m.Model.Evaluate(ctx, request)
	b := m.build.Batch
	scored := 0
	for i := range b.Sequences {
		if b.Scored(i) {
			scored++
		}
	}
	if m.countAll {
		score.Count = len(b.Targets)
		score.Correct = 0
	}
	if m.scoreFilling {
		score.LossSum *= float64(b.Sequences) / float64(scored)
	}
	switch mean := m.mean(m.leaveOut == request.Statistics); request.Statistics {
	case model.Batch:
		score.LossSum += float64(score.Count) * mean * mean
	case model.Calibrate:
		m.build.Buffers["mean"][0] = float32(mean)
	}
	if m.wrongLoss {
		score.LossSum *= 2
	}
	return score, err
}

// mean returns a statistic of the first steps of all sequences, or only of those with a target.
func (m *faultyModel) mean(scored bool) float64 {
	b, in := m.build.Batch, m.build.Shape.Inputs[0]
	sum, n := 0.0, 0
	for i := range b.Sequences {
		if scored && !b.Scored(i) {
			continue
		}
		n++
		if in.Role == network.Features {
			sum += float64(b.Float32[in.Name][i*in.Size])
		} else {
			sum += float64(b.Int32[in.Name][i])
		}
	}
	return sum / float64(n)
}

func (m *faultyModel) Export(ctx context.Context) (network.Network, error) {
	exported, err := m.Model.Export(ctx)
	if m.rename != "" {
		exported.Stages[0].Graph.Nodes[0].Weight = m.rename
	}
	exported.Stages[0].Last = exported.Stages[0].Last || m.once
	return exported, err
}

// faultyBackend is the null backend with the faults that are set.
type faultyBackend struct {
	backend.Backend
	forget, substitute               string
	drift, writeNothing, mix, refuse bool
	timed, silent, guess             bool
	claim, deployAll, executeAll     bool
	costAll                          bool
	cycles                           float64
	calls                            int
}

func (b *faultyBackend) Explain(ctx context.Context, options plugins.Values) (backend.Explanation, error) {
	e, err := b.Backend.Explain(ctx, options)
	if b.silent {
		e = backend.Explanation{}
	}
	if b.guess {
		e.Constants = []backend.Constant{{Name: "guess", Value: 1}}
	}
	return e, err
}

func (b *faultyBackend) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	cost, err := b.Backend.Cost(ctx, request)
	if b.costAll {
		err = nil
	}
	delete(cost.Missing, b.forget)
	if b.timed {
		cost.Measured, cost.N, cost.Seconds = true, 1, new(1.0)
		delete(cost.Missing, "seconds")
	}
	if b.cycles > 0 {
		cost.Cycles = &b.cycles
	}
	if b.substitute != "" {
		cost.Substitutions = []backend.Substitution{{Weight: b.substitute, From: "float32", To: "float32", Reason: "none"}}
	}
	return cost, err
}

func (b *faultyBackend) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	deployed, err := b.Backend.Deploy(ctx, request)
	if b.claim {
		deployed.Tolerance = new(1e-4)
	}
	if b.deployAll {
		err = nil
	}
	return deployed, err
}

func (b *faultyBackend) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	b.calls++
	if b.refuse {
		return network.Score{}, &backend.ErrUnsupported{}
	}
	outputs := request.Outputs
	if b.writeNothing {
		request.Outputs = nil
	}
	score, err := b.Backend.Execute(ctx, request)
	switch {
	case b.executeAll:
		return score, nil
	case b.drift:
		fill(outputs, float32(b.calls))
	case b.mix:
		fill(outputs, float32(request.Batch.Sequences))
	}
	return score, err
}
