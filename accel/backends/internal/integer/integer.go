// Package integer computes networks as machines with whole-number multipliers do:
// matrices times vectors exactly, in whole numbers, and everything else in float32.
//
// # Weights
//
// A plane keeps its weights if its levels are whole numbers times a step, as signs, {−α, 0,
// +α} and uniform levels are. The step becomes part of its scale. The whole numbers of
// k-bit codes must be below 2ᵏ in size, and k at most 8. A matrix of several such planes is
// multiplied plane by plane.
//
// Any other matrix is rounded to whole numbers of Precision.Weights bits, each row by
// itself: with n = 2^(bits−1) − 1 and m the largest size of a weight of the row, a weight w
// becomes round(w·n/m), which stands for that times m/n. The cost lists it as a
// Substitution.
//
// # Activations
//
// A vector x that is multiplied is rounded at every time step, with n = 2^(bits−1) − 1
// of Precision.Activations bits and m the largest size of an element, to
// q = round(x·n/m), ties to even; it stands for q·m/n. A vector of zeros stays one.
//
// # Products
//
// A row's sum Σ w·q is exact. The result of a plane is (scale·(m/n))·Σ w·q, each
// multiplication rounded to float32, and the results of planes are added in float32,
// in order. A Lookup reads the weights as they are kept, scale·w in float32.
//
// # Everything else
//
// The other operations are float32, those on steps as package program has them. The
// mean and the variance of a Normalize are summed in float64.
package integer

import (
	"context"
	"fmt"
	"runtime"

	"bittern/accel/backends/internal/program"
	"bittern/plugins/backend"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// MostBits is the widest whole number that is multiplied, sign included.
const MostBits = 8

// Precision is what the multipliers take, in bits from 2 to MostBits, the sign
// included.
type Precision struct {
	Weights     int // that a matrix without whole numbers of its own is rounded to
	Activations int
}

// Tolerance bounds what the rounding may change of the mean loss, in nats a target: 0.005
// with 8 bits, and twice as much for each bit less. The most that was seen with 8 bits is a
// seventh of it, of the programs of package network/sample and of a trained LSTM of 64
// units. Of LSTMs of 512 units that were trained on War & Peace for some 40 steps, in full
// precision and ternary, with batch and with layer normalization, it was 0.0001 with 8 bits
// and 0.002 with 4.
func (p Precision) Tolerance() float64 {
	return 0.005 * float64(int(1)<<(MostBits-min(p.Weights, p.Activations)))
}

// Program is a network that is ready to run. It does not change.
type Program struct {
	*program.Program
	network.Network
	Weights       map[string]*Weight
	Parts         map[string]string      // of the memory that each weight belongs to, see package backend
	Substitutions []backend.Substitution // of weights that are rounded, by the order of their first use
}

// Compile prepares a network, which is validated.
func Compile(n network.Network, matrices map[string]packed.Matrix, precision Precision) (*Program, error) {
	if err := n.Validate(matrices); err != nil {
		return nil, err
	}
	p := &Program{Network: n, Weights: map[string]*Weight{}, Parts: map[string]string{}}
	graphs := map[string]program.Graph{}
	for _, s := range n.Stages {
		if s.Op != network.Scan {
			continue
		}
		for _, node := range s.Graph.Nodes {
			if node.Weight == "" {
				continue
			}
			p.use(node)
			if p.Weights[node.Weight] != nil {
				continue
			}
			m := matrices[node.Weight]
			w, rounded := newWeight(m, precision.Weights)
			if rounded {
				p.Substitutions = append(p.Substitutions, backend.Substitution{
					Weight: node.Weight, From: m.Format(), To: fmt.Sprintf("%d-bit whole numbers, a scale a row", precision.Weights),
					Reason: "the multipliers take whole numbers; each weight is rounded to the nearest",
				})
			}
			p.Weights[node.Weight] = w
		}
		graphs[s.Name] = compile(s.Graph, p.Weights, precision.Activations)
	}
	p.Program = program.New(n, graphs, nil)
	return p, nil
}

// use notes what a weight is for: recurrent if one of its nodes is, else what the first says.
func (p *Program) use(n stepgraph.Node) {
	_, known := p.Parts[n.Weight]
	switch {
	case n.Recurrent:
		p.Parts[n.Weight] = backend.PartCodes
	case known:
	case n.Op == stepgraph.Lookup:
		p.Parts[n.Weight] = backend.PartEmbedding
	default:
		p.Parts[n.Weight] = backend.PartOutputLayer
	}
}

// groupSize is how many sequences run side by side, so that a weight that is read from
// memory serves all of them.
const groupSize = 32

// Execution runs batch after batch. It serves one caller at a time.
type Execution struct{ *program.Execution }

// NewExecution makes an execution with nothing carried.
func (p *Program) NewExecution() Execution { return Execution{p.Program.NewExecution()} }

// Execute runs a batch as [backend.Backend.Execute] says, on all processors. No result
// depends on how many.
func (e Execution) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	return e.Execution.Execute(ctx, request, runtime.GOMAXPROCS(0), groupSize)
}
