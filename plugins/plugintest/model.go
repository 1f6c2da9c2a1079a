package plugintest

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/modelrpc"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// Model holds a model against the contract, once with each of the given
// options. Give options that make the network small; with none given the
// defaults are used. The model is built for batches of several shapes; those that it
// refuses with a Problem are noted, by these names:
//
//	steps       tokens, and a target at every step
//	carried     the same, where sequences go on from batch to batch
//	features    features, and one target a sequence
//	lengths     tokens in sequences of several lengths, and one target a sequence
//	question    tokens of a text and of a question, both with lengths, and one target
//	            a sequence among candidates
func Model(t *testing.T, create func() model.Model, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	modelContract(refusals).run(t, orDefaults(options),
		way[model.Model]{"in process", func(*testing.T, *arena.Arena) model.Model { return create() }},
		way[model.Model]{"over gRPC", func(t *testing.T, shared *arena.Arena) model.Model {
			var session io.Closer
			conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { session = modelrpc.Register(registrar, create()) })
			closeAfter(t, session)
			return modelrpc.NewClient(conn, shared)
		}})
	return refusals
}

// ModelProcess holds an executable, or a built-in, against the contract.
func ModelProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) *Refusals {
	t.Helper()
	refusals := newRefusals()
	modelContract(refusals).run(t, orDefaults(options), way[model.Model]{"in its own process", func(t *testing.T, shared *arena.Arena) model.Model {
		process, err := catalogue.Model(t.Context(), name, host.Settings{Arena: shared})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Model
	}})
	return refusals
}

// task is a shape of batches that models are built for.
type task struct {
	name  string
	shape network.Shape
}

// modelTasks have sizes that are no multiple of any vector. A model may refuse one
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

// orDefaults are the options given, or a plugin's defaults where there are none.
func orDefaults(options []plugins.Values) []plugins.Values {
	if len(options) == 0 {
		return withDefaults(nil)
	}
	return options
}

func modelContract(refusals *Refusals) contract[model.Model] {
	return contract[model.Model]{
		kind: plugins.KindModel,
		wrap: checked.Model,
		configure: func(ctx context.Context, m model.Model, options plugins.Values) error {
			_, err := m.Plan(ctx, options, modelTasks()[0].shape)
			return err
		},
		check: func(t *testing.T, open opener[model.Model], options plugins.Values) {
			// Two plugins serve the sessions of all checks, the second those that a check
			// compares with its own: to start a process takes longer than a check, and
			// nothing may be left of the session before.
			plugin, other := openModel(t, open), openModel(t, open)
			serves := false
			for _, task := range modelTasks() {
				reason := plugin.refuses(t, options, task.shape)
				refusals.note(task.name, reason)
				if reason != "" {
					t.Logf("the task %s is refused: %s", task.name, reason)
					continue
				}
				serves = true
				t.Run(task.name, func(t *testing.T) { checkModel(t, plugin, other, options, task.shape) })
			}
			if !serves {
				t.Errorf("the model serves no task")
			}
		},
	}
}

func checkModel(t *testing.T, plugin, other opened, options plugins.Values, shape network.Shape) {
	checks := map[string]func(*testing.T, *modelSession){
		"Plan repeats":              checkPlanRepeats,
		"Build repeats":             checkBuildRepeats,
		"Step repeats":              checkStepRepeats,
		"Step overwrites Grad":      checkGradOverwritten,
		"Step uses Quantized":       checkUsesQuantized,
		"Step without some targets": checkStepTargets,
		"Update":                    checkUpdate,
		"Update's gradient norm":    checkGradNorm,
		"Update beyond the plan":    checkBeyondThePlan,
		"Evaluate":                  checkEvaluate,
		"Evaluate some targets":     checkEvaluateTargets,
		"Export":                    checkExport,
	}
	if hasLengths(shape) {
		checks["Lengths"] = checkLengths
	}
	if shape.Carried {
		checks["Evaluate goes on"] = checkEvaluateGoesOn
		checks["Evaluate goes on as one long sequence"] = checkLongSequence
		checks["Step goes on from buffers"] = checkResume
		checks["Step and Evaluate apart"] = checkStatesApart
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		t.Run(name, func(t *testing.T) {
			s := plugin.build(t, options, shape)
			s.other = other
			checks[name](t, s)
		})
	}
}

// refuses returns why the model refuses the shape, or nothing.
func (o opened) refuses(t *testing.T, options plugins.Values, shape network.Shape) string {
	t.Helper()
	_, err := o.model.Plan(t.Context(), options, shape)
	if problem, ok := errors.AsType[*plugins.Problem](err); ok {
		return problem.Sentence
	}
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	return ""
}
