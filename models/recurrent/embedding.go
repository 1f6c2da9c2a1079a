package recurrent

import (
	"errors"

	"bittern/accel/team"
	"bittern/accel/vecmath"
)

// Embedding turns tokens into rows of a matrix [Vocabulary × Size].
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
	e.gather, e.scatter = e.gatherRows, e.scatterColumns
	return e
}

// Shape returns the matrix's number of rows and their length.
func (e *Embedding) Shape() (vocabulary, size int) { return e.vocabulary, e.size }

// Output is what Forward writes, [n × size].
func (e *Embedding) Output() []float32 { return e.output }

// Forward looks up the tokens' rows.
func (e *Embedding) Forward(weight []float32, tokens []int32) error {
	if err := errors.Join(
		mismatch("embedding", "the matrix", len(weight), e.vocabulary, e.size),
		mismatch("embedding", "the tokens", len(tokens), len(e.output)/e.size),
		checkTokens("embedding", tokens, e.vocabulary)); err != nil {
		return err
	}
	e.weight, e.tokens = weight, tokens
	e.team.Run(e.gather)
	return nil
}

// Backward overwrites dWeight with the gradient of the matrix, given the one
// of the output.
func (e *Embedding) Backward(tokens []int32, gradient, dWeight []float32) error {
	if err := errors.Join(
		mismatch("embedding", "the gradient of the matrix", len(dWeight), e.vocabulary, e.size),
		mismatch("embedding", "the gradient of the output", len(gradient), len(e.output)),
		mismatch("embedding", "the tokens", len(tokens), len(e.output)/e.size)); err != nil {
		return err
	}
	e.tokens, e.gradient, e.dWeight = tokens, gradient, dWeight
	e.team.Run(e.scatter)
	return nil
}

func (e *Embedding) gatherRows(worker int) {
	from, to := e.team.Split(worker, len(e.tokens), 1)
	for i := from; i < to; i++ {
		copy(e.output[i*e.size:(i+1)*e.size], e.weight[int(e.tokens[i])*e.size:])
	}
}

// scatterColumns adds the gradients of a worker's own columns, so that rows
// chosen twice are summed in one order.
func (e *Embedding) scatterColumns(worker int) {
	rows, remainder := e.team.Split(worker, e.vocabulary, 1)
	clear(e.dWeight[rows*e.size : remainder*e.size])
	e.team.Barrier()
	from, to := e.team.Split(worker, e.size, grain)
	for i, token := range e.tokens {
		vecmath.Add(e.dWeight[int(token)*e.size+from:int(token)*e.size+to], e.gradient[i*e.size+from:i*e.size+to])
	}
}
