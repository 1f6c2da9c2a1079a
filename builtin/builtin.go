// Package builtin lists the plugins that come within the executable. It is the
// one place that names them all.
package builtin

import (
	"context"

	"bittern/accel/backends/asic"
	"bittern/accel/backends/asichighspeed"
	"bittern/accel/backends/asiclowpower"
	"bittern/accel/backends/cpu"
	"bittern/accel/backends/mcu"
	"bittern/accel/backends/systolic"
	"bittern/harness/cli"
	"bittern/internal/null"
	"bittern/models/attentivereader"
	"bittern/models/gru"
	"bittern/models/lstm"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/quantizer"
	"bittern/plugins/sdk"
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

// Plugins lists the built-in plugins.
func Plugins() []cli.Builtin {
	return []cli.Builtin{
		quantizerPlugin("none", none.New),
		quantizerPlugin("fixed-point", fixedpoint.New),
		quantizerPlugin("stochastic-binary", stochasticbinary.New),
		quantizerPlugin("stochastic-ternary", stochasticternary.New),
		quantizerPlugin("binaryconnect", binaryconnect.New),
		quantizerPlugin("ternaryconnect", ternaryconnect.New),
		quantizerPlugin("bwn", bwn.New),
		quantizerPlugin("twn", twn.New),
		quantizerPlugin("absmean", absmean.New),
		quantizerPlugin("dorefa", dorefa.New),
		quantizerPlugin("lab", lab.New),
		quantizerPlugin("lat", lat.New),
		quantizerPlugin("laq", laq.New),
		quantizerPlugin("alternating", alternating.New),
		quantizerPlugin("ttq", ttq.New),
		quantizerPlugin("lsq", lsq.New),
		quantizerPlugin("null", null.NewQuantizer),
		modelPlugin("lstm", lstm.New),
		modelPlugin("gru", gru.New),
		modelPlugin("attentive-reader", attentivereader.New),
		modelPlugin("null", null.NewModel),
		backendPlugin("asic", asic.New),
		backendPlugin("asic-lowpower", asiclowpower.New),
		backendPlugin("asic-highspeed", asichighspeed.New),
		backendPlugin("systolic", systolic.New),
		backendPlugin("mcu", mcu.New),
		backendPlugin("cpu", cpu.New),
		backendPlugin("null", null.NewBackend),
	}
}

func quantizerPlugin(name string, make func() quantizer.Quantizer) cli.Builtin {
	return cli.Builtin{
		ID:       plugins.ID{Kind: plugins.KindQuantizer, Name: name},
		Serve:    func() { sdk.ServeQuantizer(make()) },
		Describe: func(ctx context.Context) (plugins.Description, error) { return make().Describe(ctx) },
	}
}

func modelPlugin(name string, make func() model.Model) cli.Builtin {
	return cli.Builtin{
		ID:       plugins.ID{Kind: plugins.KindModel, Name: name},
		Serve:    func() { sdk.ServeModel(make()) },
		Describe: func(ctx context.Context) (plugins.Description, error) { return make().Describe(ctx) },
	}
}

func backendPlugin(name string, make func() backend.Backend) cli.Builtin {
	return cli.Builtin{
		ID:       plugins.ID{Kind: plugins.KindBackend, Name: name},
		Serve:    func() { sdk.ServeBackend(make()) },
		Describe: func(ctx context.Context) (plugins.Description, error) { return make().Describe(ctx) },
		Backend:  make,
	}
}
