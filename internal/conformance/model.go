package conformance

import (
	"context"
	"errors"

	"bittern/internal/checked"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// Model returns the checks of a model, once for each set of options; nil means the defaults. The
// model is built for batches of several shapes, with these names:
//
//	steps       tokens, and a target at every step
//	carried     the same, where sequences go on from batch to batch
//	features    features, and one target a sequence
//	lengths     tokens in sequences of several lengths, and one target a sequence
//	question    tokens of a text and of a question, both with lengths, and one target
//	            a sequence among candidates
func Model(way Way[model.Model], options []plugins.Values) []*Group {
	return modelContract.groups(way, options)
}

// task is a shape of batches that models are built for.
type task struct {
	name  string
	shape network.Shape
}

// modelTasks returns tasks whose sizes are no multiple of any vector. A model may refuse tasks
// that it is not made for, but not all.
func modelTasks() []task {
	tokens := func(name string, size int) network.Input {
		return network.Input{Name: name, Role: network.Tokens, Stream: name, Size: size}
	}
	lengths := func(stream string) network.Input {
		return network.Input{Name: stream + "-lengths", Role: network.Lengths, Stream: stream, Size: 1}
	}
	return []task{
		{"steps", network.Shape{
			Inputs: []network.Input{tokens("symbols", 7)}, Steps: map[string]int{"symbols": 5},
			Sequences: 3, Classes: 7, Targets: "symbols",
		}},
		{"carried", network.Shape{
			Inputs: []network.Input{tokens("symbols", 7)}, Steps: map[string]int{"symbols": 5},
			Sequences: 3, Classes: 7, Targets: "symbols", Carried: true,
		}},
		{"features", network.Shape{
			Inputs: []network.Input{{Name: "pixels", Role: network.Features, Stream: "pixels", Size: 5}}, Steps: map[string]int{"pixels": 6},
			Sequences: 3, Classes: 3,
		}},
		{"lengths", network.Shape{
			Inputs: []network.Input{tokens("words", 9), lengths("words")}, Steps: map[string]int{"words": 6},
			Sequences: 3, Classes: 5,
		}},
		{"question", network.Shape{
			Inputs: []network.Input{
				tokens("text", 11), lengths("text"), tokens("question", 11), lengths("question"),
				{Name: "candidates", Role: network.Candidates, Size: 5},
			},
			Steps: map[string]int{"text": 7, "question": 3}, Sequences: 3, Classes: 5,
		}},
	}
}

var modelContract = contract[model.Model]{
	kind:   plugins.KindModel,
	traits: []string{model.TraitBFloat16},
	wrap:   checked.Model,
	configure: func(ctx context.Context, m model.Model, options plugins.Values) error {
		_, err := m.Plan(ctx, options, modelTasks()[0].shape)
		return err
	},
	checks: func(all *pool[model.Model], options plugins.Values) []Check {
		checks := []Check{{Name: "serves a task", run: func(r *recorder) { checkServes(r, all.open(r, 0).plugin, options) }}}
		for _, task := range modelTasks() {
			for _, c := range modelChecks {
				if c.where != nil && !c.where(task.shape) {
					continue
				}
				checks = append(checks, Check{Of: task.name, Name: c.name, run: func(r *recorder) {
					c.run(r, buildModel(r, all, 0, options, task.shape))
				}})
			}
		}
		return checks
	},
}

var modelChecks = []struct {
	name  string
	where func(network.Shape) bool // nil: every task
	run   func(*recorder, *modelSession)
}{
	{"Plan repeats", nil, checkPlanRepeats},
	{"Build repeats", nil, checkBuildRepeats},
	{"Build draws by the seed", nil, checkSeed},
	{"Step repeats", nil, checkStepRepeats},
	{"Step overwrites Grad", nil, checkGradOverwritten},
	{"Step uses Quantized", nil, checkUsesQuantized},
	{"Step's gradients", nil, checkGradients},
	{"Step and Evaluate with bfloat16", nil, checkBFloat16},
	{"Step without some targets", nil, checkStepTargets},
	{"Update", nil, checkUpdate},
	{"Update's gradient norm", nil, checkGradNorm},
	{"Update with SGD", nil, checkSGD},
	{"Update clips", nil, checkClipping},
	{"Update goes on from moments", nil, checkMoments},
	{"Update beyond the plan", nil, checkBeyondThePlan},
	{"Evaluate", nil, checkEvaluate},
	{"Evaluate uses Quantized", nil, checkEvaluateQuantized},
	{"Evaluate some targets", nil, checkEvaluateTargets},
	{"lengths", hasLengths, checkLengths},
	{"Evaluate goes on", isCarried, checkEvaluateGoesOn},
	{"Evaluate goes on as one long sequence", isCarried, checkLongSequence},
	{"Step goes on from buffers", isCarried, checkResume},
	{"Evaluate goes on after a step between", isCarried, checkEvaluateState},
	{"Step goes on after an evaluation between", isCarried, checkStepState},
	{"Export", nil, checkExport},
}

func isCarried(s network.Shape) bool { return s.Carried }

// checkServes checks that the model serves a task at all.
func checkServes(r *recorder, m model.Model, options plugins.Values) {
	reason := ""
	for _, task := range modelTasks() {
		_, err := m.Plan(r.ctx, options, task.shape)
		if err == nil {
			return
		}
		problem, ok := errors.AsType[*plugins.Problem](err)
		if !ok {
			r.must("Plan", err)
		}
		reason = problem.Sentence
	}
	r.saw("the model serves no task: %s", reason).want("one of the tasks of the kit to be served")
}
