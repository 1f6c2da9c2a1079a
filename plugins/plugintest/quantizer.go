package plugintest

import (
	"context"
	"io"
	"testing"

	"google.golang.org/grpc"

	"bittern/plugins"
	"bittern/plugins/arena"
	"bittern/plugins/host"
	"bittern/plugins/internal/checked"
	"bittern/plugins/internal/loopback"
	"bittern/plugins/internal/quantizerrpc"
	"bittern/plugins/quantizer"
)

// Quantizer holds a quantizer against the contract, once with its default
// options and once with each of the given options.
func Quantizer(t *testing.T, create func() quantizer.Quantizer, options ...plugins.Values) {
	t.Helper()
	quantizerContract.run(t, withDefaults(options),
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
	quantizerContract.run(t, withDefaults(options), way[quantizer.Quantizer]{"in its own process", func(t *testing.T, shared *arena.Arena) quantizer.Quantizer {
		process, err := catalogue.Quantizer(t.Context(), name, host.Settings{Arena: shared})
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, process)
		return process.Quantizer
	}})
}

// quantizerShapes are what every check runs on: the smallest, and sizes that
// are no multiple of any vector or word.
var quantizerShapes = []quantizer.Shape{{Name: "one", Rows: 1, Cols: 1}, {Name: "small", Rows: 3, Cols: 5}, {Name: "odd", Rows: 17, Cols: 33}}

var quantizerContract = contract[quantizer.Quantizer]{
	kind:   plugins.KindQuantizer,
	traits: []string{quantizer.TraitBackward, quantizer.TraitProject, quantizer.TraitInitialise, quantizer.TraitSecondMoments},
	wrap:   checked.Quantizer,
	configure: func(ctx context.Context, q quantizer.Quantizer, options plugins.Values) error {
		_, err := q.Plan(ctx, options, quantizerShapes)
		return err
	},
	check: checkQuantizer,
}

func checkQuantizer(t *testing.T, open opener[quantizer.Quantizer], options plugins.Values) {
	for name, check := range map[string]func(*testing.T, *quantizerSession){
		"draws replay":           checkReplay,
		"steps and seeds differ": checkDraws,
		"weights stand alone":    checkAlone,
		"inputs stay":            checkInputsStay,
		"Initialise":             checkInitialise,
		"Freeze":                 checkFreeze,
		"Backward":               checkBackward,
		"Project":                checkProject,
		"NaN":                    checkNaN,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, openQuantizer(t, open, options, quantizerShapes))
		})
	}
}
