package datapath

import (
	"context"
	"slices"

	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// Window records a sequence on one graph: where it starts and, for each time step, what goes in
// and what comes out, as the integers that the machine holds.
type Window struct {
	Graph    int // number in Program.Graphs
	Position int
	States   [][]int32
	Steps    []Step
}

// Step is a time step. Inputs that are tokens are nil in Inputs, and inputs that are not are 0 in
// Tokens.
type Step struct {
	Tokens []int32
	Inputs [][]int32
	States [][]int32 // after it
	Output []int32
	// Products are those of the recurrent weights, in the order in which the column makes them.
	Products []Product
}

// Product is a matrix times a vector.
type Product struct {
	Matrix Matrix
	X      []int32
	// Second says that the second accumulators of the units make it in the pass of the one
	// before.
	Second bool
}

// Trace executes a batch of the network n, which must be the one that the program is compiled of,
// and returns a window for each sequence in each scan.
func (p *Program) Trace(ctx context.Context, n network.Network, batch network.Batch) ([]Window, error) {
	var windows []Window
	graphs, number := map[string]program.Graph{}, 0
	for _, s := range n.Stages {
		graphs[s.Name] = traced{p.Graphs[number], number, &windows}
		number++
	}
	_, err := program.New(n, graphs, p.operations).NewExecution().Execute(ctx, backend.Execute{Batch: batch}, 1, 1)
	return windows, err
}

// traced is a graph whose machines add what they do to windows.
type traced struct {
	*Graph
	number  int
	windows *[]Window
}

func (t traced) NewMachine(group int) program.Machine {
	graph, products := *t.Graph, new([]Product)
	graph.instructions = slices.Clone(graph.instructions)
	for i, instruction := range graph.instructions {
		if product, ok := instruction.(matVec); ok && product.recurrent {
			graph.instructions[i] = recorded{product, products}
		}
	}
	return tracer{t, graph.newMachine(group), products}
}

// recorded is a product that is noted down too.
type recorded struct {
	matVec
	products *[]Product
}

func (r recorded) run(m *machine) error {
	*r.products = append(*r.products, Product{newMatrix(r.weights), slices.Clone(m.at(r.x, 0)), r.weights.second})
	return r.matVec.run(m)
}

// tracer is a machine of one sequence that adds what it does to windows.
type tracer struct {
	traced
	*machine
	products *[]Product // of the time step at hand
}

func (t tracer) Reset(b int) {
	t.machine.Reset(b)
	t.begin()
}

func (t tracer) Restore(b int, saved program.State) {
	t.machine.Restore(b, saved)
	t.begin()
}

func (t tracer) begin() {
	*t.windows = append(*t.windows, Window{Graph: t.number, Position: t.positions[0], States: t.registers()})
}

func (t tracer) registers() [][]int32 {
	var all [][]int32
	for _, s := range t.machine.states {
		all = append(all, slices.Clone(t.at(s.register, 0)))
	}
	return all
}

func (t tracer) Step(sequences int) error {
	var step Step
	for i, entry := range t.machine.inputs {
		step.Tokens = append(step.Tokens, t.tokens[i][0])
		var x []int32
		if entry.size > 0 {
			x = slices.Clone(t.at(entry, 0))
		}
		step.Inputs = append(step.Inputs, x)
	}
	if err := t.machine.Step(sequences); err != nil {
		return err
	}
	step.Products, *t.products = *t.products, nil
	step.States, step.Output = t.registers(), slices.Clone(t.at(t.machine.output, 0))
	last := &(*t.windows)[len(*t.windows)-1]
	last.Steps = append(last.Steps, step)
	return nil
}
