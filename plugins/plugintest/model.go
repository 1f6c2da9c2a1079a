package plugintest

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/modelrpc"
	"bittern/plugins/model"
)

// Model holds a model against the contract, once with each of the given
// options. Give options that make the network small; with none given the
// defaults are used.
func Model(t *testing.T, create func() model.Model, options ...plugins.Values) {
	t.Helper()
	modelContract.run(t, orDefaults(options),
		way[model.Model]{"in process", func(*testing.T, *arena.Arena) model.Model { return create() }},
		way[model.Model]{"over gRPC", func(t *testing.T, shared *arena.Arena) model.Model {
			var session io.Closer
			conn := loopback.Connect(t, func(registrar grpc.ServiceRegistrar) { session = modelrpc.Register(registrar, create()) })
			closeAfter(t, session)
			return modelrpc.NewClient(conn, shared)
		}})
}

// ModelProcess holds an executable, or a built-in, against the contract.
func ModelProcess(t *testing.T, catalogue *host.Catalogue, name string, options ...plugins.Values) {
	t.Helper()
	modelContract.run(t, orDefaults(options), way[model.Model]{"in its own process", func(t *testing.T, shared *arena.Arena) model.Model {
		process, err := catalogue.Model(t.Context(), name, host.Settings{Arena: shared})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Model
	}})
}

// modelTasks are one task of each kind, with sizes that are no multiple of any
// vector. A model may refuse a kind it is not made for, but not all.
var modelTasks = []model.Task{
	{Kind: model.LanguageModel, InputSize: 7, OutputSize: 7, Batch: 3, Length: 5},
	{Kind: model.SequenceClassification, InputSize: 5, OutputSize: 3, Batch: 3, Length: 6},
}

// orDefaults are the options given, or a plugin's defaults where there are none.
func orDefaults(options []plugins.Values) []plugins.Values {
	if len(options) == 0 {
		return withDefaults(nil)
	}
	return options
}

var modelContract = contract[model.Model]{
	kind: plugins.KindModel,
	wrap: checked.Model,
	configure: func(ctx context.Context, m model.Model, options plugins.Values) error {
		_, err := m.Plan(ctx, options, modelTasks[0])
		return err
	},
	check: func(t *testing.T, open opener[model.Model], options plugins.Values) {
		checkServesSomething(t, open, options)
		for _, task := range modelTasks {
			t.Run(string(task.Kind), func(t *testing.T) {
				t.Parallel()
				checkModel(t, open, options, task)
			})
		}
	},
}

func checkModel(t *testing.T, open opener[model.Model], options plugins.Values, task model.Task) {
	for name, check := range map[string]func(*testing.T, *modelSession){
		"Plan repeats":             checkPlanRepeats,
		"Build repeats":            checkBuildRepeats,
		"Step repeats":             checkStepRepeats,
		"Step overwrites Grad":     checkGradOverwritten,
		"Step uses Quantized":      checkUsesQuantized,
		"Update":                   checkUpdate,
		"Update's gradient norm":   checkGradNorm,
		"Evaluate":                 checkEvaluate,
		"Evaluate a partial batch": checkPartialBatch,
		"Export":                   checkExport,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, buildModel(t, open, options, task))
		})
	}
}

func checkServesSomething(t *testing.T, open opener[model.Model], options plugins.Values) {
	t.Helper()
	var refusals []error
	for _, task := range modelTasks {
		m := open(t, newArena(t))
		_, judge := describe(t, plugins.KindModel, m)
		_, err := checked.Model(m, judge).Plan(t.Context(), options, task)
		if err == nil {
			return
		}
		refusals = append(refusals, err)
	}
	t.Fatalf("the model serves no kind of task: %v", errors.Join(refusals...))
}
