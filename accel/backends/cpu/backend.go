package cpu

import (
	"context"
	"fmt"
	"runtime"

	"bittern/accel/backends/cpu/internal/rapl"
	"bittern/accel/backends/internal/program"
	"bittern/accel/kernels/isa"
	"bittern/accel/kernels/lut"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

const name = "cpu"

// The options.
const (
	activations = "activations"
	threads     = "threads"
	timed       = "timed-sequences"
	power       = "power"
)

var precisions = map[string]lut.Precision{"int14": lut.Int14, "int8": lut.Int8, "exact": lut.Exact}

var options = []plugins.Option{{
	Name: activations, Type: plugins.String, Default: "int14", Choices: []string{"int14", "int8", "exact"},
	Doc: "how packed weights see activations: rounded to 14-bit whole numbers with one scale a time step; with their partial sums rounded to 8 bits (fastest); or as float32",
}, {
	Name: threads, Type: plugins.Int, Default: "0", Min: 0, Max: 1024,
	Doc: "sequences that are executed at once; 0 is one for each processor. Timing always takes one",
}, {
	Name: timed, Type: plugins.Int, Default: "31", Min: 1, Max: 100_000,
	Doc: "sequences that are timed, after a quarter as many to warm up; the cost is their median",
}, {
	Name: power, Type: plugins.Float, Default: "0", Min: 0, Max: 10_000,
	Doc: "watts that the processor is assumed to draw, where its energy cannot be measured; 0 assumes nothing, and the energy is n/a",
}}

// New returns the backend "cpu".
func New() backend.Backend { return &processor{counters: rapl.Folder} }

type processor struct {
	program.Session
	counters string // the folder of the energy counters
	meter    *meter // nil before it is opened, or where there is none
}

// deployed is a network that is ready to run.
type deployed struct {
	network.Network
	weights *weights
	graphs  []*graph // of the scans, in their order
	program *program.Program

	processor *processor
	options   plugins.Values
	execution *program.Execution
}

func newDeployed(n network.Network, matrices map[string]packed.Matrix, precision lut.Precision) (*deployed, error) {
	if err := n.Validate(matrices); err != nil {
		return nil, err
	}
	d := &deployed{Network: n, weights: newWeights(matrices, precision)}
	graphs := map[string]program.Graph{}
	for _, s := range n.Stages {
		if s.Op != network.Scan {
			continue
		}
		g, err := d.weights.newGraph(s.Graph)
		if err != nil {
			return nil, fmt.Errorf("stage %q: %w", s.Name, err)
		}
		d.graphs, graphs[s.Name] = append(d.graphs, g), g
	}
	d.program = program.New(n, graphs, nil)
	return d, nil
}

func (p *processor) Describe(ctx context.Context) (plugins.Description, error) {
	return plugins.Description{
		Kind: plugins.KindBackend, Name: name, Version: "2.2.0", API: plugins.APIVersion,
		Summary: "this machine's processor, measured: packed weights multiplied by table look-up",
		Options: options,
		Traits:  []string{backend.TraitTimed},
		Facts: []plugins.Fact{
			{Name: "processor", Value: isa.Features(), Source: "cpuid"},
			{Name: "weights", Value: "as packed, plane by plane; codes of more than 8 bits, or of more than 4 that are no sums of signs, and full precision, as float32"},
			{Name: "activations", Value: fmt.Sprintf("whole numbers of at most ±%d, partial sums of at most ±%d, or float32; everything else float32", lut.Int14.Limit(), lut.SumLimit)},
			{Name: "timing", Value: "one thread, one sequence at a time; median over sequences"},
			{Name: "energy", Value: "that of the processor's own counters (RAPL), where Linux gives them and lets this user read them; else the option power times the time", Source: rapl.Folder},
		},
	}, ctx.Err()
}

func (p *processor) Explain(ctx context.Context, given plugins.Values) (backend.Explanation, error) {
	if _, err := plugins.Resolve("backend "+name, options, given); err != nil {
		return backend.Explanation{}, err
	}
	return backend.Explanation{Notes: []string{
		"seconds are measured: the median over sequences, each run by itself on one thread of this computer",
		"energy is counted by the processor (RAPL): of all that runs on it, in two parts, what it draws while idle and what is more; where it cannot be read it is the option power times seconds, an assumption, or n/a",
		"memory is what the tables, codes and buffers of the program take; there is no model, and no constant",
	}}, ctx.Err()
}

// tolerances bound what the precision of activations may change of the mean loss, in
// nats a target: some ten times the most that was seen on the War & Peace networks
// in reports/results.
var tolerances = map[string]float64{"int14": 1e-4, "int8": 2e-3, "exact": 1e-4}

func (p *processor) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	if err := ctx.Err(); err != nil {
		return backend.Deployed{}, err
	}
	values, err := plugins.Resolve("backend "+name, options, request.Options)
	if err != nil {
		return backend.Deployed{}, err
	}
	if err := isa.Check(); err != nil {
		return backend.Deployed{}, plugins.Problemf("%v", err)
	}
	d, err := newDeployed(request.Network, request.Weights, precisions[values.Text(activations)])
	if err != nil {
		return backend.Deployed{}, fmt.Errorf("deploying on %s: %w", name, err)
	}
	d.processor, d.options, d.execution = p, values, d.program.NewExecution()
	p.Set(request.Network, d)
	return backend.Deployed{Tolerance: new(tolerances[values.Text(activations)])}, nil
}

// A worker runs fewGrouped sequences side by side, whose values and tables leave the second-level
// cache to the codes. Float32 weights that do not fit in it are read from further away, and then
// manyGrouped sequences share each that is read.
const (
	fewGrouped  = 8
	manyGrouped = 32
	cachedBytes = 1 << 20
)

// groupSize is how many sequences a worker runs side by side.
func (w *weights) groupSize() int {
	bytes := 0
	for _, m := range w.matrices {
		if m.Float32() {
			codes, _ := m.Bytes()
			bytes += codes
		}
	}
	if bytes > cachedBytes {
		return manyGrouped
	}
	return fewGrouped
}

// Execute runs sequences side by side. No result depends on how many.
func (d *deployed) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	workers := d.options.Int(threads)
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return d.execution.Execute(ctx, request, workers, d.weights.groupSize())
}
