// Package sample makes programs with random weights, and batches for them, for
// tests and benchmarks of backends: what models would export, without training.
// The conformance kit (package plugintest) deploys all of them.
package sample

import (
	"fmt"
	"math/rand/v2"

	graphs "bittern/internal/sample"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// Program is a network with its weights, and how a test runs it. Sizes are odd, so
// that they are no multiple of any vector, and scans are longer than the tables of
// their graphs.
type Program struct {
	Name    string
	Network network.Network
	Weights map[string]packed.Matrix
	Steps   map[string]int // of each stream in a batch
	Carried bool           // sequences go on from batch to batch
}

// Programs returns one program of every kind that backends meet, each time the
// same ones:
//
//	lstm-binary            tokens, logits at every step, 1-bit weights
//	lstm-ternary           −α, 0 and α
//	lstm-ternary-rows      the same with an α of its own for every row
//	lstm-four-levels       four levels that are not evenly spaced
//	lstm-two-planes-rows   α₁b₁ + α₂b₂ of signs, with both α of its own for every row
//	lstm-asymmetric        −a, 0 and b
//	lstm-eight-levels      eight levels that are not evenly spaced
//	lstm-4-bits            whole numbers of 4 bits times a step
//	lstm-float             full precision
//	lstm-float-carried     sequences go on in states and in tables
//	lstm-rounded-carried   hidden states rounded to 3 bits, sequences go on
//	gru-binary-rows        reset after the product, biases
//	gru-ternary-carried    with normalisation tables, sequences go on
//	gru-layer-norm         each gate's products normalised over their features
//	two-layers             of a ternary LSTM, the second reading the first's states
//	dense-last             features; logits once, from the last step's state
//	tagger                 read in both directions, with lengths, logits at every step
//	bidirectional          embedded tokens, lengths; logits once, from both last steps
//	attention              a text and a question, with lengths; the question attends
//	                       to the text, and some classes are candidates
func Programs() []Program {
	return []Program{
		scanned("lstm-binary", lstm{units: 5, inputs: 7, outputs: 7, rows: 4, format: graphs.Binary, seed: 1}, false),
		scanned("lstm-ternary", lstm{units: 17, inputs: 9, outputs: 9, rows: 6, format: graphs.Ternary, seed: 2}, false),
		scanned("lstm-ternary-rows", lstm{units: 3, inputs: 4, outputs: 4, rows: 3, format: graphs.PerRow(graphs.Ternary), seed: 3}, false),
		scanned("lstm-four-levels", lstm{units: 11, inputs: 6, outputs: 5, rows: 2, format: fourLevels, seed: 4}, false),
		scanned("lstm-float", lstm{units: 9, inputs: 5, outputs: 5, rows: 5, format: float, seed: 5}, false),
		scanned("lstm-float-carried", lstm{units: 7, inputs: 5, outputs: 5, rows: 5, format: float, seed: 6}, true),
		scanned("lstm-two-planes-rows", lstm{units: 9, inputs: 6, outputs: 6, rows: 3, format: graphs.PerRow(graphs.TwoPlanes), seed: 13}, false),
		scanned("lstm-asymmetric", lstm{units: 7, inputs: 5, outputs: 5, rows: 3, format: graphs.Asymmetric, seed: 14}, false),
		scanned("lstm-eight-levels", lstm{units: 13, inputs: 7, outputs: 5, rows: 2, format: graphs.EightFree, seed: 15}, false),
		scanned("lstm-4-bits", lstm{units: 7, inputs: 9, outputs: 5, rows: 4, format: graphs.Uniform, seed: 16}, false),
		scanned("lstm-rounded-carried", lstm{units: 7, inputs: 6, outputs: 6, rows: 3, format: graphs.Ternary, bits: 3, seed: 22}, true),
		gruBinaryRows(),
		gruTernaryCarried(),
		gruLayerNorm(),
		twoLayers(),
		denseLast(),
		tagger(),
		bidirectional(),
		attention(),
	}
}

// Shape is that of the program's batches.
func (p Program) Shape(sequences int) network.Shape {
	return p.Network.Shape(sequences, p.Steps, p.Carried)
}

// Batch returns batch number of an endless series with random content. It has the program's
// steps. Lengths lie between 1 and all steps; some targets are −1, and so are all of the
// second sequence. If state is carried, all sequences of batch 0 start fresh, and about half
// of those of later batches.
func (p Program) Batch(sequences, number int) network.Batch {
	shape := p.Shape(sequences)
	rng := rand.New(rand.NewPCG(uint64(number), uint64(sequences)))
	b := shape.Allocate()
	for _, in := range shape.Inputs {
		fill(b, in, shape.Steps[in.Stream], rng)
	}
	for i := range b.Fresh {
		if number == 0 || rng.IntN(2) == 0 {
			b.Fresh[i] = 1
		}
	}
	for at := range b.Targets {
		t, i := at/sequences, at%sequences
		b.Targets[at] = -1
		some := at == 0 || rng.IntN(5) > 0
		if i != 1 && some && (shape.Targets == "" || t < b.Length(shape.Inputs, shape.Targets, i)) {
			b.Targets[at] = target(b.Candidates(shape.Inputs, i), shape.Classes, rng)
		}
	}
	return b
}

func fill(b network.Batch, in network.Input, steps int, rng *rand.Rand) {
	values := b.Int32[in.Name]
	switch in.Role {
	case network.Tokens:
		for i := range values {
			values[i] = rng.Int32N(int32(in.Size))
		}
	case network.Features:
		for i := range b.Float32[in.Name] {
			b.Float32[in.Name][i] = 2*rng.Float32() - 1
		}
	case network.Lengths:
		for i := range values {
			values[i] = 1 + rng.Int32N(int32(steps))
		}
		values[0] = int32(steps)
		values[len(values)-1] = 1
	case network.Candidates:
		for i := range values {
			values[i] = rng.Int32N(2)
		}
		for i := range b.Sequences {
			values[i*in.Size+rng.IntN(in.Size)] = 1
		}
	}
}

// target is a random class, one of the candidates.
func target(candidates []int32, classes int, rng *rand.Rand) int32 {
	for {
		if class := rng.Int32N(int32(classes)); candidates == nil || candidates[class] == 1 {
			return class
		}
	}
}

// finish makes a program of a network, which is valid: it panics where this package
// has a mistake.
func finish(name string, n network.Network, weights map[string]packed.Matrix, steps map[string]int, carried bool) Program {
	n.Model = name
	if err := n.Validate(weights); err != nil {
		panic(fmt.Sprintf("sample %s: %v", name, err))
	}
	return Program{Name: name, Network: n, Weights: weights, Steps: steps, Carried: carried}
}
