package datapath

import (
	"context"
	"math"
	"runtime"

	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// groupSize is how many sequences run side by side: a weight is read from memory once for all of
// them.
const groupSize = 32

// Execution runs batch after batch. It serves one caller at a time.
type Execution struct{ *program.Execution }

// NewExecution makes an execution of the program that carries no state yet.
func (p *Program) NewExecution() Execution { return Execution{p.program.NewExecution()} }

// Execute runs a batch as [backend.Backend.Execute] says. Sequences do not depend on
// each other, and no result depends on how they are grouped.
func (e Execution) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	return e.Execution.Execute(ctx, request, runtime.GOMAXPROCS(0), groupSize)
}

// machine is the registers of one group of sequences.
type machine struct {
	*Graph
	sequences int       // that take part in the time step
	positions []int     // of each sequence in the tables
	tokens    [][]int32 // by input and sequence
	values    [][]int32
	sums      [][]float64 // whole numbers
	outputs   []float32
	multiplier
	normalizer
}

// NewMachine makes a machine for a group of sequences.
func (g *Graph) NewMachine(group int) program.Machine { return g.newMachine(group) }

func (g *Graph) newMachine(group int) *machine {
	m := &machine{Graph: g, positions: make([]int, group), outputs: make([]float32, g.output.size)}
	for range g.inputs {
		m.tokens = append(m.tokens, make([]int32, group))
	}
	for _, size := range g.values {
		m.values = append(m.values, make([]int32, group*size))
	}
	for _, size := range g.sums {
		m.sums = append(m.sums, make([]float64, group*size))
	}
	return m
}

func (m *machine) Reset(b int) {
	m.positions[b] = 0
	for _, s := range m.states {
		copy(m.at(s.register, b), s.init)
	}
}

func (m *machine) SetToken(input, b int, token int32) { m.tokens[input][b] = token }

// SetVector rounds a vector to the format of the input. The output of another graph has that
// format already and stays as it is.
func (m *machine) SetVector(input, b int, x []float32) {
	entry := m.inputs[input]
	encodeAll(m.at(entry, b), x, entry.format)
}

func (m *machine) Step(sequences int) error {
	m.sequences = sequences
	for _, i := range m.instructions {
		if err := i.run(m); err != nil {
			return err
		}
	}
	for _, s := range m.states {
		if err := (move{s.next, s.register}).run(m); err != nil {
			return err
		}
	}
	for b := range sequences {
		m.positions[b]++
	}
	return nil
}

func (m *machine) Output(b int) []float32 {
	decodeAll(m.outputs, m.at(m.output, b), m.output.format)
	return m.outputs
}

// Save keeps registers as float32, which holds all of 12 bits.
func (m *machine) Save(b int) program.State {
	saved := program.State{Position: m.positions[b]}
	for _, s := range m.states {
		for _, v := range m.at(s.register, b) {
			saved.Values = append(saved.Values, s.register.format.decode(v))
		}
	}
	return saved
}

func (m *machine) Restore(b int, saved program.State) {
	m.positions[b] = saved.Position
	values := saved.Values
	for _, s := range m.states {
		encodeAll(m.at(s.register, b), values[:s.register.size], s.register.format)
		values = values[s.register.size:]
	}
}

// encodeAll encodes many values. It multiplies by a power of two, which is exact.
func encodeAll(y []int32, x []float32, f format) {
	unit, limit := math.Ldexp(1, f.fraction), math.Ldexp(1, f.bits-1)
	for i, v := range x {
		y[i] = int32(min(limit-1, max(-limit, math.RoundToEven(unit*float64(v)))))
	}
}

// decodeAll decodes many values, in the same way.
func decodeAll(y []float32, x []int32, f format) {
	unit := math.Ldexp(1, -f.fraction)
	for i, v := range x {
		y[i] = float32(unit * float64(v))
	}
}

// at returns the elements of a view for sequence b.
func (m *machine) at(v view, b int) []int32 { return v.of(m.values[v.buffer], b) }

// sum returns the exact sums of a view for sequence b.
func (m *machine) sum(v view, b int) []float64 { return m.sums[v.buffer][b*v.size : (b+1)*v.size] }
