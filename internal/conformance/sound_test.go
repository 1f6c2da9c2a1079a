package conformance_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"bittern/internal/conformance"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// TestSoundPluginsPass checks that a model and a backend which really compute pass.
// TestTheKitFindsFaults gives them faults.
func TestSoundPluginsPass(t *testing.T) {
	t.Parallel()
	for name, groups := range map[string][]*conformance.Group{
		"half of the gradients": onBackward(func(i int, g float32) float32 { return float32(i%2) * g }), "toy": onToy(toy{}), "exact": onExact(exact{}), "exact without softmax": onExact(exact{noSoftmax: true}),
	} {
		err := conformance.RunAll(t.Context(), groups, func(r conformance.Result) {
			if r.Outcome == conformance.Failed {
				t.Errorf("%s: %s: %s, want %s", name, r.Check, r.Seen, r.Expected)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

const toyUnits = 2

// toy is a recurrent network small enough to be differentiated by hand:
//
//	h_t = d∘h_{t−1} + R[:, x_t];  logits = O·h_t + b
type toy struct {
	meanOfAll, gradientOfAll, readFilling        bool
	evaluateFresh, evaluateOn, stepFresh, stepOn bool
	firstMark, hidden, shared, fade, sticky      bool
	planOnly, stepAll, buildAll                  bool // faults with parameters beyond the plan
	ascend, ignoreClip, ownCount, ownSteps       bool
	oneSeed, latent, swapDecays, forgetBias      bool
	claimsBFloat16, roundsGradients              bool
	factor                                       float64 // of gradients; 0 means 1
	steps, updates                               int
	build                                        model.Build
	tokens                                       network.Input
	builds                                       int
	evaluated, trained                           []float32 // state, [sequences, units]
}

func (m *toy) Describe(context.Context) (plugins.Description, error) {
	d := plugins.Description{Kind: plugins.KindModel, Name: "toy", Version: "1.0.0", API: plugins.APIVersion, Summary: "adds up"}
	if m.claimsBFloat16 {
		d.Traits = []string{model.TraitBFloat16}
	}
	return d, nil
}

func (m *toy) Plan(_ context.Context, _ plugins.Values, shape network.Shape) (model.Plan, error) {
	if shape.Inputs[0].Role != network.Tokens || len(shape.Inputs) > 2 {
		return model.Plan{}, plugins.Problemf("give it tokens")
	}
	plan := model.Plan{Parameters: []model.Parameter{
		{Name: "R", Shape: []int{toyUnits, shape.Inputs[0].Size}, Quantize: true},
		{Name: "O", Shape: []int{shape.Classes, toyUnits}},
		{Name: "b", Shape: []int{shape.Classes}},
		{Name: "d", Shape: []int{toyUnits}},
	}}
	if shape.Carried {
		plan.Buffers = []model.Buffer{{Name: "state", Shape: []int{shape.Sequences, toyUnits}}}
	}
	return plan, nil
}

func (m *toy) Build(_ context.Context, build model.Build) error {
	m.build, m.tokens = build, build.Shape.Inputs[0]
	m.builds++
	m.updates = 0
	seed := float64(build.Seed)
	if m.oneSeed {
		seed = 0
	}
	for _, name := range []string{"R", "O"} {
		for i := range build.Parameters[name].Value {
			build.Parameters[name].Value[i] = float32(math.Sin(float64(7*i+len(build.Parameters[name].Value)) + seed))
		}
	}
	clear(build.Parameters["b"].Value)
	fill(build.Parameters["d"].Value, 0.5)
	if m.buildAll {
		for _, p := range build.Parameters {
			p.Value[0]++
		}
	}
	m.evaluated = make([]float32, build.Shape.Sequences*toyUnits)
	m.trained = build.Buffers["state"]
	if m.hidden || m.trained == nil {
		m.trained = make([]float32, build.Shape.Sequences*toyUnits)
	}
	if m.shared {
		m.evaluated = m.trained
	}
	return nil
}

// pass runs the batch. If grad is not nil, it adds up the gradients of the sum of the losses.
func (m *toy) pass(r, state []float32, fresh, on bool, grad map[string][]float64) network.Score {
	b, o, bias, decay := m.build.Batch, m.build.Parameters["O"].Value, m.build.Parameters["b"].Value, m.build.Parameters["d"].Value
	vocabulary, classes := m.tokens.Size, m.build.Shape.Classes
	var score network.Score
	for i := range b.Sequences {
		h := make([]float64, toyUnits)
		starts := b.Starts(i)
		if m.firstMark {
			starts = b.Starts(0)
		}
		if (!starts || on) && !fresh {
			for u := range h {
				h[u] = float64(state[i*toyUnits+u])
			}
		}
		length := b.Length(m.build.Shape.Inputs, m.tokens.Stream, i)
		if m.readFilling {
			length = b.Steps[m.tokens.Stream]
		}
		var dh, before [][]float64 // by step
		for t := range length {
			token := int(b.Int32[m.tokens.Name][t*b.Sequences+i])
			before = append(before, slices.Clone(h))
			for u := range h {
				h[u] = float64(decay[u])*h[u] + float64(r[u*vocabulary+token])
			}
			dh = append(dh, make([]float64, toyUnits))
			at := i
			if m.build.Shape.Targets != "" {
				at = t*b.Sequences + i
			} else if t < length-1 {
				continue
			}
			if b.Targets[at] < 0 {
				continue
			}
			logits := make([]float32, classes)
			for c := range logits {
				logits[c] = float32(float64(o[c*toyUnits])*h[0] + float64(o[c*toyUnits+1])*h[1] + float64(bias[c]))
			}
			score.Target(logits, b.Targets[at], nil)
			if grad == nil {
				continue
			}
			sum := 0.0
			for _, v := range logits {
				sum += math.Exp(float64(v))
			}
			for c, v := range logits {
				d := math.Exp(float64(v)) / sum
				if c == int(b.Targets[at]) {
					d--
				}
				grad["b"][c] += d
				for u := range h {
					grad["O"][c*toyUnits+u] += d * h[u]
					dh[t][u] += d * float64(o[c*toyUnits+u])
				}
			}
		}
		if grad != nil {
			sum := make([]float64, toyUnits)
			for t := length - 1; t >= 0; t-- {
				token := int(b.Int32[m.tokens.Name][t*b.Sequences+i])
				for u := range sum {
					sum[u] += dh[t][u]
					grad["d"][u] += sum[u] * before[t][u]
					grad["R"][u*vocabulary+token] += sum[u]
					sum[u] *= float64(decay[u])
				}
			}
		}
		for u := range h {
			if m.fade {
				h[u] *= 0.9
			}
			state[i*toyUnits+u] = float32(h[u])
		}
	}
	return score
}

func (m *toy) Step(context.Context, model.Step) (model.StepResult, error) {
	grad := map[string][]float64{}
	for name, p := range m.build.Parameters {
		if m.planned(name) || m.stepAll {
			grad[name] = make([]float64, len(p.Value))
		}
	}
	score := m.pass(m.build.Parameters["R"].Quantized, m.trained, m.stepFresh, m.stepOn, grad)
	whole, count := float64(len(m.build.Batch.Targets)), float64(score.Count)
	for name := range grad {
		p := m.build.Parameters[name]
		for i, g := range grad[name] {
			if m.factor != 0 {
				g *= m.factor
			}
			if m.roundsGradients && m.build.Arithmetic == model.BFloat16 {
				g *= 1 + 0x1p-9
			}
			if m.gradientOfAll {
				p.Grad[i] = float32(g / whole)
			} else {
				p.Grad[i] = float32(g / count)
			}
		}
	}
	if m.meanOfAll {
		count = whole
	}
	if m.steps++; m.ownSteps && m.steps%2 == 0 { // every other step differs, as with a mask that is drawn anew
		score.LossSum *= 1.01
	}
	if m.sticky {
		score.LossSum += float64(m.builds)
	}
	return model.StepResult{Loss: score.LossSum / count}, nil
}

func (*toy) planned(name string) bool { return slices.Contains([]string{"R", "O", "b", "d"}, name) }

// Update is Adam with β₁ = β₂ = 0.9, or gradient descent.
func (m *toy) Update(_ context.Context, request model.Update) (model.UpdateResult, error) {
	square := 0.0
	moved := map[string]model.Tensors{}
	for name, p := range m.build.Parameters {
		if m.planOnly && !m.planned(name) {
			continue
		}
		moved[name] = p
		for _, g := range p.Grad {
			square += float64(g) * float64(g)
		}
	}
	norm, scale, number := math.Sqrt(square), 1.0, float64(request.Number)
	if request.ClipNorm > 0 && norm > request.ClipNorm && !m.ignoreClip {
		scale = request.ClipNorm / norm
	}
	if m.updates++; m.ownCount {
		number = float64(m.updates)
	}
	for _, p := range moved {
		for i, g := range p.Grad {
			step := scale * float64(g)
			if m.build.Optimiser == model.Adam {
				p.Moment1[i] = 0.9*p.Moment1[i] + 0.1*float32(step)
				p.Moment2[i] = 0.9*p.Moment2[i] + 0.1*float32(step*step)
				correction := 1 - math.Pow(0.9, number)
				step = float64(p.Moment1[i]) / correction / (math.Sqrt(float64(p.Moment2[i])/correction) + 1e-8)
			} else if m.ascend {
				step = -step
			}
			p.Value[i] -= float32(request.LearningRate * step)
		}
	}
	return model.UpdateResult{GradNorm: norm}, nil
}

func (m *toy) Evaluate(context.Context, model.Evaluate) (network.Score, error) {
	r := m.build.Parameters["R"].Quantized
	if m.latent {
		r = m.build.Parameters["R"].Value
	}
	return m.pass(r, m.evaluated, m.evaluateFresh, m.evaluateOn, nil), nil
}

func (m *toy) Export(context.Context) (network.Network, error) {
	shape := m.build.Shape
	decays := stepgraph.Table{Rows: 1, Values: slices.Clone(m.build.Parameters["d"].Value)}
	if m.swapDecays {
		slices.Reverse(decays.Values)
	}
	bias := stepgraph.Table{Rows: 1, Values: slices.Clone(m.build.Parameters["b"].Value)}
	if m.forgetBias {
		clear(bias.Values)
	}
	return network.Network{
		Model: "toy", Inputs: shape.Inputs, Output: "logits",
		Stages: []network.Stage{{Name: "logits", Op: network.Scan, Inputs: []string{m.tokens.Name}, Last: shape.Targets == "", Graph: stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: m.tokens.Size}},
			States: []stepgraph.State{{Name: "h", Size: toyUnits, Init: make([]float32, toyUnits), Next: "h'"}},
			Nodes: []stepgraph.Node{
				{Name: "R·x", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: toyUnits, Weight: "R", Recurrent: true},
				{Name: "d∘h", Op: stepgraph.ScaleShift, Inputs: []string{"h"}, Size: toyUnits, Scale: decays},
				{Name: "h'", Op: stepgraph.Add, Inputs: []string{"d∘h", "R·x"}, Size: toyUnits},
				{Name: "O·h'", Op: stepgraph.MatVec, Inputs: []string{"h'"}, Size: shape.Classes, Weight: "O"},
				{Name: "logits", Op: stepgraph.ScaleShift, Inputs: []string{"O·h'"}, Size: shape.Classes, Shift: bias},
			},
			Output: "logits",
		}}},
	}, nil
}

// exact is a backend that computes as the reference does.
type exact struct {
	forget, keep, firstMark, readFilling, fillOutputs bool
	allClasses, needOutputs, sharpen, noSoftmax       bool
	ignoreGain, amplify, inverse                      bool
	twice, flat, narrow, overhead                     bool   // faults of the energy
	dynamicLeakage, fastIsDear, deaf                  bool   // faults with the clock
	role                                              string // the role of the option megahertz, if it is not the clock
	drop                                              string // the part of the memory that it leaves out
	output                                            func(float32) float32
	gain, clock                                       float64 // clock in Hz
	weights                                           map[string]packed.Matrix
	change                                            func(*network.Network)
	network                                           network.Network // as deployed
	reference                                         *network.Reference
	calls                                             int
}

func (e *exact) Describe(context.Context) (plugins.Description, error) {
	role := backend.RoleClock
	if e.role != "" {
		role = e.role
	}
	return plugins.Description{Kind: plugins.KindBackend, Name: "exact", Version: "1.0.0", API: plugins.APIVersion, Summary: "computes in float64", Options: []plugins.Option{
		{Name: "gain", Type: plugins.Float, Default: "1", Min: 0.5, Max: 2, Doc: "cycles a multiplication"},
		{Name: "megahertz", Type: plugins.Float, Default: "100", Min: 1, Max: 1000, Role: role, Doc: "clock"},
	}}, nil
}

func (e *exact) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	if err := request.Network.Validate(request.Weights); err != nil {
		return backend.Deployed{}, err
	}
	e.network, e.weights, e.gain = request.Network, request.Weights, request.Options.Float("gain")
	e.clock = 1e6 * request.Options.Float("megahertz")
	if e.ignoreGain {
		e.gain = 1
	}
	for _, s := range e.network.Stages {
		if s.Op == network.Softmax && e.noSoftmax {
			return backend.Deployed{}, &backend.ErrUnsupported{Reason: "it has no exponential"}
		}
	}
	changed := copied(request.Network)
	if e.change != nil && len(changed.Stages) > 1 {
		e.change(&changed)
	}
	var err error
	e.reference, err = network.NewReference(changed, request.Weights)
	return backend.Deployed{Tolerance: new(1e-6), Arithmetic: "float64"}, err
}

// copied returns a network with its own stages and nodes, since the programs of the kit must not
// change.
func copied(n network.Network) network.Network {
	n.Stages = append([]network.Stage(nil), n.Stages...)
	for i := range n.Stages {
		n.Stages[i].Graph.Nodes = append([]stepgraph.Node(nil), n.Stages[i].Graph.Nodes...)
	}
	return n
}

func (*exact) Explain(context.Context, plugins.Values) (backend.Explanation, error) {
	return backend.Explanation{Notes: []string{"a reference"}}, nil
}

func (e *exact) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	if err := e.network.Shape(1, request.Steps, false).Check(); err != nil {
		return backend.Cost{}, plugins.Problemf("%v", err)
	}
	cycles, joules := 0.0, 0.0
	for _, stage := range e.network.Stages {
		times := 1.0
		if stream := e.network.Along(stage); stream != "" {
			times = float64(request.Steps[stream])
		}
		cycles += times
		macs := stage.Graph.MACs()
		for _, n := range stage.Graph.Nodes {
			cycles += e.gain * times * float64(macs[n.Name])
			joules += times * e.energy(n, macs[n.Name])
		}
		if e.overhead {
			joules += times * 1e-12
		}
	}
	seconds := cycles / e.clock
	if e.deaf {
		seconds = cycles / math.Sqrt(1e8*e.clock)
	}
	if e.fastIsDear {
		joules *= e.clock
	}
	parts := []backend.Part{{Name: backend.PartArithmetic, Value: joules}, {Name: backend.PartLeakage, Value: 1e-3 * seconds, Static: !e.dynamicLeakage}}
	if e.twice {
		parts = append(parts, parts[0])
	}
	return backend.Cost{Cycles: &cycles, Seconds: &seconds, Energy: parts, Missing: map[string]string{"area": "nobody asks"}, Memory: e.memory()}, nil
}

// energy is that of the multiplications of a node in a time step, of one for each bit of a
// weight.
func (e *exact) energy(n stepgraph.Node, macs int) float64 {
	bits := 0.0
	for _, p := range e.weights[n.Weight].Planes {
		if e.narrow {
			bits += 1 / float64(p.Bits)
		} else {
			bits += float64(p.Bits)
		}
	}
	if bits == 0 {
		bits = 32
	}
	if e.flat {
		macs = min(macs, 1)
	}
	return 1e-12 * bits * float64(macs)
}

// memory returns float32 states and tables, and weights as they were deployed.
func (e *exact) memory() (parts []backend.Part) {
	bytes := map[string]int{}
	counted := map[string]bool{"": true}
	for _, stage := range e.network.Stages {
		for _, s := range stage.Graph.States {
			bytes[backend.PartState] += 4 * s.Size
		}
		for _, n := range stage.Graph.Nodes {
			bytes[backend.PartTables] += 4 * (len(n.Scale.Values) + len(n.Shift.Values))
			if counted[n.Weight] {
				continue
			}
			counted[n.Weight] = true
			part := backend.PartOutputLayer
			if n.Recurrent {
				part = backend.PartCodes
			}
			bytes[part] += e.weights[n.Weight].CodeBytes()
		}
	}
	for _, part := range []string{backend.PartCodes, backend.PartOutputLayer, backend.PartState, backend.PartTables} {
		if part != e.drop {
			size := float64(bytes[part])
			if e.inverse {
				size = 1e9 / (1 + size)
			}
			parts = append(parts, backend.Part{Name: part, Value: size})
		}
	}
	return parts
}

func (e *exact) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	if err := request.Validate(e.network); err != nil {
		return network.Score{}, err
	}
	e.calls++
	b := request.Batch
	inputs, classes := e.network.Inputs, e.network.Classes()
	if b.Fresh != nil {
		b.Fresh = append([]int32(nil), b.Fresh...)
		for i := range b.Fresh {
			switch {
			case e.forget:
				b.Fresh[i] = 1
			case e.keep && e.calls > 1:
				b.Fresh[i] = 0
			case e.firstMark:
				b.Fresh[i] = b.Fresh[0]
			}
		}
	}
	if e.readFilling {
		b.Int32 = map[string][]int32{}
		for name, values := range request.Batch.Int32 {
			b.Int32[name] = values
		}
		for _, in := range inputs {
			if in.Role == network.Lengths {
				b.Int32[in.Name] = make([]int32, b.Sequences)
				for i := range b.Int32[in.Name] {
					b.Int32[in.Name][i] = int32(b.Steps[in.Stream])
				}
			}
		}
	}
	logits, err := e.reference.Run(b)
	if err != nil {
		return network.Score{}, err
	}
	var score network.Score
	for at, target := range b.Targets {
		row := make([]float32, classes)
		for c := range row {
			row[c] = float32(logits[at*classes+c])
			if e.output != nil {
				row[c] = e.output(row[c])
			}
			if e.amplify {
				row[c] *= float32(e.gain)
			}
			if e.sharpen {
				row[c] *= 1.0001
			}
		}
		candidates := b.Candidates(inputs, at%b.Sequences)
		if e.allClasses {
			candidates = nil
		}
		score.Target(row, target, candidates)
		if target < 0 && e.fillOutputs {
			row[0] = 1
		}
		if request.Outputs != nil {
			copy(request.Outputs[at*classes:], row)
		}
	}
	if e.needOutputs && request.Outputs == nil {
		score.LossSum = 0
	}
	return score, nil
}
