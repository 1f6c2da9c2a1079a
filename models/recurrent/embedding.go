package recurrent

import (
	"errors"

	"bittern/accel/kernels/team"
)

// Embedding turns tokens into columns of a matrix [Size × Vocabulary].
type Embedding struct {
	vocabulary, size int
	team             *team.Team
	output           []float32
	gather, scatter  func(worker int)

	weight, gradient, dWeight []float32
	tokens                    []int32
}

// NewEmbedding returns an embedding of n tokens at a time that runs on t.
func NewEmbedding(t *team.Team, n, vocabulary, size int) *Embedding {
	e := &Embedding{vocabulary: vocabulary, size: size, team: t, output: make([]float32, n*size)}
	e.gather, e.scatter = e.gatherFeatures, e.scatterFeatures
	return e
}

// Shape returns the matrix's number of rows and of columns.
func (e *Embedding) Shape() (size, vocabulary int) { return e.size, e.vocabulary }

// Output is what Forward writes, [n × Size].
func (e *Embedding) Output() []float32 { return e.output }

// Forward looks up the tokens' columns.
func (e *Embedding) Forward(weight []float32, tokens []int32) error {
	if err := errors.Join(
		mismatch("embedding", "the matrix", len(weight), e.size, e.vocabulary),
		mismatch("embedding", "the tokens", len(tokens), len(e.output)/e.size),
		checkTokens("embedding", tokens, e.vocabulary)); err != nil {
		return err
	}
	e.weight, e.tokens = weight, tokens
	e.team.Run(e.gather)
	return nil
}

// Backward overwrites dWeight with the gradient with respect to the matrix, given the
// gradient with respect to the output.
func (e *Embedding) Backward(tokens []int32, gradient, dWeight []float32) error {
	if err := errors.Join(
		mismatch("embedding", "the gradient of the matrix", len(dWeight), e.size, e.vocabulary),
		mismatch("embedding", "the gradient of the output", len(gradient), len(e.output)),
		mismatch("embedding", "the tokens", len(tokens), len(e.output)/e.size),
		checkTokens("embedding", tokens, e.vocabulary)); err != nil {
		return err
	}
	e.tokens, e.gradient, e.dWeight = tokens, gradient, dWeight
	e.team.Run(e.scatter)
	return nil
}

// A worker owns whole rows of the matrix: one row and the tokens stay in its
// cache, and columns chosen twice are summed in one order.

func (e *Embedding) gatherFeatures(worker int) {
	from, to := e.team.Split(worker, e.size, grain)
	for feature := from; feature < to; feature++ {
		row := e.weight[feature*e.vocabulary : (feature+1)*e.vocabulary]
		for i, token := range e.tokens {
			e.output[i*e.size+feature] = row[token]
		}
	}
}

func (e *Embedding) scatterFeatures(worker int) {
	from, to := e.team.Split(worker, e.size, grain)
	for feature := from; feature < to; feature++ {
		row := e.dWeight[feature*e.vocabulary : (feature+1)*e.vocabulary]
		clear(row)
		for i, token := range e.tokens {
			row[token] += e.gradient[i*e.size+feature]
		}
	}
}
