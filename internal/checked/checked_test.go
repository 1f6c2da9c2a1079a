package checked_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"bittern/internal/arena"
	"bittern/internal/checked"
	"bittern/internal/wire"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
	"bittern/plugins/stepgraph"
)

var (
	nan32     = float32(math.NaN())
	inf32     = float32(math.Inf(-1))
	nan, inf  = math.NaN(), math.Inf(1)
	judge     = checked.Judge{Owner: "kind/name", Options: []plugins.Option{{Name: "units", Type: plugins.Int, Default: "4", Min: 1, Max: 8}}, Nonsense: refuse}
	aWeight   = quantizer.Shape{Name: "w", Rows: 2, Cols: 3}
	aShape    = network.Shape{Inputs: []network.Input{{Name: "x", Role: network.Tokens, Stream: "s", Size: 5}}, Steps: map[string]int{"s": 3}, Sequences: 2, Classes: 5, Targets: "s"}
	aBatch    = network.Batch{Targets: []int32{0, 1, 2, 3, 4, 0, -1}} // 6 targets
	parameter = model.Parameter{Name: "w", Shape: []int{2, 3}, Quantize: true}
)

type nonsense struct{ call, detail string }

func (n *nonsense) Error() string { return n.call + ": " + n.detail }

func refuse(call, detail string) error { return &nonsense{call, detail} }

// verdict fails the test unless err is nil, if want is empty, or nonsense that contains want.
func verdict(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v, want no error", what, err)
		}
		return
	}
	if n, ok := errors.AsType[*nonsense](err); !ok || !strings.Contains(n.Error(), want) {
		t.Errorf("%s: error %v, want nonsense with %q in it", what, err, want)
	}
}

// answers is a quantizer that gives the answers it is told to.
type answers struct {
	options   plugins.Values
	states    []quantizer.State
	frozen    []quantizer.Frozen
	quantized []float32
	gradient  []float32 // of every state
	weights   []quantizer.Weight
}

func (a *answers) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{}, nil
}
func (a *answers) Plan(_ context.Context, options plugins.Values, _ []quantizer.Shape) ([]quantizer.State, error) {
	a.options = options
	return a.states, nil
}
func (a *answers) Open(_ context.Context, options plugins.Values, weights []quantizer.Weight) error {
	a.options, a.weights = options, weights
	return nil
}
func (a *answers) Quantize(context.Context, quantizer.Draw) error {
	copy(a.weights[0].Quantized, a.quantized)
	return nil
}
func (a *answers) Initialise(context.Context) error { return nil }
func (a *answers) Backward(context.Context, quantizer.Backward) error {
	copy(a.weights[0].Grad, a.quantized)
	for _, state := range a.weights[0].State {
		copy(state.Grad, a.gradient)
	}
	return nil
}
func (a *answers) Project(context.Context) error { return nil }
func (a *answers) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	return a.frozen, nil
}

func TestQuantizerPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		states []quantizer.State
		want   string
	}{
		"none":               {nil, ""},
		"two of one weight":  {[]quantizer.State{{Name: "scale", Weight: "w", Shape: []int{1}}, {Name: "threshold", Weight: "w", Shape: []int{2}}}, ""},
		"of no weight":       {[]quantizer.State{{Name: "scale", Weight: "v", Shape: []int{1}}}, `"v", which is none of those given`},
		"twice the same":     {[]quantizer.State{{Name: "scale", Weight: "w", Shape: []int{1}}, {Name: "scale", Weight: "w", Shape: []int{1}}}, `"scale" is listed twice`},
		"without a name":     {[]quantizer.State{{Weight: "w", Shape: []int{1}}}, "a state has no name"},
		"a scalar":           {[]quantizer.State{{Name: "scale", Weight: "w"}}, ""},
		"without an element": {[]quantizer.State{{Name: "scale", Weight: "w", Shape: []int{2, 0}}}, "the shape [2 0] has a size below 1"},
		"trained":            {[]quantizer.State{{Name: "scale", Weight: "w", Shape: []int{1}, Trained: true}}, `the state "scale" of the weight "w" is trained, and nothing fills its gradient without the trait "backward"`},
		"too many elements":  {[]quantizer.State{{Name: "scale", Weight: "w", Shape: []int{math.MaxInt}}}, fmt.Sprintf("[%d] has more than", math.MaxInt)},
	} {
		_, err := checked.Quantizer(&answers{states: test.states}, judge).Plan(t.Context(), nil, []quantizer.Shape{aWeight})
		verdict(t, name, err, test.want)
	}
}

func TestQuantizerOptions(t *testing.T) {
	t.Parallel()
	a := &answers{}
	q := checked.Quantizer(a, judge)
	if err := q.Open(t.Context(), nil, nil); err != nil || a.options["units"] != "4" {
		t.Errorf("Open without options passes on %v (error %v), want the default units=4", a.options, err)
	}
	err := q.Open(t.Context(), plugins.Values{"units": "9"}, nil)
	if _, ok := errors.AsType[*plugins.Problem](err); !ok {
		t.Errorf("Open with an option out of bounds = %v, want a problem", err)
	}
}

func TestQuantizerValues(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values []float32
		want   string
	}{
		"extreme but finite": {[]float32{0, float32(math.Copysign(0, -1)), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1}, ""},
		"NaN":                {[]float32{1, 2, 3, 4, nan32, 6}, "row 1, column 1 is NaN"},
		"negative NaN":       {[]float32{float32(math.Copysign(nan, -1)), 2, 3, 4, 5, 6}, "row 0, column 0 is NaN"},
		"infinity":           {[]float32{1, 2, 3, 4, 5, inf32}, "row 1, column 2 is -Inf"},
	} {
		q := checked.Quantizer(&answers{quantized: test.values}, judge)
		weight := quantizer.Weight{Shape: aWeight, Latent: make([]float32, 6), Quantized: make([]float32, 6), Grad: make([]float32, 6)}
		if err := q.Open(t.Context(), nil, []quantizer.Weight{weight}); err != nil {
			t.Fatal(err)
		}
		verdict(t, "Quantize to "+name, q.Quantize(t.Context(), quantizer.Draw{}), test.want)
		verdict(t, "Backward to "+name, q.Backward(t.Context(), quantizer.Backward{}), test.want)
	}
}

// TestTrainedStates checks that Backward must write every gradient of a trained state.
func TestTrainedStates(t *testing.T) {
	t.Parallel()
	withTrait := judge
	withTrait.Traits = []string{quantizer.TraitBackward}
	for name, test := range map[string]struct {
		gradient []float32
		want     string
	}{
		"written":      {[]float32{1, -2}, ""},
		"half written": {[]float32{1}, "element 1 of the gradient of the state scale of w is NaN; Backward has to write every one"},
		"infinite":     {[]float32{inf32, 0}, "element 0 of the gradient of the state scale of w is -Inf"},
	} {
		a := &answers{states: []quantizer.State{{Name: "scale", Weight: "w", Shape: []int{2}, Trained: true}}, gradient: test.gradient}
		q := checked.Quantizer(a, withTrait)
		if _, err := q.Plan(t.Context(), nil, []quantizer.Shape{aWeight}); err != nil {
			t.Errorf("Plan of a trained state with the trait backward: %v, want no error", err)
		}
		weight := quantizer.Weight{
			Shape: aWeight, Latent: make([]float32, 6), Quantized: make([]float32, 6), Grad: make([]float32, 6),
			State: map[string]quantizer.StateTensors{"scale": {Value: make([]float32, 2), Grad: make([]float32, 2)}},
		}
		if err := q.Open(t.Context(), nil, []quantizer.Weight{weight}); err != nil {
			t.Fatal(err)
		}
		verdict(t, "Backward with a gradient "+name, q.Backward(t.Context(), quantizer.Backward{}), test.want)
	}
}

// TestQuantizerKeepsItsHandsOff lets calls write NaN to tensors that training goes on from.
func TestQuantizerKeepsItsHandsOff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm func(quantizer.Weight)
		want string
		// in is the call that is blamed, of those that might have written it.
		in string
	}{
		"nothing":             {func(quantizer.Weight) {}, "", "Initialise Quantize Backward Project Freeze"},
		"a latent weight":     {func(w quantizer.Weight) { w.Latent[4] = nan32 }, "the latent weight w at row 1, column 1 is NaN", "Initialise Quantize Project Freeze"},
		"an infinite one":     {func(w quantizer.Weight) { w.Latent[0] = inf32 }, "the latent weight w at row 0, column 0 is -Inf", "Initialise Quantize Project Freeze"},
		"a state":             {func(w quantizer.Weight) { w.State["scale"].Value[1] = nan32 }, "element 1 of the state scale of w is NaN", "Initialise Quantize Backward Project Freeze"},
		"a state of infinity": {func(w quantizer.Weight) { w.State["scale"].Value[0] = inf32 }, "element 0 of the state scale of w is -Inf", "Initialise Quantize Backward Project Freeze"},
	} {
		a := &answers{frozen: []quantizer.Frozen{{Name: "w", Values: make([]float32, 6)}}}
		q := checked.Quantizer(a, judge)
		weight := quantizer.Weight{
			Shape: aWeight, Latent: make([]float32, 6), Quantized: make([]float32, 6), Grad: make([]float32, 6),
			State: map[string]quantizer.StateTensors{"scale": {Value: make([]float32, 2)}},
		}
		if err := q.Open(t.Context(), nil, []quantizer.Weight{weight}); err != nil {
			t.Fatal(err)
		}
		test.harm(weight)
		for call, do := range map[string]func() error{
			"Quantize":   func() error { return q.Quantize(t.Context(), quantizer.Draw{}) },
			"Initialise": func() error { return q.Initialise(t.Context()) },
			"Backward":   func() error { return q.Backward(t.Context(), quantizer.Backward{}) },
			"Project":    func() error { return q.Project(t.Context()) },
			"Freeze":     func() error { _, err := q.Freeze(t.Context(), quantizer.Draw{}); return err },
		} {
			want := ""
			if test.want != "" && strings.Contains(test.in, call) {
				want = call + ": " + test.want
			}
			verdict(t, call+" with "+name, do(), want)
		}
	}
}

// TestAnswersThatCannotBeRead checks that tensors which are not there are the plugin's fault,
// not the harness's.
func TestAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{arena.ErrTruncated, wire.ErrUnreadable} {
		cause = fmt.Errorf("read: %w", cause)
		_, err := checked.Quantizer(&failing{answers{}, cause}, judge).Freeze(t.Context(), quantizer.Draw{})
		verdict(t, "Freeze", err, "Freeze: read: ")
		m := &machine{err: cause}
		_, err = checked.Backend(m, judge).Execute(t.Context(), backend.Execute{})
		verdict(t, "Execute", err, "Execute: read: ")
		_, err = checked.Backend(m, judge).Deploy(t.Context(), backend.Deploy{})
		verdict(t, "Deploy", err, "Deploy: read: ")
		_, err = checked.Model(&answering{err: cause}, judge).Export(t.Context())
		verdict(t, "Export", err, "Export: read: ")
	}
}

type failing struct {
	answers
	err error
}

func (f *failing) Freeze(context.Context, quantizer.Draw) ([]quantizer.Frozen, error) {
	return nil, f.err
}

func TestQuantizerFreeze(t *testing.T) {
	t.Parallel()
	codes := []uint16{0, 1, 0, 1, 1, 0}
	for name, test := range map[string]struct {
		frozen []quantizer.Frozen
		want   string
	}{
		"binary":               {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, ""},
		"binary by row":        {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, 1}, Scales: []float32{1, 2}}}}}, ""},
		"full precision":       {[]quantizer.Frozen{{Name: "w", Values: make([]float32, 6)}}, ""},
		"nothing":              {nil, "0 frozen weights for 1 weights"},
		"another weight":       {[]quantizer.Frozen{{Name: "v", Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, `is "v", not "w"`},
		"too few codes":        {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: codes[1:], Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, "5 codes for a 2×3 matrix"},
		"a code too wide":      {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: []uint16{0, 1, 2, 0, 0, 0}, Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, "code 2 at row 0, column 2"},
		"too few scales":       {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, 1}}}}}, "0 scales for 2 rows"},
		"codes and values":     {[]quantizer.Frozen{{Name: "w", Values: make([]float32, 6), Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, "one or the other"},
		"a second plane short": {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, 1}, Scales: []float32{1}}, {Bits: 1, Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, "plane 1: 0 codes for a 2×3 matrix"},
		"a level of NaN":       {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Bits: 1, Codes: codes, Levels: []float32{-1, nan32}, Scales: []float32{1}}}}}, "NaN"},
		"no bits":              {[]quantizer.Frozen{{Name: "w", Planes: []quantizer.Plane{{Codes: codes, Levels: []float32{-1, 1}, Scales: []float32{1}}}}}, "w"},
		"a value of infinity":  {[]quantizer.Frozen{{Name: "w", Values: []float32{1, 2, 3, inf32, 5, 6}}}, "row 1, column 0 is -Inf"},
		"too many full values": {[]quantizer.Frozen{{Name: "w", Values: make([]float32, 7)}}, "7 values for a 2×3 matrix"},
	} {
		q := checked.Quantizer(&answers{frozen: test.frozen}, judge)
		if err := q.Open(t.Context(), nil, []quantizer.Weight{{Shape: aWeight}}); err != nil {
			t.Fatal(err)
		}
		_, err := q.Freeze(t.Context(), quantizer.Draw{})
		verdict(t, "Freeze to "+name, err, test.want)
	}
}

// answering is a model that gives the answers it is told to.
type answering struct {
	plan     model.Plan
	options  plugins.Values
	result   model.StepResult
	updated  model.UpdateResult
	score    network.Score
	update   func()
	err      error
	exported network.Network
}

func (n *answering) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{}, nil
}
func (n *answering) Plan(context.Context, plugins.Values, network.Shape) (model.Plan, error) {
	return n.plan, nil
}
func (n *answering) Build(_ context.Context, request model.Build) error {
	n.options = request.Options
	return nil
}
func (n *answering) Step(context.Context, model.Step) (model.StepResult, error) { return n.result, nil }
func (n *answering) Update(context.Context, model.Update) (model.UpdateResult, error) {
	if n.update != nil {
		n.update()
	}
	return n.updated, nil
}
func (n *answering) Evaluate(context.Context, model.Evaluate) (network.Score, error) {
	return n.score, nil
}
func (n *answering) Export(context.Context) (network.Network, error) { return n.exported, n.err }

func TestModelPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plan model.Plan
		want string
	}{
		"sound":             {model.Plan{Parameters: []model.Parameter{parameter}, Buffers: []model.Buffer{{Name: "w", Shape: []int{1}}}}, ""},
		"no parameters":     {model.Plan{}, "no parameter to train"},
		"a parameter twice": {model.Plan{Parameters: []model.Parameter{parameter, parameter}}, `the parameter "w" is listed twice`},
		"a size of 0":       {model.Plan{Parameters: []model.Parameter{{Name: "w", Shape: []int{2, 0}}}}, "the shape [2 0] has a size below 1"},
		// The product of these sizes overflows to 0.
		"too many elements":                {model.Plan{Parameters: []model.Parameter{{Name: "w", Shape: []int{1 << 16, 1 << 16, 1 << 16, 1 << 16}}}}, "[65536 65536 65536 65536] has more than"},
		"many that are too large together": {model.Plan{Parameters: many(65536, 1<<46)}, `parameter "p1": the shape [70368744177664] brings all that is asked for to more than`},
		"buffers that are":                 {model.Plan{Parameters: []model.Parameter{parameter}, Buffers: []model.Buffer{{Name: "b", Shape: []int{1 << 46}}, {Name: "c", Shape: []int{1 << 46}}}}, `buffer "c"`},
		"a name that colours":              {model.Plan{Parameters: []model.Parameter{{Name: "\x1b[31mw", Shape: []int{1}}}}, `no short line of text: \x1b[31mw`},
		"a quantized vector":               {model.Plan{Parameters: []model.Parameter{{Name: "w", Shape: []int{2}, Quantize: true}}}, "the shape [outputs, inputs]"},
		"a buffer without a name":          {model.Plan{Parameters: []model.Parameter{parameter}, Buffers: []model.Buffer{{Shape: []int{1}}}}, "a buffer has no name"},
		"a buffer of a negative size":      {model.Plan{Parameters: []model.Parameter{parameter}, Buffers: []model.Buffer{{Name: "b", Shape: []int{-1}}}}, "below 1"},
		"settings":                         {withSettings(model.Setting{Name: "cell", Value: "LSTM"}, model.Setting{Name: "units", Value: "4"}), ""},
		"a setting twice":                  {withSettings(model.Setting{Name: "cell", Value: "LSTM"}, model.Setting{Name: "cell", Value: "GRU"}), `the setting "cell" is listed twice`},
		"a setting without a name":         {withSettings(model.Setting{Value: "LSTM"}), "a setting has no name"},
		"a setting without a value":        {withSettings(model.Setting{Name: "cell"}), `the setting "cell" is no short line`},
		"a setting in colour":              {withSettings(model.Setting{Name: "cell", Value: "\x1b[31mLSTM"}), `the setting "cell" is no short line of text: \x1b[31mLSTM`},
		"a setting without an end":         {withSettings(model.Setting{Name: "cell", Value: strings.Repeat("x", 2000)}), `the setting "cell" is no short line`},
	} {
		_, err := checked.Model(&answering{plan: test.plan}, judge).Plan(t.Context(), nil, aShape)
		verdict(t, name, err, test.want)
	}
}

func withSettings(settings ...model.Setting) model.Plan {
	return model.Plan{Parameters: []model.Parameter{parameter}, Settings: settings}
}

func many(n, size int) []model.Parameter {
	parameters := make([]model.Parameter, n)
	for i := range parameters {
		parameters[i] = model.Parameter{Name: fmt.Sprintf("p%d", i), Shape: []int{size}}
	}
	return parameters
}

func TestModelUpdate(t *testing.T) {
	t.Parallel()
	values := map[string]model.Tensors{"b": {Value: make([]float32, 4)}, "w": {Value: make([]float32, 4)}}
	n := &answering{}
	m := checked.Model(n, judge)
	if err := m.Build(t.Context(), model.Build{Shape: aShape, Batch: aBatch, Parameters: values}); err != nil {
		t.Fatal(err)
	}
	_, err := m.Update(t.Context(), model.Update{})
	verdict(t, "Update to numbers", err, "")
	n.update = func() { values["w"].Value[3] = inf32 }
	_, err = m.Update(t.Context(), model.Update{})
	verdict(t, "Update to infinity", err, "Update: element 3 of the parameter w is -Inf")
	verdict(t, "Build with infinity", m.Build(t.Context(), model.Build{Shape: aShape, Batch: aBatch, Parameters: values}), "Build: element 3 of the parameter w is -Inf")
}

// scores are answers for aBatch, which has 6 targets.
var scores = []struct {
	score network.Score
	want  string
}{
	{network.Score{LossSum: 9, Count: 6, Correct: 6}, ""},
	{network.Score{LossSum: -1e-6, Count: 6}, ""}, // within rounding of 0
	{network.Score{LossSum: -1, Count: 6}, "sums to -1 over 6"},
	{network.Score{LossSum: inf, Count: 6}, "sums to +Inf"},
	{network.Score{LossSum: nan, Count: 6}, "sums to NaN"},
	{network.Score{LossSum: 1e200, Count: 6}, "sums to 1e+200"},
	{network.Score{Count: 7}, "over 7 targets"},
	{network.Score{Count: 5}, "over 5 targets, 0 of them correct, where the batch has 6"},
	{network.Score{Count: 6, Correct: 7}, "7 of them correct"},
	{network.Score{Count: 6, Correct: -1}, "-1 of them correct"},
}

func TestModelResults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		model        answering
		step, update string
	}{
		{answering{result: model.StepResult{Loss: 1.5}, updated: model.UpdateResult{GradNorm: 2}}, "", ""},
		{answering{result: model.StepResult{Loss: nan}, updated: model.UpdateResult{GradNorm: nan}}, "the loss is NaN", "gradients is NaN"},
		{answering{result: model.StepResult{Loss: 1e200}, updated: model.UpdateResult{GradNorm: inf}}, "the loss is 1e+200", "gradients is +Inf"},
		{answering{updated: model.UpdateResult{GradNorm: -1}}, "", "gradients is -1"},
	} {
		m := checked.Model(&test.model, judge)
		if err := m.Build(t.Context(), model.Build{Shape: aShape, Batch: aBatch}); err != nil {
			t.Fatal(err)
		}
		if got := test.model.options["units"]; got != "4" {
			t.Errorf("Build passes on units=%q, want the default 4", got)
		}
		_, err := m.Step(t.Context(), model.Step{})
		verdict(t, "Step", err, test.step)
		_, err = m.Update(t.Context(), model.Update{})
		verdict(t, "Update", err, test.update)
	}
	for _, test := range scores {
		m := checked.Model(&answering{score: test.score}, judge)
		if err := m.Build(t.Context(), model.Build{Shape: aShape, Batch: aBatch}); err != nil {
			t.Fatal(err)
		}
		_, err := m.Evaluate(t.Context(), model.Evaluate{})
		verdict(t, "Evaluate", err, test.want)
	}
}

func TestModelExport(t *testing.T) {
	t.Parallel()
	sound := func() network.Network {
		return network.Scanned("m", stepgraph.Graph{
			Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: 5}},
			Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: 5, Weight: "w"}},
			Output: "y",
		})
	}
	shape := sound().Shape(2, map[string]int{"sequence": 3}, false)
	for name, test := range map[string]struct {
		spoil func(*network.Network)
		want  string
	}{
		"sound":               {func(*network.Network) {}, ""},
		"a node of two lines": {func(n *network.Network) { n.Stages[0].Graph.Nodes[0].Name = "z\n" }, "no short line of text: z"},
		"a weight in colour":  {func(n *network.Network) { n.Stages[0].Graph.Nodes[0].Weight = "\x1b[31mw" }, `no short line of text: \x1b[31mw`},
		"a stage in colour":   {func(n *network.Network) { n.Stages[0].Name = "\x1b[31ms" }, `no short line of text: \x1b[31ms`},
		"an input in colour":  {func(n *network.Network) { n.Inputs[0].Name = "\x1b[31mx" }, `no short line of text: \x1b[31mx`},
		"other inputs":        {func(n *network.Network) { n.Inputs[0].Size = 6 }, "the network takes the inputs"},
		"other classes":       {func(n *network.Network) { n.Stages[0].Graph.Nodes[0].Size = 4 }, "4 logits for 5 classes"},
		"logits once":         {func(n *network.Network) { n.Stages[0].Last = true }, "logits once a sequence"},
		"no stages":           {func(n *network.Network) { n.Stages = nil }, "0 logits for 5 classes"},
		"a stage of nothing":  {func(n *network.Network) { n.Stages = append(n.Stages, network.Stage{Name: "s", Op: network.Softmax}) }, ""},
		"which is the output": {func(n *network.Network) {
			n.Stages, n.Output = []network.Stage{{Name: "s", Op: network.WeightedSum}}, "s"
		}, "0 logits for 5 classes"},
	} {
		exported := sound()
		test.spoil(&exported)
		m := checked.Model(&answering{exported: exported}, judge)
		if err := m.Build(t.Context(), model.Build{Shape: shape}); err != nil {
			t.Fatal(err)
		}
		_, err := m.Export(t.Context())
		verdict(t, name, err, test.want)
	}
}

// machine is a backend that gives the answers it is told to.
type machine struct {
	options     plugins.Values
	deployed    backend.Deployed
	cost        backend.Cost
	explanation backend.Explanation
	outputs     []float32
	score       network.Score
	err         error
}

func (m *machine) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{}, nil
}
func (m *machine) Deploy(_ context.Context, request backend.Deploy) (backend.Deployed, error) {
	m.options = request.Options
	return m.deployed, m.err
}
func (m *machine) Explain(_ context.Context, options plugins.Values) (backend.Explanation, error) {
	m.options = options
	return m.explanation, nil
}
func (m *machine) Cost(context.Context, backend.CostRequest) (backend.Cost, error) {
	return m.cost, nil
}
func (m *machine) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	copy(request.Outputs, m.outputs)
	return m.score, m.err
}

func TestBackend(t *testing.T) {
	t.Parallel()
	negative, much := -1.0, inf
	one, two := 1.0, 2.0
	for name, test := range map[string]struct {
		cost backend.Cost
		want string
	}{
		"nothing":         {backend.Cost{}, ""},
		"negative cycles": {backend.Cost{Cycles: &negative}, "cycles = -1"},
		"endless seconds": {backend.Cost{Seconds: &much}, "seconds = +Inf"},
		"energy of NaN":   {backend.Cost{Energy: []backend.Part{{Name: "SRAM", Value: nan}}}, "the energy of SRAM is NaN"},
		"immense energy":  {backend.Cost{Energy: []backend.Part{{Name: "SRAM", Value: 1e308}, {Name: "DRAM", Value: 1e308}}}, "the energy of SRAM is 1e+308"},
		"negative n":      {backend.Cost{N: -1}, "N = -1"},
		"quartiles":       {backend.Cost{Seconds: &one, SecondsLow: &one, SecondsHigh: &two}, ""},
		"high quartile":   {backend.Cost{Seconds: &one, SecondsLow: &two, SecondsHigh: &two}, "the quartiles of seconds are 2 and 2, and the median is 1"},
		"one quartile":    {backend.Cost{Seconds: &one, SecondsLow: &one}, "the quartiles of seconds are 1 and not given"},
		"endless spread":  {backend.Cost{Seconds: &one, SecondsLow: &one, SecondsHigh: &much}, "the upper quartile of seconds = +Inf"},
		"negative memory": {backend.Cost{Memory: []backend.Part{{Name: "codes", Value: -1}}}, "the memory of codes is -1"},
	} {
		_, err := checked.Backend(&machine{cost: test.cost}, judge).Cost(t.Context(), backend.CostRequest{})
		verdict(t, name, err, test.want)
	}
	m := &machine{}
	if _, err := checked.Backend(m, judge).Deploy(t.Context(), backend.Deploy{}); err != nil || m.options["units"] != "4" {
		t.Errorf("Deploy without options passes on %v (error %v), want the default units=4", m.options, err)
	}
	m.deployed.Tolerance = &nan
	_, err := checked.Backend(m, judge).Deploy(t.Context(), backend.Deploy{})
	verdict(t, "a tolerance of NaN", err, "its tolerance is NaN")
	for name, test := range map[string]struct {
		outputs []float32
		want    string
	}{
		"all":      {[]float32{1, 2, 3}, ""},
		"too few":  {[]float32{1, 2}, "output 2 of 3 is NaN"},
		"infinity": {[]float32{1, inf32, 3}, "output 1 of 3 is -Inf"},
	} {
		_, err := checked.Backend(&machine{outputs: test.outputs}, judge).Execute(t.Context(), backend.Execute{Outputs: make([]float32, 3)})
		verdict(t, "Execute with outputs: "+name, err, test.want)
	}
	for _, test := range scores {
		_, err := checked.Backend(&machine{score: test.score}, judge).Execute(t.Context(), backend.Execute{Batch: aBatch})
		verdict(t, "Execute to a score", err, test.want)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	for _, bound := range []float64{nan, inf, -inf} {
		for _, o := range []plugins.Option{{Name: "p", Min: bound}, {Name: "p", Max: bound}} {
			if err := checked.Description(plugins.Description{Options: []plugins.Option{{Name: "q", Max: 1}, o}}); err == nil || !strings.Contains(err.Error(), "the option p has the bounds") {
				t.Errorf("Description with the bounds %v and %v = %v, want the option named", o.Min, o.Max, err)
			}
		}
	}
	if err := checked.Description(plugins.Description{Options: judge.Options}); err != nil {
		t.Errorf("Description of a sound plugin = %v", err)
	}
}
